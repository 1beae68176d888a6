"""Measuring an ECG: rate, intervals, axes, amplitudes, quality."""
