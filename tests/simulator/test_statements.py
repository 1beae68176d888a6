"""Hearts beyond the scored diagnoses: clean signals meet the published criteria, measured without the simulator."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import find_peaks

from ecg.labels.classes import SCORED_CLASSES
from ecg.leads import LEADS
from ecg.simulator.diagnoses import STATEMENTS, diagnosis_of
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import SETS, simulate, simulate_recording
from ecg.simulator.write import write_recording
from helper_code import read_recording

FS = 1000
NAMES = {code: name for code, (name, _) in SCORED_CLASSES.items()}


def clean(name, k):
    """A recording of a heart with this finding, at 1000 Hz and without noise."""
    return simulate(np.random.default_rng([41, k]), name, FS, 10, Noise())


def speed_of(signal):
    return np.sqrt((np.gradient(signal.astype(float), 1 / FS, axis=1) ** 2).sum(axis=0))


def r_peaks(signal):
    speed = speed_of(signal)
    return find_peaks(speed, height=0.5 * speed.max(), distance=int(0.2 * FS))[0]


class Complex:
    """One QRS complex in the middle of a recording: mV from the line before it, in samples of 1 ms."""

    def __init__(self, signal):
        speed, peaks = speed_of(signal), r_peaks(signal)
        peak = peaks[len(peaks) // 2]
        moving = peak - 120 + np.flatnonzero(speed[peak - 120 : peak + 160] > 0.07 * speed[peak])
        runs = np.split(moving, np.flatnonzero(np.diff(moving) > 25) + 1)
        run = next(run for run in runs if run[0] <= peak <= run[-1] + 1)
        self.onset, self.offset = run[0], run[-1]
        self.rr = int(np.median(np.diff(peaks)))
        line = np.median(signal[:, self.onset - 12 : self.onset - 2], axis=1)
        self.signal = signal - line[:, None]
        self.speed = speed[self.onset : self.offset + 1]
        self.duration = self.offset - self.onset

    def __getitem__(self, lead):
        return self.signal[LEADS.index(lead), self.onset : self.offset + 1]

    def r(self, lead):
        return self[lead].max()

    def s(self, lead):
        return -self[lead].min()

    def st(self, lead, after=20):
        """From the line, so many ms after the J point."""
        return self.signal[LEADS.index(lead), self.offset + after]

    def t(self, lead):
        """The largest deflection between 100 ms after the J point and the next P wave."""
        after = self.signal[LEADS.index(lead), self.offset + 100 : self.onset + min(450, self.rr - 220)]
        return after[np.abs(after).argmax()]

    def axis(self):
        i, avf = self["I"].sum(), (self["II"] + self["III"]).sum() / np.sqrt(3)
        return np.degrees(np.arctan2(avf, i))


# Fourth universal definition: two contiguous leads at J, 0.25 mV in V2 and V3 for any man, 0.1 mV elsewhere.
PAIRS = {
    "anterior": [("V2", "V3"), ("V3", "V4")],
    "inferior": [("II", "aVF"), ("aVF", "III")],
    "lateral": [("aVL", "I"), ("V5", "V6")],
}
OPPOSITE = {"anterior": None, "inferior": "aVL", "lateral": "III"}
SEEDS = range(4)


@pytest.mark.parametrize("where", PAIRS)
@pytest.mark.parametrize("k", SEEDS)
def test_infarction_elevates_st_in_its_territory(where, k):
    beat = Complex(clean(f"STEMI-{where}", k).signal)
    for pair in PAIRS[where]:
        assert all(beat.st(lead) > (0.25 if lead in ("V2", "V3") else 0.1) for lead in pair)
    others = [lead for name, pairs in PAIRS.items() if name != where for pair in pairs for lead in pair]
    territory = [lead for pair in PAIRS[where] for lead in pair]
    assert np.mean([beat.st(lead) for lead in others]) < 0.5 * np.mean([beat.st(lead) for lead in territory])
    if OPPOSITE[where]:
        assert beat.st(OPPOSITE[where]) < -0.05


@pytest.mark.parametrize("where", PAIRS)
@pytest.mark.parametrize("k", SEEDS)
def test_ischaemia_depresses_st_and_turns_t_in_its_territory(where, k):
    beat = Complex(clean(f"ischaemia-{where}", k).signal)
    for pair in PAIRS[where]:
        assert all(beat.st(lead) <= -0.05 and beat.t(lead) <= -0.1 for lead in pair)


@pytest.mark.parametrize("k", SEEDS)
def test_left_hypertrophy_has_the_voltage_of_sokolow_and_lyon_and_strain(k):
    simulated = clean("LVH", k)
    beat = Complex(simulated.signal)
    assert simulated.age > 35
    assert beat.s("V1") + max(beat.r("V5"), beat.r("V6")) > 3.5
    assert beat.duration < 125
    assert all(beat.st(lead) <= -0.05 and beat.t(lead) <= -0.1 for lead in ("V5", "V6"))


@pytest.mark.parametrize("k", SEEDS)
def test_right_hypertrophy_has_a_tall_r_in_v1_a_right_axis_and_strain(k):
    beat = Complex(clean("RVH", k).signal)
    assert beat.r("V1") > 0.6
    assert beat.r("V1") > beat.s("V1")
    assert beat.axis() > 90
    assert all(beat.st(lead) <= -0.05 and beat.t(lead) <= -0.1 for lead in ("V1", "V2"))


@pytest.mark.parametrize("k", SEEDS)
def test_pre_excitation_has_a_short_pr_a_wide_complex_and_a_slow_start(k):
    simulated = clean("WPW", k)
    beat = Complex(simulated.signal)
    assert beat.duration > 105
    start = simulated.signal[:, beat.onset - 250 : beat.onset + 60]
    p_onset = beat.onset - 250 + np.flatnonzero(speed_of(start) > 0.02 * beat.speed.max())[0]
    assert 60 < beat.onset - p_onset < 120
    assert beat.speed[: beat.duration // 4].mean() < 0.3 * beat.speed.max()  # the delta wave
    assert "NSIVCB" not in {NAMES.get(code) for code in simulated.labels}


@pytest.mark.parametrize("k", SEEDS)
def test_left_posterior_fascicular_block_has_its_axis_and_its_q_and_s_waves(k):
    beat = Complex(clean("LPFB", k).signal)
    assert 90 < beat.axis() < 180
    assert beat.duration < 120
    for lead in ("I", "aVL"):  # rS
        assert beat[lead].argmax() < beat[lead].argmin()
        assert beat.s(lead) > beat.r(lead) > 0.02
    for lead in ("III", "aVF"):  # qR
        assert beat[lead].argmin() < beat[lead].argmax()
        assert beat.r(lead) > 0.25


@pytest.mark.parametrize("k", SEEDS)
def test_pericarditis_elevates_st_in_most_leads_and_depresses_pr(k):
    simulated = clean("pericarditis", k)
    beat = Complex(simulated.signal)
    ii = simulated.signal[LEADS.index("II")]
    before_p = ii[beat.onset - 260 : beat.onset - 230].mean()
    assert ii[beat.onset - 20 : beat.onset - 8].mean() < before_p - 0.02
    assert all(beat.st(lead) > 0.1 for lead in ("I", "II", "aVF", "V4", "V5", "V6"))
    assert beat.st("aVR") < -0.1


@pytest.mark.parametrize("k", SEEDS)
def test_posterior_infarction_depresses_st_before_an_upright_t_in_v1_to_v3(k):
    beat = Complex(clean("STEMI-posterior", k).signal)
    assert all(beat.st(lead) <= -0.05 and beat.t(lead) >= 0.05 for lead in ("V1", "V2", "V3"))


def width_at_half(simulated, beat, lead):
    """Of the T wave, ms."""
    after = beat.signal[LEADS.index(lead), beat.offset + 60 : beat.onset + 480]
    peak = int(after.argmax())
    below = np.flatnonzero(after < 0.5 * after[peak])
    return below[below > peak].min() - below[below < peak].max()


@pytest.mark.parametrize("k", SEEDS)
def test_hyperkalaemia_has_tall_narrow_t_waves_and_flat_p_waves(k):
    simulated = clean("hyperkalaemia", k)
    beat = Complex(simulated.signal)
    for lead in ("V2", "V3", "V4"):
        assert beat.t(lead) >= 0.9 and width_at_half(simulated, beat, lead) < 90
    before = beat.signal[LEADS.index("II"), beat.onset - 200 : beat.onset - 20]
    assert np.abs(before).max() < 0.1


@pytest.mark.parametrize("k", SEEDS)
def test_hypokalaemia_has_u_waves_higher_than_flat_t_waves_and_low_st(k):
    simulated = clean("hypokalaemia", k)
    beat = Complex(simulated.signal)
    end_of_t = beat.onset + round(FS * simulated.parameters.qt)
    for lead in ("V2", "V3", "V4"):
        row = beat.signal[LEADS.index(lead)]
        u, t = row[end_of_t + 50 : end_of_t + 150].max(), row[beat.offset + 120 : end_of_t - 10].max()
        assert u >= 0.1 and u > t
    assert all(beat.st(lead) <= -0.05 for lead in ("V5", "V6"))


def free(simulated):
    """Onsets of P waves without a complex that neither QRS nor T hides, s."""
    p = simulated.parameters
    times = np.array([-9.0, *(beat.time for beat in p.beats), 99.0])
    after = [onset - times[times < onset][-1] for onset in p.dropped_p]
    before = [times[times > onset][0] - onset for onset in p.dropped_p]
    return [
        onset
        for onset, since, left in zip(p.dropped_p, after, before, strict=True)
        if since > 1.15 * p.qt and left > 0.15 and 1 < onset < 9.8
    ]


def looks_like_a_p_wave(simulated, onset, pattern_onset):
    """Whether the leads do at one place what they do at the other, within half the size of it, for 90 ms."""
    pieces = [simulated.signal[:, round(FS * at) : round(FS * at) + 90].astype(float) for at in (onset, pattern_onset)]
    found, pattern = (piece - piece[:, :1] for piece in pieces)
    return np.ptp(pattern) > 0.05 and np.abs(found - pattern).max() < 0.5 * np.ptp(pattern)


def rr_of(simulated):
    return np.diff(r_peaks(simulated.signal)) / FS


@pytest.mark.parametrize("k", SEEDS)
def test_in_mobitz_i_rr_gets_shorter_and_the_pause_is_shorter_than_two_of_them(k):
    simulated = clean("MobitzI", k)
    rr, pp = rr_of(simulated), 60 / simulated.parameters.atrial_rate
    pauses = np.flatnonzero(rr > 1.35 * pp)
    assert len(pauses) >= 2
    for first, second in pairwise(pauses):
        between = rr[first + 1 : second]
        assert len(between) >= 1
        assert (np.diff(between) < 0.02).all()  # shortening, but for breathing
        assert rr[second] < 2 * between.min()
    prs = [beat.pr for beat in simulated.parameters.beats]
    assert max(prs) > min(prs) + 0.05


@pytest.mark.parametrize("k", SEEDS)
def test_in_mobitz_ii_the_pause_is_two_intervals(k):
    simulated = clean("MobitzII", k)
    rr, pp = rr_of(simulated), 60 / simulated.parameters.atrial_rate
    pauses = rr > 1.5 * pp
    assert pauses.sum() >= 2
    np.testing.assert_allclose(rr[pauses], 2 * pp, atol=0.08)
    np.testing.assert_allclose(rr[~pauses], pp, atol=0.04)
    assert len({beat.pr for beat in simulated.parameters.beats}) == 1


@pytest.mark.parametrize("k", SEEDS)
def test_in_two_to_one_block_two_p_waves_come_to_each_complex(k):
    simulated = clean("AVB2to1", k)
    rr = rr_of(simulated)
    np.testing.assert_allclose(rr, 120 / simulated.parameters.atrial_rate, atol=0.08)
    assert 32 <= 60 / rr.mean() <= 47.5
    dropped = simulated.parameters.dropped_p
    assert abs(len(dropped) - len(simulated.parameters.beats)) <= 1
    conducted = simulated.parameters.beats[1]
    alone = free(simulated)
    assert len(alone) >= 2
    assert all(looks_like_a_p_wave(simulated, onset, conducted.time - conducted.pr) for onset in alone)


@pytest.mark.parametrize("k", SEEDS)
def test_in_third_degree_block_atria_and_ventricles_keep_their_own_time(k):
    simulated = clean("AVB3", k)
    rr, p = rr_of(simulated), simulated.parameters
    assert 60 / rr.mean() < 56 < p.atrial_rate
    assert np.ptp(rr) < 0.06
    onsets = np.array(p.dropped_p)
    np.testing.assert_allclose(np.diff(onsets), 60 / p.atrial_rate, atol=1e-9)
    ahead = [beat.time - onsets[onsets < beat.time][-1] for beat in p.beats if (onsets < beat.time).any()]
    assert np.ptp(ahead) > 0.15
    alone = free(simulated)
    assert len(alone) >= 3
    assert all(looks_like_a_p_wave(simulated, onset, alone[0]) for onset in alone[1:])


@pytest.mark.parametrize("k", SEEDS)
def test_supraventricular_tachycardia_is_fast_regular_and_narrow(k):
    simulated = clean("SVT", k)
    rr = rr_of(simulated)
    assert 148 < 60 / rr.mean() < 217
    assert np.ptp(rr[1:-1]) < 0.02
    beat = Complex(simulated.signal)
    fast = np.flatnonzero(beat.speed > 0.2 * beat.speed.max())
    runs = np.split(fast, np.flatnonzero(np.diff(fast) > 25) + 1)
    assert max(len(run) for run in runs) < 110  # QRS without the P wave after it
    assert simulated.labels[-1] == "426761007"
    assert not {"NSR", "STach", "AF", "AFL"} & {NAMES.get(code) for code in simulated.labels}


@pytest.mark.parametrize("k", SEEDS)
def test_ventricular_tachycardia_is_fast_and_wide_and_leaves_the_atria_alone(k):
    simulated = clean("VT", k)
    times = np.array([beat.time for beat in simulated.parameters.beats])
    assert 100 < 60 / np.diff(times).mean() < 215
    assert simulated.parameters.qrs >= 0.14
    assert 60 / np.diff(simulated.parameters.dropped_p).mean() < 101
    assert simulated.labels == ("164895002",)


@pytest.mark.parametrize("k", SEEDS)
def test_in_capture_failure_some_spikes_have_no_complex_after_them(k):
    simulated = clean("capture-failure", k)
    bend = np.abs(np.diff(simulated.signal.astype(float), n=2, axis=1)).max(axis=0)
    spikes = find_peaks(bend, height=0.3 * bend.max(), distance=20)[0] / FS
    complexes = np.array([beat.time for beat in simulated.parameters.beats])
    lost = np.array(simulated.parameters.lost_spikes)
    assert len(lost) >= 2
    for onset in lost[lost > 0.1]:
        assert np.abs(spikes - (onset - 0.01)).min() < 0.01
        assert np.abs(complexes - onset).min() > 0.5
    for onset in complexes[complexes > 0.1]:
        assert np.abs(spikes - (onset - 0.01)).min() < 0.01


@pytest.mark.parametrize("name", STATEMENTS)
def test_each_statement_can_be_asked_for_and_its_codes_are_written(tmp_path, name):
    for k in range(3):
        simulated = simulate(np.random.default_rng([42, k]), name.upper(), 250, 10)
        assert simulated.parameters.statement == name
        assert set(STATEMENTS[name].snomed) <= set(simulated.labels)
        assert np.isfinite(simulated.signal).all()
    path = write_recording(tmp_path, "A1", simulated)
    header, _ = read_recording(path)
    assert header.labels == simulated.labels
    said = STATEMENTS[name]
    assert path.read_text().splitlines()[-3:] == [
        f"#Statement: {said.words}",
        f"#PTB-XL: {','.join(said.ptb_xl)}",
        f"#AHA: {','.join(map(str, said.aha))}",
    ]


def test_the_statements_follow_the_scored_diagnoses_in_turn_and_change_none_of_them():
    assert diagnosis_of("wpw") == "WPW"
    wide = SETS["statements"]
    assert wide[:24] == SETS["challenge"]
    for k in (3, 25, 41):
        found = simulate_recording(9, k, None, 250, 5, "statements")
        assert found.parameters.statement == ("" if k <= 24 else wide[k - 1])
    plain, same = simulate_recording(9, 3, None, 250, 5), simulate_recording(9, 3, None, 250, 5, "statements")
    np.testing.assert_array_equal(plain.signal, same.signal)
