"""What is computed of one recording, each thing once."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecg.io.recording import Recording
from ecg.measurements import Measurements, measure


class NetworkInput(Protocol):
    """The part of `ecg.methods.base.Input` that an examination needs."""

    def preprocess(self, signal: NDArray[np.float32], sampling_frequency: float, /) -> NDArray[np.float32]: ...

    def features(self, examination: Examination, /) -> NDArray[np.float32]: ...


class Examination:
    """A recording and what is computed of it, each thing at its first use and once.

    `network_input`: a method's ``method.input``. `measurements`: of this recording, where they are known already.
    """

    def __init__(
        self, recording: Recording, network_input: NetworkInput, measurements: Measurements | None = None
    ) -> None:
        self.recording, self.network_input = recording, network_input
        if measurements is not None:
            self.measurements = measurements

    @cached_property
    def prepared(self) -> NDArray[np.float32]:
        """The signal as the networks take it, shape (12, n), float32, at the method's rate and in its units."""
        return self.network_input.preprocess(self.recording.signal, self.recording.sampling_frequency)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """What the networks take beside it, shape (n_features,), float32."""
        return self.network_input.features(self)

    @property
    def is_measured(self) -> bool:
        return "measurements" in vars(self)

    @cached_property
    def measurements(self) -> Measurements:
        """What an electrocardiograph prints of it."""
        return measure(self.recording.signal, self.recording.sampling_frequency)
