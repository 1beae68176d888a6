"""Networks trained on two sets of diagnoses at once, and recordings whose size is invented."""

import csv
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import team_code
from ecg.labels.diagnoses import CHALLENGE_2020, DiagnosesError, join, load_diagnoses
from ecg.measurements.features import FEATURES
from ecg.methods import robust
from ecg.methods.base import as_scored
from ecg.methods.hybrid import hybrid
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import load_model
from ecg.networks.boosted_trees import BoostedTrees
from ecg.networks.losses import binary_cross_entropy
from ecg.training.dataset import build_dataset
from ecg.training.train_folder import train_folder
from tiny import fit_boosted_trees, heart_like, write_recording

PTB_XL = load_diagnoses("ptb-xl")
BOTH = join(CHALLENGE_2020, PTB_XL)
SETTINGS = "hybrid:width=0.25,averaged=2,convolutions=true"


def test_a_joined_set_has_the_classes_of_both_and_the_normal_rhythm_of_the_first():
    assert BOTH.classes == CHALLENGE_2020.classes + PTB_XL.classes
    assert BOTH.normal == CHALLENGE_2020.normal
    assert [row.part for row in BOTH.rows] == ["challenge-2020"] * 24 + ["ptb-xl"] * 71
    with pytest.raises(DiagnosesError, match="each code once"):
        join(CHALLENGE_2020, load_diagnoses("challenge-2021"))


@pytest.mark.parametrize(
    ("codes", "known"), [(("426783006",), [True, False]), (("SR",), [False, True]), (("SR", "164889003"), [True, True])]
)
def test_what_a_recording_has_no_code_of_is_not_known(codes, known):
    targets = as_scored(codes, np.zeros((12, 10), np.float32), BOTH)
    assert np.isfinite(targets[:24]).all() == np.isfinite(targets[:24]).any() == known[0]
    assert np.isfinite(targets[24:]).all() == np.isfinite(targets[24:]).any() == known[1]
    assert np.nansum(targets) == len(codes)


def test_a_target_that_is_not_known_has_no_part_in_the_loss():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(5, 4)), rng.random((5, 4)).round()
    targets[rng.random((5, 4)) < 0.4] = np.nan
    each = [
        -math.log(1 / (1 + math.exp(-x))) if y == 1 else -math.log(1 - 1 / (1 + math.exp(-x)))
        for x, y in zip(logits.ravel(), targets.ravel(), strict=True)
        if y == y
    ]
    assert float(binary_cross_entropy(torch.tensor(logits), torch.tensor(targets))) == pytest.approx(np.mean(each))


def test_trees_are_fitted_to_the_recordings_with_a_known_target():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 6)).astype(np.float32)
    targets = (features[:, :1] > 0).astype(np.float32)
    targets[120:] = np.nan
    found, expected = BoostedTrees(1, 5), BoostedTrees(1, 5)
    fit_boosted_trees(found, features, targets, 0)
    fit_boosted_trees(expected, features[:120], targets[:120], 0)
    torch.testing.assert_close(found.state_dict(), expected.state_dict())


def recordings(folder: Path) -> None:
    folder.mkdir()
    lines = ["record,database,fold"]
    for k in range(24):
        name = f"R{k:02d}"
        write_recording(folder, name, heart_like(4, seed=k), dx="426783006" if k % 2 else "164889003")
        lines.append(f"{name},{'shapes' if k % 3 == 0 else 'own'},{k % 4 + 1}")
    (folder / "folds.csv").write_text("\n".join(lines) + "\n")
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["record", "codes"], *([f"R{k:02d}", "SR;LVOLT" if k % 2 else "AFIB;LVH"] for k in range(20))]
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    recordings(folder / "data")
    train_folder(
        folder / "data",
        folder / "model",
        method=SETTINGS,
        members=1,
        epochs=1,
        workers=1,
        device="cpu",
        labels=str(folder / "data" / "labels.csv"),
        also=("ptb-xl", folder / "statements"),
        shape_only=("shapes",),
    )
    return folder


def test_one_training_writes_a_model_for_each_set(trained):
    load = partial(load_model, builders=find_methods(), device=torch.device("cpu"))
    challenge, statements = load(trained / "model"), load(trained / "statements")
    assert challenge.method.diagnoses == CHALLENGE_2020 and statements.method.diagnoses == PTB_XL
    assert challenge.networks[0].convolutions is None  # it has reward weights
    assert statements.networks[0].convolutions.kernels.any()
    states = [model.networks[0].network.state_dict() for model in (challenge, statements)]
    for key in states[0].keys() - {"fc.weight", "fc.bias"}:  # so what both share need not be computed twice
        torch.testing.assert_close(states[0][key], states[1][key], rtol=0, atol=0)
    counted = [model.config["members"][0]["validation"]["all"]["recordings"] for model in (challenge, statements)]
    assert counted == [6, 5]  # the statements of R20 are not known


def test_a_part_says_what_the_whole_says():
    whole, part = (hybrid(0.25, averaged=2, convolutions=True, diagnoses=each) for each in (BOTH, PTB_XL))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = whole.build_network()
        for name, value in network.named_buffers():
            if name in ("trees.leaf", "convolutions.kernels", "convolutions.weight"):
                value.normal_()
        signal, features = torch.randn(3, 12, 601), torch.randn(3, 5 + len(FEATURES))
    columns = [BOTH.classes.index(code) for code in PTB_XL.classes]
    selected = part.build_network()
    assert whole.training.select_classes is not None
    selected.load_state_dict(whole.training.select_classes(network.state_dict(), columns))
    lengths = torch.tensor([601, 400, 500])
    batch = robust.base.Batch(signal, lengths, features)
    with torch.inference_mode():
        expected = whole.forward(network.eval(), batch)[:, columns]
        torch.testing.assert_close(part.forward(selected.eval(), batch), expected)


def test_of_an_invented_size_nothing_is_learned(tmp_path):
    recordings(tmp_path / "data")
    method = hybrid(0.25, averaged=2)
    dataset, _ = build_dataset(method, tmp_path / "data", tmp_path / "cache", workers=1, shape_only=("shapes",))
    low_voltage, in_mv = CHALLENGE_2020.column_of["251146004"], [name.endswith("_mv") for name in FEATURES]
    for row, entry in enumerate(dataset.entries[: dataset.n_recorded]):
        shapes = entry.database == "shapes"
        signal = torch.from_numpy(dataset.signal(row).copy())[None]
        _, amplitudes = robust.standardise(10 * signal, torch.tensor([signal.shape[2]]))  # the largest gain of training
        assert np.isnan(dataset.targets[row, low_voltage]) == shapes
        assert not amplitudes.any() or not shapes
        measured = np.isfinite(dataset.features(row)[5:])
        assert measured[in_mv].any() != shapes and measured[~np.array(in_mv)].any()
    assert np.isfinite(np.delete(dataset.targets, low_voltage, axis=1)).all()


def test_what_can_not_be_trained_on_two_sets_is_said(tmp_path):
    recordings(tmp_path / "data")
    with pytest.raises(ValueError, match="also ptb-xl: expected the method hybrid, from random weights, found zhao"):
        train_folder(
            tmp_path / "data",
            tmp_path / "model",
            method="zhao",
            also=("ptb-xl", tmp_path / "b"),
            methods=find_methods() | {"zhao": team_code.zhao},
        )
    with pytest.raises(ValueError, match="shape only: expected a method that can do without the size, found robust"):
        train_folder(tmp_path / "data", tmp_path / "model", method="robust", shape_only=("shapes",))
