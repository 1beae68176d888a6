"""Both ends of what a file can hold, and the pauses after premature beats."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.simulator.diagnoses import Parameters
from ecg.simulator.simulate import Simulated, record
from ecg.simulator.write import write_recording
from helper_code import read_recording

HEALTHY = Parameters(50, "Male", rr_range=0.001)


def test_what_is_too_low_is_clipped_and_not_missing(tmp_path):
    signal = np.zeros((12, 500), np.float32)
    signal[2, 7], signal[3, 8], signal[4, 9] = -32.768, -100.0, 100.0
    _, read = read_recording(write_recording(tmp_path, "A1", Simulated(signal, 500.0, (), 40.0, "Male", HEALTHY)))
    assert not np.isnan(read).any()
    assert [read[2, 7], read[3, 8], read[4, 9]] == pytest.approx([-32.767, -32.767, 32.767])


@pytest.mark.parametrize(("origin", "pause"), [("pvc", 2.0), ("pac", None)])
def test_the_pause_after_a_premature_beat(origin, pause):
    """A ventricular one leaves the sinus node alone: the next beat comes where it would have come."""
    parameters = record(replace(HEALTHY, rate=70.0, **{origin: 1}), np.random.default_rng(2)).parameters
    times = [beat.time for beat in parameters.beats]
    at = next(k for k, beat in enumerate(parameters.beats) if beat.origin in ("ventricular", "atrial"))
    rr = 60 / 70
    span = times[at + 1] - times[at - 1]
    assert span == pytest.approx(pause * rr, abs=0.01) if pause else span < 1.95 * rr
    if origin == "pac":  # reset: one interval and a little after the premature beat
        assert times[at + 1] - times[at] == pytest.approx(1.05 * rr, abs=0.01)
