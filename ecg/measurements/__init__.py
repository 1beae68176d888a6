"""What an electrocardiograph measures: beats, intervals, axes, amplitudes, quality.

numpy and scipy only.
"""

from ecg.measurements.measure import measure
from ecg.measurements.types import Measurements

__all__ = ["Measurements", "measure"]
