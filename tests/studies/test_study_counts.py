"""What studies count: simulated recordings, whole beats, pooled databases, codes of acute findings."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecg.simulator.simulate import simulate_recording
from ecg.simulator.truth import truth_of
from ecg.studies import acute_sensitivity, markdown_tables, measurement_accuracy, statement_quality
from ecg.studies import cross_validation as study
from ecg.studies.cross_validation import Options, Split
from ecg.training.dataset import Dataset
from tiny import random_dataset, tiny


def test_simulated_recordings_are_learned_from_and_validate_nothing(tmp_path, monkeypatch):
    dataset = random_dataset(20)
    dataset = Dataset(dataset.entries, dataset._signals, n_simulated=4)
    asked, saved = [], []

    def train(method, dataset, inside, outside, options):
        asked.append((sorted(inside), sorted(outside), options.number, options.seed, options.epochs))
        options.checkpoint.write_text("kept until all members are there")
        return f"member {options.number}"

    part = np.arange(12) % 4 == 1
    part[5] = False
    monkeypatch.setattr(study, "train_member", train)
    monkeypatch.setattr(study, "validation_part", lambda dataset, rows, seed: part)
    monkeypatch.setattr(study, "validation_scores", lambda method, dataset, member: {"of": member})
    monkeypatch.setattr(study, "save_model", lambda *words: saved.append(words))
    split = Split("fold 1", np.arange(12), np.arange(12, 16))
    method = tiny(use_for_training=lambda labels, seconds: bool(labels[0]))  # every third one has the first class
    options = Options(tmp_path, tmp_path, "folds", members=2, seed=9, epochs=3)
    study.train_split(method, dataset, split, tmp_path / "model", options, torch.device("cpu"))
    assert asked == [([0, 3, 6, 16, 17, 18, 19], [9], number, 9, 3) for number in (0, 1)]
    [(folder, _, members, summary, scores)] = saved
    assert (folder, members) == (tmp_path / "model", ["member 0", "member 1"])
    assert (summary["recordings"], summary["simulated"], summary["databases"]) == (4, 4, {"Test": 4})
    assert scores == [{"of": "member 0"}, {"of": "member 1"}]
    assert not list(tmp_path.glob("*.ckpt"))


def answered(*names, own="PTB-XL"):
    databases = np.array(names)
    return SimpleNamespace(databases=databases, in_database=databases == own)


def test_databases_of_one_hospital_and_those_of_the_other_ones_go_together():
    rest = ["CPSC", "CPSC-Extra", "Chapman-Ningbo", "Georgia"]
    groups = markdown_tables.groups([answered("PTB-XL", *rest), answered("Ningbo-Chapman")])
    assert list(groups.items())[6:] == [
        ("CPSC + CPSC-Extra", ["CPSC", "CPSC-Extra"]),
        ("CPSC + CPSC-Extra + Chapman-Ningbo + Ningbo-Chapman", [*rest[:3], "Ningbo-Chapman"]),
        ("all but PTB-XL", [*rest, "Ningbo-Chapman"]),
    ]
    assert list(groups)[:6] == sorted([*rest, "Ningbo-Chapman", "PTB-XL"])
    assert markdown_tables.parts([answered("B", "A")]) == {"all": ["A", "B"]}


def test_an_acute_finding_has_the_statements_codes_of_the_list():
    assert acute_sensitivity.EXPECTED == {
        "STEMI-anterior": (145,),  # ST deviation
        "STEMI-inferior": (145,),
        "STEMI-lateral": (145,),
        "MobitzI": (83, 86),  # by its own code, or as a block of varying conduction
        "MobitzII": (84, 86),
        "AVB2to1": (85, 86),
        "AVB3": (88,),  # complete AV block
        "VT": (70, 72, 73, 74, 76),
        "SVT": (20, 21, 27, 50, 51, 55, 56),
        "capture-failure": (186,),
    }


@pytest.fixture(scope="module")
def recordings():
    return {k: simulate_recording(4, k, "NSR" if k < 3 else "PVC", seconds=6) for k in range(1, 5)}


def test_beats_cut_off_at_an_end_count_neither_as_found_nor_as_missed(monkeypatch, recordings):
    """Of each recording only the first whole beat is found, and all that are cut off; one detection is 60 ms off."""
    given = iter(recordings.values())

    def measure(signal, rate):
        truth = truth_of(next(given))
        samples = truth.r_samples
        edge = (samples < 50) | (samples >= signal.shape[1] - 50)
        found = np.sort(np.r_[samples[edge], samples[~edge][:1] + 20, samples[~edge][1] + 30])
        nothing = SimpleNamespace(samples=found, kinds=("dominant",) * len(found))
        return SimpleNamespace(beats=nothing, heart_rate_bpm=60.0, p_ms=np.nan, pr_ms=150.0, qrs_ms=90.0, qt_ms=400.0,
                               qrs_axis_deg=truth.qrs_axis_deg + 350)  # fmt: skip

    monkeypatch.setattr(measurement_accuracy, "measure", measure)
    monkeypatch.setattr(measurement_accuracy, "simulate_recording", lambda seed, k: recordings[k])
    text = measurement_accuracy.against_simulator(4, 1)
    whole = []
    for made in recordings.values():
        samples = truth_of(made).r_samples
        whole.append(int(((samples >= 50) & (samples < 2950)).sum()))
    rows = {
        line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[1:] for line in text.splitlines() if "|" in line
    }
    total = sum(whole)
    assert rows["all"] == [str(total), f"{400 / total:.2f} %", "50.00 %", str(total - 4), "4"]
    assert rows["sinus rhythm"][0] == str(sum(whole[:2])) and rows["premature beats"][0] == str(sum(whole[2:]))
    assert rows["QRS axis"] == ["-10.0", "0.0", "10.0", "4", "0", "0"]
    assert rows["P"][3:] == ["0", "4", "0"]


def test_beats_called_of_a_kind_count_over_the_whole_recording(monkeypatch, recordings):
    """Every beat is found, and the first whole one of each recording is called ectopic, which it isn't."""
    given = iter(recordings.values())

    def measure(signal, rate):
        truth = truth_of(next(given))
        first = np.flatnonzero(truth.r_samples >= 50)[0]
        assert truth.kinds[first] == "dominant"
        beats = SimpleNamespace(
            samples=truth.r_samples,
            kinds=tuple("ectopic" if k == first else kind for k, kind in enumerate(truth.kinds)),
        )
        return SimpleNamespace(beats=beats, **dict.fromkeys(("heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms",
                               "qrs_axis_deg"), 60.0))  # fmt: skip

    monkeypatch.setattr(measurement_accuracy, "measure", measure)
    monkeypatch.setattr(measurement_accuracy, "simulate_recording", lambda seed, k: recordings[k])
    n = sum(truth_of(made).kinds.count("ectopic") for made in recordings.values())
    [row] = [line for line in measurement_accuracy.against_simulator(4, 1).splitlines() if "called ectopic" in line]
    assert row == f"| called ectopic | {n} | 100.00 % | {100 * n / (n + 4):.2f} % | 0 | 4 |"


@pytest.mark.parametrize(
    ("limb", "chest", "found"),
    [(0.5, 3.0, 1.0), (0.4, 3.0, 0.8), (2.0, 0.7, 0.7), (1.0, 1.5, 1.5), (np.nan, 2, np.nan)],
)
def test_low_voltage_is_measured_by_the_group_of_leads_that_is_lower(limb, chest, found):
    r, q, s = np.full(12, 0.05), np.full(12, -0.01), np.full(12, -0.02)
    r[4], s[4] = limb - 0.1, -0.1
    r[9], q[9] = chest - 0.3, -0.3
    measured = SimpleNamespace(amplitudes=SimpleNamespace(r=r, q=q, s=s))
    assert measurement_accuracy._score(measured, "-voltage") == pytest.approx(-found, nan_ok=True)


def test_statements_are_counted_by_database_with_their_age_and_convention(tmp_path, monkeypatch):
    counted = []

    class Counting(statement_quality.Quality):
        def add(self, statements, measured, labels, *, age, definitions):
            counted.append((id(self), statements, measured, labels, age, definitions))
            self.recordings += 1

    def interpret(paths, models, definitions):
        assert (models, definitions) == (["model of m"], "ptb-xl")
        return [SimpleNamespace(statements=[path.stem], measured=None if path.stem == "C" else 7) for path in paths]

    paths = [tmp_path / f"{name}.hea" for name in "ABCD"]
    monkeypatch.setattr(statement_quality, "Quality", Counting)
    monkeypatch.setattr(statement_quality, "in_folds", lambda data, folds: paths if folds == (3,) else [])
    monkeypatch.setattr(
        statement_quality, "read_folds", lambda data: {"A": ("one", 3), "B": ("two", 3), "C": ("two", 3)}
    )
    monkeypatch.setattr(statement_quality, "load_model", lambda folder: f"model of {folder}")
    monkeypatch.setattr(statement_quality, "interpret_recordings", interpret)
    monkeypatch.setattr(statement_quality, "read", lambda path: SimpleNamespace(labels=[path.stem], age=50.0))
    table = statement_quality.measure_statements(tmp_path, ["m"], "ptb-xl", 3).splitlines()
    assert [row[1:] for row in counted] == [([name], 7, [name], 50.0, "ptb-xl") for name in "ABD"]
    assert table[0] == "| | one | two | all |" and table[2] == "| recordings | 1 | 1 | 1 |"
    with pytest.raises(ValueError, match=r"expected recordings \(of the fold\), found none"):
        statement_quality.measure_statements(tmp_path, [], "clinical", None)
