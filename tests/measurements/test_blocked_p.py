"""Blocked P waves and lost spikes in signals that the test draws itself: what counts is their shape, size and place."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.measurements import measure
from ecg.measurements.blocked_p import after_pauses, count_blocked
from ecg.measurements.measure import Prepared, _lost_spikes
from ecg.measurements.types import WaveMarks
from ecg.simulator.simulate import simulate_recording

RATE, CENTRE = 500.0, 224
NAN = float("nan")
LEADS = np.array([[1.0], [0.6], [-0.5]])


def bump(n, middle, width, height=1.0):
    return height * np.exp(-0.5 * ((np.arange(n) - middle) / width) ** 2)


def one_beat():
    """P of 100 ms that ends 80 ms before a complex, and a T wave that ends 340 ms after it."""
    n = 600
    p = LEADS[:, [0]] * 0.15 * bump(n, CENTRE - 80, 10)
    return (p + LEADS * bump(n, CENTRE, 6) + LEADS[::-1] * 0.3 * bump(n, CENTRE + 120, 20)).astype(np.float32)


MARKS = WaveMarks(
    CENTRE - 105.0, CENTRE - 80.0, CENTRE - 55.0, CENTRE - 20.0, float(CENTRE), CENTRE + 20.0, CENTRE + 70.0,
    CENTRE + 120.0, CENTRE + 170.0)  # fmt: skip


def recording(extra, rr=800, n_beats=5, beat_shape=None):
    """Beats `rr` samples apart; `extra` draws into the interval from one P wave's middle to the next."""
    shape = one_beat() if beat_shape is None else beat_shape
    signal = np.zeros((3, 300 + rr * n_beats), np.float32)
    beats = 300 + rr * np.arange(n_beats)
    for beat in beats:
        first, last = beat - CENTRE, min(beat - CENTRE + 600, signal.shape[1])
        signal[:, first:last] += shape[:, : last - first]
    for beat in beats[:-1]:
        extra(signal[:, beat - 80 : beat - 80 + rr])
    return signal, beats


def p_wave(share, size=1.0, leads=LEADS):
    def draw(interval):
        n = interval.shape[1]
        interval += (leads * 0.15 * size * bump(n, share * n, 10)).astype(np.float32)

    return draw


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        (p_wave(0.5), 4),
        (p_wave(0.55), 4),
        (p_wave(0.75), 0),  # premature seen from the next, or of another origin
        (p_wave(0.5, 0.3), 0),
        (p_wave(0.5, 2.5), 0),
        (p_wave(0.5, 1.0, LEADS[::-1] * [[1.0], [-1.0], [1.0]]), 0),  # another shape
        (lambda interval: None, 0),
    ],
)
def test_a_wave_like_the_p_wave_half_way_between_two_counts(extra, found):
    signal, beats = recording(extra)
    assert count_blocked(signal, RATE, beats, one_beat(), MARKS) == found


@pytest.mark.parametrize(("rr", "found"), [(500, 0), (501, 4)])
def test_the_interval_is_longer_than_a_second(rr, found):
    signal, beats = recording(p_wave(0.5), rr=rr)
    marks = replace(MARKS, t_offset=CENTRE + 90.0)
    assert count_blocked(signal, RATE, beats, one_beat(), marks) == found


@pytest.mark.parametrize(
    ("share", "size", "found"),
    [
        (0.5, 0.65, 4),
        (0.5, 0.55, 0),
        (0.5, 1.55, 4),
        (0.5, 1.65, 0),
        (0.36, 1, 4),
        (0.33, 1, 0),
        (0.64, 1, 4),
        (0.67, 1, 0),
    ],
)
def test_a_blocked_p_wave_is_of_about_the_size_and_lies_within_0_15_of_the_middle(share, size, found):
    signal, beats = recording(p_wave(share, size), rr=1500)
    assert count_blocked(signal, RATE, beats, one_beat(), MARKS) == found


@pytest.mark.parametrize(("t_offset", "found"), [(90, 4), (170, 0)])
def test_what_begins_before_the_t_wave_ends_is_no_p_wave(t_offset, found):
    shape = (LEADS * (0.15 * (bump(600, CENTRE - 80, 10) + bump(600, CENTRE + 120, 10)) + bump(600, CENTRE, 6))).astype(
        np.float32
    )
    signal, beats = recording(lambda interval: None, rr=510, beat_shape=shape)
    marks = replace(MARKS, t_offset=float(CENTRE + t_offset))
    assert count_blocked(signal, RATE, beats, shape, marks) == found


def test_nothing_is_counted_without_p_or_t_wave_or_between_close_beats():
    signal, beats = recording(p_wave(0.5))
    for name in ("p_onset", "t_offset"):
        assert count_blocked(signal, RATE, beats, one_beat(), replace(MARKS, **{name: NAN})) == 0
    signal, beats = recording(p_wave(0.5), rr=490)
    assert count_blocked(signal, RATE, beats, one_beat(), MARKS) == 0


def test_simulated_blocks_are_counted_and_sinus_bradycardia_has_none():
    for name, fewest, most in (("AVB2to1", 2, 9), ("MobitzII", 2, 9), ("SB", 0, 0)):
        made = simulate_recording(7, 1, name)
        assert fewest <= measure(made.signal, made.sampling_frequency).beats.n_blocked_p <= most


def test_spikes_that_no_complex_follows_are_lost_where_others_capture():
    for k in (1, 2, 3):
        made = simulate_recording(7, k, "capture-failure")
        n_spikes = len(made.parameters.lost_spikes) * (2 if made.parameters.atrial_spike else 1)
        assert 2 <= measure(made.signal, made.sampling_frequency).beats.n_lost_spikes <= n_spikes
        paced = simulate_recording(7, k, "PR")
        assert measure(paced.signal, paced.sampling_frequency).beats.n_lost_spikes == 0


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ([], 0),
        ([1300, 2300], 2),
        ([1300, 4824], 2),
        ([1300, 4825], 1),  # 0.35 s before the end: a complex may follow behind it
        ([1149, 1300], 1),  # the ventricles can't be excited yet
        ([1500 - 170, 2300], 1),  # a spike of the atria, whose complex comes
        (range(1250, 1400, 5), 0),  # artefacts: more than three spikes a beat
    ],
)
def test_a_lost_spike_could_excite_and_does_not(more, found):
    beats = np.array([1000, 1500, 2000, 2600, 3100, 3600, 4100, 4600])
    spikes = np.sort(np.concatenate([beats - 20, np.array([*more], np.int64)]))
    signal, nothing = np.zeros((12, 5000), np.float32), np.ones(len(beats), bool)
    prepared = Prepared(signal, np.ones(12, bool), spikes, beats, None, nothing)
    assert _lost_spikes(prepared) == found
    assert _lost_spikes(replace(prepared, spikes=np.array([1300, 2300, 2580]))) == 0  # one of eight beats is paced


@pytest.mark.parametrize(
    ("n_beats", "n_captured", "n_more", "found"),
    [
        (4, 1, 2, 0),  # two paced beats at least
        (4, 2, 2, 2),
        (6, 2, 2, 2),  # and three tenths of them
        (7, 2, 2, 0),
        (10, 3, 2, 2),
        (5, 2, 13, 13),  # three spikes a beat at the most
        (5, 2, 14, 0),
    ],
)
def test_lost_spikes_need_enough_others_that_capture(n_beats, n_captured, n_more, found):
    beats = 1000 + 5000 * np.arange(n_beats)
    spikes = np.sort([*(beats[:n_captured] - 20), *(1300 + 200 * np.arange(n_more))])
    signal = np.zeros((12, 5000 * (n_beats + 1)), np.float32)
    prepared = Prepared(signal, np.ones(12, bool), spikes, beats, None, np.ones(n_beats, bool))
    assert _lost_spikes(prepared) == found


@pytest.mark.parametrize("k", [2, 9, 19])
def test_the_t_waves_of_slow_wide_complexes_are_no_beats(k):
    made = simulate_recording(1, k, "AVB3")
    assert made.parameters.qrs > 0.12 and made.parameters.rate < 36
    assert abs(measure(made.signal, made.sampling_frequency).n_beats - len(made.parameters.beats)) <= 1


def test_beats_after_at_least_two_pauses_are_taken_and_only_usable_ones():
    beats = np.cumsum([0, 400, 400, 640, 400, 640, 400])  # RR of 0.8 s, pauses of 1.28 s
    every = np.ones(7, dtype=bool)
    assert np.flatnonzero(after_pauses(beats, RATE, every)).tolist() == [3, 5]
    assert after_pauses(beats, RATE, every & (np.arange(7) != 5)) is None
    assert after_pauses(beats[:5], RATE, every[:5]) is None
    assert after_pauses(beats[:1], RATE, every[:1]) is None


@pytest.mark.parametrize(
    ("short", "long", "are_pauses"), [(400, 500, False), (400, 502, True), (450, 562, False), (450, 564, True)]
)
def test_a_pause_is_longer_than_a_second_and_a_quarter_longer_than_other_intervals(short, long, are_pauses):
    beats = np.cumsum([0, short, short, long, short, long, short])
    assert (after_pauses(beats, RATE, np.ones(7, dtype=bool)) is not None) == are_pauses


@pytest.mark.parametrize(("other", "are_regular"), [(480, True), (482, False)])
def test_pauses_count_where_the_other_intervals_are_alike(other, are_regular):
    beats = np.cumsum([0, 400, 400, 640, 400, 640, other])
    assert (after_pauses(beats, RATE, np.ones(7, dtype=bool)) is not None) == are_regular


def test_blocked_p_waves_are_found_where_the_pr_interval_grows_from_beat_to_beat():
    # Numbers 1, 8 and 9 of this seed have three Wenckebach periods each.
    for k in (1, 8, 9):
        made = simulate_recording(1, k, "MobitzI")
        measured = measure(made.signal.astype(np.float32), made.sampling_frequency)
        assert (measured.beats.n_blocked_p, measured.has_p_waves) == (3, False)
        assert np.isnan(measured.pr_ms)


def test_pauses_of_fibrillation_have_no_blocked_p_waves():
    counted = []
    for k in range(1, 13):
        made = simulate_recording(3, k, "AF")
        measured = measure(made.signal.astype(np.float32), made.sampling_frequency)
        counted.append(measured.beats.n_blocked_p)
    assert counted == [0] * 12
