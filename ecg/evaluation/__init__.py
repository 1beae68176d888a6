"""How good results are: scores, comparisons, accuracy of measurements."""
