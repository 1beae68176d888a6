"""From probabilities to labels: thresholds and expected scores.

Arrays in, arrays out.
"""
