"""Measuring an ECG: rate, intervals, axes, amplitudes, quality."""

from ecg.measurements.measure import measure
from ecg.measurements.types import Measurements

__all__ = ["Measurements", "measure"]
