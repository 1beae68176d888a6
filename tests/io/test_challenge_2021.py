"""The helper functions of the 2021 Challenge that open files."""

import numpy as np
import pytest

from ecg.io import challenge_2021
from ecg.io.errors import RecordingError
from header_files import header_text, random_signals, write_recording


def test_a_recording_is_the_whole_matrix_or_the_leads_that_are_asked_for_and_may_be_changed(tmp_path):
    raw = random_signals()
    header_file = write_recording(tmp_path, raw)
    raw.T.tofile(tmp_path / "A0001.dat")
    text = header_file.read_text()
    for name in ("A0001.mat", "A0001.dat"):
        for header in (None, text):
            recording = challenge_2021.load_recording(tmp_path / name, header)
            np.testing.assert_array_equal(recording, raw)
            recording[:] = 0
        some = challenge_2021.load_recording(tmp_path / name, text, ["V6", "X", "I"])
        np.testing.assert_array_equal(some, [raw[11], np.zeros(600), raw[0]])
        some[:] = 0
    assert challenge_2021.lead_sets[-1] == challenge_2021.two_leads == ("I", "II")
    assert [len(leads) for leads in challenge_2021.lead_sets] == [12, 6, 4, 3, 2]


def test_a_recording_that_is_not_as_the_header_says_is_refused(tmp_path):
    write_recording(tmp_path, random_signals())
    with pytest.raises(RecordingError, match="expected 12 signals x 5000 samples, found 12 x 600"):
        challenge_2021.load_recording(tmp_path / "A0001.mat", header_text())
