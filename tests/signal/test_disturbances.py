"""Every disturbance does what its name says, and nothing to its argument."""

import numpy as np
import pytest

from ecg.leads import fill_missing
from ecg.signal.corruptions import AS_RECORDED, DISTURBANCES
from tiny import heart_like

GAPS = heart_like(4, seed=3)
GAPS[2] = np.nan
GAPS[7, 100:300] = np.nan
SIGNALS = {"whole": heart_like(4, seed=1), "with gaps": GAPS}


def amplitude(signal: np.ndarray, fs: float, frequency: float) -> np.ndarray:
    """Of the sine of that frequency in each lead, over whole periods."""
    seconds = np.arange(signal.shape[1]) / fs
    return 2 * np.abs((signal * np.exp(-2j * np.pi * frequency * seconds)).mean(axis=1))


@pytest.mark.parametrize("kind", SIGNALS)
@pytest.mark.parametrize("name", DISTURBANCES)
def test_the_argument_is_not_changed_and_the_answer_is_twelve_leads_in_single_precision(name, kind):
    signal = SIGNALS[kind].copy()
    disturbed, fs = DISTURBANCES[name](signal, 500.0)
    assert np.array_equal(signal, SIGNALS[kind], equal_nan=True)
    assert disturbed.dtype == np.float32
    assert disturbed.shape == (12, round(4 * fs))
    again, _ = DISTURBANCES[name](signal.copy(), 500.0)
    assert np.array_equal(disturbed, again, equal_nan=True)


@pytest.mark.parametrize("kind", SIGNALS)
@pytest.mark.parametrize(
    ("name", "change"),
    [
        (AS_RECORDED, lambda signal: signal),
        ("gain x 4.88", lambda signal: signal * 4.88),
        ("gain / 4.88", lambda signal: signal / 4.88),
        ("offset 1 mV", lambda signal: signal + 1),
    ],
)
def test_gain_and_offset_change_every_sample_alike_and_leave_gaps(name, change, kind):
    disturbed, fs = DISTURBANCES[name](SIGNALS[kind], 500.0)
    assert fs == 500
    np.testing.assert_allclose(disturbed, change(SIGNALS[kind].astype(float)), rtol=2e-7, atol=1e-7)


def test_powerline_interference_is_one_line_at_60_hz_of_a_tenth_of_a_millivolt_in_every_lead():
    disturbed, fs = DISTURBANCES["powerline 60 Hz, 0.1 mV"](SIGNALS["whole"], 500.0)
    added = disturbed - SIGNALS["whole"]
    assert fs == 500
    np.testing.assert_allclose(amplitude(added, 500, 60), 0.1, atol=1e-4)
    spectrum = np.abs(np.fft.rfft(added, axis=1))
    assert (spectrum.argmax(axis=1) == 60 * 4).all()
    assert (np.sort(spectrum, axis=1)[:, -2] < 1e-3 * spectrum.max(axis=1)).all()
    assert (added[:, 0] == 0).all()


@pytest.mark.parametrize("fs", [100.0, 120.0])
def test_powerline_interference_does_not_turn_into_another_frequency_where_the_file_can_not_hold_60_hz(fs):
    signal = heart_like(4, fs, seed=1)
    disturbed, rate = DISTURBANCES["powerline 60 Hz, 0.1 mV"](signal, fs)
    plain, _ = DISTURBANCES["powerline 60 Hz, 0.1 mV"](np.zeros_like(signal), fs)
    assert rate == 500
    assert disturbed.shape == (12, 2000)
    np.testing.assert_allclose(amplitude(plain, 500, 60), 0.1, atol=1e-4)
    assert (amplitude(plain, 500, 40) < 1e-4).all()
    # Where both have samples the recording is still the recording.
    np.testing.assert_allclose((disturbed - plain)[:, ::25], signal[:, :: round(fs / 20)], atol=0.02)


def test_exactly_one_lead_that_showed_something_becomes_zero_and_not_always_the_same():
    chosen = []
    for seed in range(12):
        signal = heart_like(2, seed=seed)
        signal[:3] = np.nan
        signal[3] = 0
        disturbed, fs = DISTURBANCES["a lead off"](signal, 500.0)
        changed = [k for k in range(12) if not np.array_equal(signal[k], disturbed[k], equal_nan=True)]
        assert len(changed) == 1 and changed[0] >= 4
        assert (disturbed[changed[0]] == 0).all()
        assert fs == 500
        chosen += changed
    assert len(set(chosen)) > 3


@pytest.mark.parametrize("fs", [100.0, 257.0, 500.0, 1000.0])
def test_at_300_hz_the_recording_lasts_as_long_and_keeps_its_waves(fs):
    seconds = np.arange(round(4 * fs)) / fs
    sine = np.tile(np.sin(2 * np.pi * 10 * seconds), (12, 1)).astype(np.float32)
    disturbed, rate = DISTURBANCES["300 Hz"](sine, fs)
    assert rate == 300
    assert disturbed.shape == (12, 1200)
    expected = np.sin(2 * np.pi * 10 * np.arange(1200) / 300)
    assert np.abs(disturbed - expected)[:, 30:-30].max() < 0.01


def test_at_300_hz_gaps_are_filled_as_preprocessing_would():
    disturbed, _ = DISTURBANCES["300 Hz"](GAPS, 500.0)
    assert np.isfinite(disturbed).all()
    np.testing.assert_array_equal(disturbed, DISTURBANCES["300 Hz"](fill_missing(GAPS), 500.0)[0])
