"""What the networks of the measurements are fitted to: marks of a database and of the simulator, draws, losses."""

import math
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks

from ecg.leads import LEADS
from ecg.measurements import boundary_network as marks
from ecg.measurements.measure import RATE, prepare
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import simulate, simulate_recording
from ecg.simulator.write import write_recording
from ecg.training import fit_measurements as fit

ON = np.ones(12, dtype=bool)


# --- Marks


def test_a_wave_has_the_brackets_beside_it_for_its_ends():
    symbols = ["p", ")", "(", "N", ")", "(", "t", "(", "p", ")", "N", "t", ")", "x", "N"]
    found = [(s, *(None if math.isnan(x) else x for x in (a, p, b))) for s, a, p, b in fit._waves(range(15), symbols)]
    assert found == [
        ("p", None, 0, 1),
        ("N", 2, 3, 4),
        ("t", 5, 6, None),
        ("p", 7, 8, 9),
        ("N", None, 10, None),
        ("t", None, 11, 12),
        ("N", None, 14, None),
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_in_any_order_of_marks_only_the_neighbours_of_a_wave_are_its_ends(count):
    for symbols in product("(p)x", repeat=count):
        padded = ["", *symbols, ""]
        waves = [k for k in range(1, count + 1) if padded[k] == "p"]
        expected = [
            (10 * (k - 1) if padded[k - 1] == "(" else None, 10 * k, 10 * (k + 1) if padded[k + 1] == ")" else None)
            for k in waves
        ]
        found = fit._waves([10 * k for k in range(1, count + 1)], list(symbols))
        assert [tuple(None if math.isnan(x) else x for x in wave[1:]) for wave in found] == expected, symbols


def annotate(record, truth, middles, more=((),) * 12):
    """Write the marks of each lead, samples at 250 Hz, (n_beats, 12, 6); without those that are NaN."""
    for k, lead in enumerate(LEADS):
        rows = list(more[k])
        for b, middle in enumerate(middles):
            waves = (("p", truth[b, k, :2]), ("N", truth[b, k, 2:4]), ("t", truth[b, k, 4:]))
            rows += [
                row
                for symbol, (first, last) in waves
                if first == first
                for row in (
                    (first, "("),
                    (round(middle) if symbol == "N" else (first + last) // 2, symbol),
                    (last, ")"),
                )
            ]
        rows.sort()
        samples, symbols = zip(*rows, strict=True)
        samples = np.array(samples, dtype=np.int64)
        wfdb.wrann(record.name, "lead", samples, list(symbols), fs=250, write_dir=str(record.parent))
        record.with_suffix(".lead").rename(record.with_suffix(f".{lead.lower()}"))


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A recording at 250 Hz with marks in each lead, some of them left out; and the marks, in samples."""
    folder, fs = tmp_path_factory.mktemp("ludb"), 250
    made = simulate(np.random.default_rng(4), "NSR", fs, 10, Noise(), comorbidity=False)
    p = made.parameters
    beats = [beat for beat in p.beats if 0.5 < beat.time < 9]
    onset = np.array([beat.time for beat in beats])[:, None, None] * fs
    ends = np.array([-p.pr, -p.pr + 0.1, 0, p.qrs, 0.22, p.qt]) * fs
    inside = np.array([1, -1] * 3) * np.random.default_rng(0).permuted(np.tile(np.arange(12) // 2, (6, 1)), axis=1).T
    truth = np.rint(onset + ends + inside)  # each lead so many samples inside
    truth[2, :6, :2] = np.nan  # six leads are left with P
    truth[3, :7, :2] = np.nan  # five
    truth[2, :4, 4:] = np.nan  # eight with T
    truth[3, :5, 4:] = np.nan  # seven
    truth[4, 8, 2:4] = np.nan  # no complex, so nothing
    # A P wave before the P wave, and what follows a T wave.
    more = [[(truth[5, 0, 0] - 30 + k % 2, "p"), (truth[5, 0, 5] + 20, "t")] for k in range(12)]
    annotate(folder / "7", truth, onset[:, 0, 0] + 0.03 * fs, more)
    truth[4, 8] = np.nan
    return write_recording(folder, "7", made), made, truth


def test_marks_of_a_recording_are_relative_to_its_beats(marked):
    path, made, truth = marked
    found, prepared = fit.ludb_example(path), prepare(made.signal, 250.0)
    used = prepared.beats[prepared.usable] / 2  # at 250 Hz
    assert len(found.beats) == len(used) == len(found.whole) == len(found.leads)
    assert found.on.all()
    near = 0
    for beat, whole, leads in zip(used, found.whole, found.leads, strict=True):
        distance = np.abs(truth[:, 0, 2] + 12 - beat)
        if distance.min() > 25:
            assert np.isnan(whole).all() and np.isnan(leads).all()
            continue
        expected = marks.CENTRE + truth[distance.argmin()] - beat
        np.testing.assert_allclose(leads, expected, atol=1e-6)
        near += 1
        for j, fewest in enumerate((6, 6, 8, 8, 8, 8)):
            known = sorted(value for value in expected[:, j] if value == value)
            second = known[1] if j % 2 == 0 else known[-2]
            assert whole[j] == pytest.approx(second if len(known) >= fewest else math.nan, nan_ok=True)
    assert near == len(truth)


@pytest.mark.parametrize("columns", [slice(0, 2), slice(4, 6)])
def test_a_wave_that_a_beat_lacks_is_not_taken_from_the_next(tmp_path, columns):
    made = simulate(np.random.default_rng(4), "NSR", 250, 10, Noise(), comorbidity=False)
    times = np.array([beat.time for beat in made.parameters.beats])
    onset = np.rint(250 * times[(times > 0.5) & (times < 9)])
    truth = np.tile(onset[:, None, None] + [-40, -20, 0, 25, 50, 90], (1, 12, 1))
    for b in range(len(truth)):
        truth[b, [b % 12, (b + 7) % 12], columns] = np.nan
    assert 5 < len(truth) <= 12
    path = write_recording(tmp_path, "7", made)
    annotate(tmp_path / "7", truth, onset + 8)
    found = fit.ludb_example(path)
    near = 0
    for leads in found.leads:
        if np.isfinite(leads[:, 2]).all():
            assert np.isnan(leads[:, columns]).all(axis=1).sum() == 2
            np.testing.assert_array_equal(np.isnan(leads), np.isnan(truth[near]))
            near += 1
    assert near == len(truth)


def test_windows_have_the_beat_in_the_middle(marked):
    path, _, _ = marked
    found = fit.ludb_example(path)
    assert found.beats.shape[1:] == (12, marks.N_SAMPLES)
    near = slice(marks.CENTRE - 50, marks.CENTRE + 50)
    largest = np.abs(found.beats[:, :, near]).max(axis=1).argmax(axis=1)
    assert np.abs(largest - 50).max() <= 2


def test_a_window_is_the_means_of_pairs_around_a_beat_and_the_signal_stands_still_beyond_its_ends():
    n = 900
    signal = np.random.default_rng(0).normal(size=(12, n)).astype(np.float32)
    beats, which = np.array([0, 3, 450, n - 1]), np.array([0, 2, 3])
    found = fit._windows(SimpleNamespace(signal=signal, beats=beats), which)
    assert found.shape == (3, 12, marks.N_SAMPLES)
    for window, beat in zip(found, beats[which], strict=True):
        first = beat + 2 * (np.arange(marks.N_SAMPLES) - marks.CENTRE)
        pairs = [signal[:, np.clip(first + k, 0, n - 1)] for k in (0, 1)]
        np.testing.assert_allclose(window, (pairs[0] + pairs[1]) / 2, atol=1e-6)


def test_a_recording_without_beats_is_named(tmp_path):
    made = simulate(np.random.default_rng(4), "NSR", 250, 4, Noise())
    path = write_recording(tmp_path, "3", replace(made, signal=np.tile(np.arange(1000) % 2 / 1000, (12, 1))))
    with pytest.raises(ValueError, match=r"3\.hea: expected beats, found none"):
        fit.ludb_example(path)


def test_simulated_marks_are_what_was_laid_down():
    numbers = range(1, 5)
    found = fit.simulated_examples(len(numbers), seed=5)
    hearts = []
    for k in numbers:
        made = simulate_recording(5, k)
        if any(beat.origin not in ("atrial", "ventricular") for beat in made.parameters.beats):
            hearts.append(made)
    assert len(found) == len(hearts)
    kinds = set()
    for example, made in zip(found, hearts, strict=True):
        p = made.parameters
        kinds.add(p.pr is None)
        prepared = prepare(made.signal, made.sampling_frequency)
        assert 0 < len(example.beats) <= prepared.usable.sum()
        onsets = np.array([b.time for b in p.beats if b.origin not in ("atrial", "ventricular")])
        lengths = np.diff(example.whole, axis=1)
        np.testing.assert_allclose(lengths[:, 2], 250 * p.qrs)
        np.testing.assert_allclose(example.whole[:, 5] - example.whole[:, 2], 250 * p.qt)
        assert np.isnan(example.whole[:, 4]).all() and np.isnan(example.leads).all()
        assert example.leads.shape == (len(example.beats), 12, 6)
        with_p = np.isfinite(example.whole[:, 0])
        np.testing.assert_allclose(lengths[with_p, 0], 250 * 0.1)
        prs = {round(b.pr, 6) for b in p.beats if b.pr is not None}
        assert {round(float(pr), 6) for pr in (example.whole[with_p, 2] - example.whole[with_p, 0]) / 250} <= prs
        if p.rhythm in ("fibrillation", "flutter"):
            assert not with_p.any()
        # The beat is where the window says: the onset of QRS lies at one that was laid down.
        times = prepared.beats[prepared.usable] / RATE
        starts = times[:, None] + (example.whole[:, 2] - marks.CENTRE) / 250
        assert (np.abs(starts[:, :, None] - onsets).min(axis=2).min(axis=0) < 1e-6).all()
        assert (np.abs(example.whole[:, 2] - marks.CENTRE + 12) < 50).all()
    assert kinds == {True, False}


# --- Draws


N_DRAWS = 120
SPIKES = (60.0, 80.0, 96.0, 130.0, 180.0, 230.0)


def spiked(column):
    """Two beats of which each lead has a spike at one of its marks, the second beat's 16 samples later."""
    leads = np.array(SPIKES) + 2 * (np.arange(12) % 3)[:, None] + np.array([0, 16])[:, None, None]
    t = np.arange(marks.N_SAMPLES)
    beats = np.exp(-0.5 * ((t - leads[:, :, column, None]) / 1.5) ** 2).astype(np.float32)
    return fit.Example(beats, leads.min(axis=1), leads, np.arange(12) != 4)


@pytest.mark.parametrize("column", [0, 5])
def test_marks_go_where_the_beat_goes(column):
    example, rng = spiked(column), np.random.default_rng(column)
    seen = {"mixed": 0, "off": 0, "turned": 0, "one beat": 0}
    stretches, shifts = [], []
    for _ in range(N_DRAWS):
        x, on, whole, leads = fit.draw(example, rng)
        assert x.shape == (2, 12, marks.N_SAMPLES) and x.dtype == np.float32
        assert not on[4] and on.any() and not x[:, ~on].any()
        assert np.isnan(leads[~on]).all()
        seen["off"] += on.sum() < 11
        stretch = (whole[5] - whole[0]) / (SPIKES[5] - SPIKES[0])
        stretches.append(math.log(stretch))
        middles = np.array(SPIKES) + np.array([0, 8, 16])[:, None]
        shifts.append(np.abs(whole - marks.CENTRE - (middles - marks.CENTRE) * stretch).max(axis=1).min())
        if np.isnan(leads).all():
            seen["mixed"] += 1
            continue
        for k in np.flatnonzero(on):
            wave = x[0, k] - np.linspace(x[0, k, 0], x[0, k, -1], marks.N_SAMPLES)
            peaks, _ = find_peaks(np.abs(wave), prominence=0.4 * np.abs(wave).max())
            assert len(peaks) <= 2
            assert peaks.mean() == pytest.approx(leads[k, column], abs=1.5)
            np.testing.assert_allclose(leads[k] - whole, 2 * (k % 3) * stretch, atol=1e-6)
        seen["turned"] += wave[peaks[0]] < 0
        seen["one beat"] += len(peaks) == 1
    assert np.std(stretches) == pytest.approx(0.15, rel=0.25) and np.abs(stretches).max() <= 0.4 + 1e-9
    assert 6 < max(shifts) <= 8
    assert seen["mixed"] / N_DRAWS == pytest.approx(0.4, abs=0.12)
    assert seen["off"] / N_DRAWS == pytest.approx(0.25, abs=0.12)
    assert seen["turned"] / (N_DRAWS - seen["mixed"]) == pytest.approx(0.15, abs=0.12)
    assert seen["one beat"] / (N_DRAWS - seen["mixed"]) == pytest.approx(0.3, abs=0.15)


@settings(max_examples=40)
@given(st.lists(st.lists(st.sampled_from([math.nan, 1.0, 2.0, 5.0, 9.0]), min_size=2, max_size=2), min_size=1))
def test_a_median_is_that_of_the_known_values(rows):
    values = np.array(rows)
    for found, column in zip(fit._median(values), values.T, strict=True):
        known = column[np.isfinite(column)]
        assert found == pytest.approx(np.median(known) if len(known) else math.nan, nan_ok=True)


# --- Networks


def test_the_loss_is_cross_entropy_with_a_bell_around_each_known_mark():
    rng = np.random.default_rng(0)
    logits, allowed = rng.normal(0, 2, (3, 4, 60)), np.zeros((4, 60), dtype=bool)
    allowed[np.arange(4), :] = (np.arange(60) >= np.array([0, 5, 10, 20])[:, None]) & (np.arange(60) < 50)
    at = rng.uniform(0, 60, (3, 4))
    at[0, 1], at[1, 2], at[2, 3] = np.nan, 3.0, 58.0  # not known, and far outside of where it may be
    each = []
    for i, j in np.ndindex(at.shape):
        if np.isnan(at[i, j]):
            continue
        bell = [math.exp(-0.5 * ((k - at[i, j]) / 2) ** 2) * allowed[j, k] for k in range(60)]
        if sum(bell) > 1:
            total = math.log(sum(math.exp(logits[i, j, k]) for k in range(60) if allowed[j, k]))
            each.append(sum(b * (total - x) for b, x in zip(bell, logits[i, j], strict=True) if b) / sum(bell))
    assert 6 < len(each) < 11
    found = fit._loss(*map(torch.from_numpy, (logits, at, allowed)))
    assert float(found) == pytest.approx(np.mean(each), rel=1e-6)
    nothing = fit._loss(torch.from_numpy(logits), torch.full((3, 4), math.nan), torch.from_numpy(allowed))
    assert float(nothing) == 0


def test_in_training_a_tenth_of_what_leads_say_together_is_forgotten_for_a_whole_beat():
    given, n_leads = [], 12
    x, on = torch.randn(8, 2, n_leads, marks.N_SAMPLES, generator=torch.Generator().manual_seed(0)), torch.ones(8, 12)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = fit.BoundaryNetwork()
        network.whole[0].register_forward_pre_hook(lambda layer, words: given.append(words[0].detach()))
        network.eval()(x, on)
        network.train()(x, on)
    usual, trained = given
    kept = torch.isclose(trained, usual / 0.9).all(dim=2)
    forgotten = (trained == 0).all(dim=2)
    assert (kept | forgotten).all()
    assert float(forgotten.float().mean()) == pytest.approx(0.1, abs=0.06)


def test_a_network_is_that_of_its_seed_and_learns_from_both_kinds(monkeypatch):
    draw, drawn, real, simulated = fit.draw, [], [spiked(0)], [spiked(3), spiked(4)]

    def noted(example, rng):
        drawn.append([example is each for each in (*real, *simulated)].index(True))
        return draw(example, rng)

    monkeypatch.setattr(fit, "draw", noted)
    monkeypatch.setattr(fit, "_FROM_LUDB", 2)
    monkeypatch.setattr(fit, "_FROM_SIMULATOR", 1)
    first, again, other = (fit.fit_network(real, simulated, 2, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["whole_marks.weight"], other["whole_marks.weight"])
    assert [each == 0 for each in drawn] == ([True] * 2 + [False]) * 6 and set(drawn) == {0, 1, 2}


def test_what_tells_p_waves_weighs_both_kinds_alike_and_takes_numbers_as_they_come(monkeypatch):
    monkeypatch.setattr(fit, "_P_STEPS", 100)
    rng = np.random.default_rng(0)
    present = rng.random(400) < 0.9
    numbers = rng.normal(size=(400, 3)) * [1, 100, 0.01] + [5, 0, -3]
    numbers[:, 1] += 100 * present
    fitted = fit.fit_p_waves(numbers, present)
    assert {name: values.shape for name, values in fitted.items()} == {
        "p_waves.0.weight": (8, 3), "p_waves.0.bias": (8,), "p_waves.1.weight": (1, 8), "p_waves.1.bias": (1,),
    }  # fmt: skip
    hidden = np.tanh(numbers @ fitted["p_waves.0.weight"].T + fitted["p_waves.0.bias"])
    likely = 1 / (1 + np.exp(-(hidden @ fitted["p_waves.1.weight"].T + fitted["p_waves.1.bias"])[:, 0]))
    # At the optimum what is too much in one kind is too little in the other, up to the penalty of the bias.
    assert np.mean(1 - likely[present]) == pytest.approx(np.mean(likely[~present]), abs=0.01)
    assert likely[present].mean() > 0.6 > 0.4 > likely[~present].mean()


def test_p_waves_are_learned_from_clear_rhythms_outside_fold_9(tmp_path, monkeypatch):
    sinus, fibrillation, flutter, paced = "426783006", "164889003", "164890007", "10370003"
    rows = [
        (1, (sinus,), True),
        (2, (fibrillation, "59118001"), False),
        (10, (flutter,), False),
        (9, (sinus,), None),
        (3, (sinus, flutter), None),
        (4, (sinus, paced), None),
        (5, ("59118001",), None),
        (6, ("427393009",), True),
        (7, ("426177001", "427084000"), True),
        (8, (sinus,), None),  # without beats
    ]
    text = "".join(f"R{k:02d},here,{fold}\n" for k, (fold, _, _) in enumerate(rows))
    (tmp_path / "folds.csv").write_text("record,database,fold\n" + text)
    made = simulate(np.random.default_rng(0), "NSR", 250, 2, Noise())
    for k, (_, labels, _) in enumerate(rows):
        signal = np.tile([k / 10, -1.0], (12, 250))
        write_recording(tmp_path, f"R{k:02d}", replace(made, labels=labels, signal=signal))
    write_recording(tmp_path, "unplaced", replace(made, labels=(sinus,)))
    seen = []
    monkeypatch.setattr(fit, "_evidence", lambda signal, rate: seen.append(rate) or evidence(signal))

    def evidence(signal):
        return None if signal[0, 0] > 0.85 else np.array([round(10 * float(signal[0, 0]))])

    numbers, present = fit.p_wave_evidence_of(tmp_path)
    kept = [(k, wanted) for k, (_, _, wanted) in enumerate(rows) if wanted is not None]
    assert numbers[:, 0].tolist() == [k for k, _ in kept]
    assert present.tolist() == [wanted for _, wanted in kept]
    assert set(seen) == {250.0}


def test_all_is_fitted_to_recordings_and_to_simulated_rhythms(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "_SIMULATED_RHYTHMS", 6)
    network, given_to = torch.nn.Linear(2, 1), []
    monkeypatch.setattr(fit, "fit_network", lambda *words, **options: given_to.append((words, options)) or network)
    monkeypatch.setattr(fit, "with_leads", lambda simulated, real: [*simulated, *real])
    monkeypatch.setattr(fit, "p_wave_evidence_of", lambda data: (np.zeros((2, 1)), np.array([True, False])))
    hearts = [simulate_recording(22, k) for k in range(1, 7)]
    unmeasured = float(hearts[2].signal[0, 100])

    def evidence(signal, rate):
        return None if signal[0, 100] == unmeasured else np.array([float(signal[0, 100])])

    monkeypatch.setattr(fit, "_evidence", evidence)
    used = []
    monkeypatch.setattr(marks, "use_parameters", used.append)
    monkeypatch.setattr(fit, "fit_p_waves", lambda numbers, present: {"p": np.stack([numbers[:, 0], present])})
    found = fit.fit_all(["real"], ["simulated"], tmp_path, 3)
    assert given_to == [((["real"], ["simulated", "real"], 3), {"seed": 0})]
    assert set(found) == {"weight", "bias", "p"} and used[-1] is found and set(used[0]) == {"weight", "bias"}
    del hearts[2]
    np.testing.assert_array_equal(found["p"][0], [0, 0, *(float(heart.signal[0, 100]) for heart in hearts)])
    assert found["p"][1].tolist() == [1, 0, *(heart.parameters.pr is not None for heart in hearts)]


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path, monkeypatch):
    for name in ("10", "9", "2"):
        made = simulate(np.random.default_rng(0), "NSR", 250, 2, Noise())
        write_recording(tmp_path, name, made)
    threads = torch.get_num_threads()
    monkeypatch.setattr(fit, "ludb_example", lambda path: path.stem)
    monkeypatch.setattr(fit, "simulated_examples", lambda: ["simulated"])
    monkeypatch.setattr(fit, "fit_all", lambda *words: {"words": np.array(len(words)), **seen(words)})
    monkeypatch.setattr(marks, "FITTED", tmp_path / "fitted.safetensors")
    given_to = []

    def seen(words):
        given_to.append(words)
        return {}

    try:
        fit.fit_folder(tmp_path, tmp_path / "data", 7)
    finally:
        torch.set_num_threads(threads)
    assert given_to == [(["2", "9", "10"], ["simulated"], tmp_path / "data", 7)]
    assert (tmp_path / "fitted.safetensors").stat().st_size > 0
