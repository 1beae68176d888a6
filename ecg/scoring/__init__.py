"""The Challenge's scores, statistics and output files."""
