"""Waves that go on between the T waves and the QRS complexes."""

import numpy as np
import pytest

from ecg.measurements.atrial_waves import periodic_waves

RATE = 500.0
BEATS = np.arange(300, 5000, 400)
MARKS = np.array([-90.0, -40, -25, 25, 60, 150])  # P, QRS and T, samples from a beat
LEADS = np.linspace(-0.1, 0.1, 12)[:, np.newaxis]


def _noise(seed=0):
    return np.random.default_rng(seed).normal(0, 0.005, (12, 5000))


def _wave(hertz):
    turns = 2 * np.pi * hertz * np.arange(5000) / RATE
    return LEADS * (np.sin(turns) + 0.3 * np.cos(2 * turns))


def _periodic(signal, beats=BEATS):
    return periodic_waves(signal.astype(np.float32), RATE, beats, MARKS)


@pytest.mark.parametrize("hertz", [4.2, 5.0, 5.73])
def test_flutter_waves_are_found_where_nothing_else_is_and_foretold_everywhere(hertz):
    hidden = _wave(hertz) + _noise()
    for beat in BEATS:  # what lies between the QRS onset and the end of T must not matter
        hidden[:, beat - 25 : beat + 150] += 1.0
    found = _periodic(hidden)
    assert found.explained > 0.8 and found.explained_outside > 0.4
    assert np.abs(found.waves - _wave(hertz)).max() < 0.02


def test_p_waves_are_explained_by_no_wave_that_goes_on():
    signal = _noise()
    for beat in BEATS:
        signal[:, beat - 90 : beat - 40] += LEADS * np.hanning(50)
    found = _periodic(signal)
    assert found.explained_outside < 0.2 and found.waves is None


def test_noise_is_not_periodic():
    found = _periodic(20 * _noise())
    assert found.explained < 0.2 and found.waves is None


@pytest.mark.parametrize("beats", [np.arange(100, 5000, 200), np.array([2500]), np.zeros(0, dtype=np.int64)])
def test_too_little_between_the_beats_or_none_says_nothing(beats):
    found = _periodic(_noise(), beats)
    assert found.waves is None and max(found.explained, found.explained_outside) < 0.1


def test_a_flat_signal_has_no_waves():
    assert _periodic(np.zeros((12, 5000))).waves is None
