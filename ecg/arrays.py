"""Names for the kinds of arrays that most signatures have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Signal = NDArray[np.float32]
"""Leads in rows, samples in columns."""
Rng = np.random.Generator
