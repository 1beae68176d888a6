"""What an electrocardiograph measures: beats, intervals, axes, amplitudes, quality.

numpy and scipy only.
"""
