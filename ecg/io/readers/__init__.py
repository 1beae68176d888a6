"""Readers: one file a format, and what several of them share."""
