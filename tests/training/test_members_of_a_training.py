"""The members of a training: their recordings, what is refused before, and where they are written."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ecg.labels.diagnoses import Diagnoses
from ecg.model_folder.model import Model
from ecg.runtime.processes import Processes
from ecg.training import trainer
from ecg.training.dataset import Dataset
from ecg.training.member import TrainingError
from ecg.training.options import MemberOptions, TrainingOptions
from ecg.training.trainer import SCRATCH, train
from tiny import quick, random_dataset, tiny

CPU = torch.device("cpu")
FOLDS = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1])


class Seen:
    """A training whose parts are noted and not done."""

    def __init__(self, monkeypatch, folder, folds=FOLDS, n_simulated=2):
        self.trained, self.stored, self.built = [], [], []
        made = random_dataset(len(folds) + n_simulated)
        self.dataset = Dataset(made.entries, made._signals, n_simulated=n_simulated)
        (folder / "data").mkdir()
        self.data, self.model = folder / "data", folder / "model"
        monkeypatch.setattr(trainer, "build_dataset", self.build)
        monkeypatch.setattr(trainer, "split_into_folds", lambda method, data, seed: folds if seed == 7 else None)
        monkeypatch.setattr(trainer, "train_member", self.train)
        monkeypatch.setattr(trainer, "store", lambda *words: self.stored.append(words))

    def build(self, *words, **named):
        self.built.append((words, named))
        return self.dataset, ["a: bad"]

    def train(self, method, dataset, inside, outside, options):
        assert dataset is self.dataset and (self.model / SCRATCH).is_dir()
        self.trained.append((inside.tolist(), outside.tolist(), options))
        return f"member {options.number}"


START = Model(tiny(), (), np.zeros((1, 24)), CPU, {"members": [{"sha256": "aa"}]})


@pytest.mark.parametrize("members", [1, 3, 5, None])
def test_each_member_leaves_its_own_fold_out_and_trains_on_all_simulated_ones(tmp_path, monkeypatch, members):
    seen = Seen(monkeypatch, tmp_path)
    options = quick(members=members, seed=7, epochs=4, limit=30, workers=3, start=START)
    train(tiny(), seen.data, seen.model, options)
    count = members or 5
    assert len(seen.trained) == count
    for k, (inside, outside, given) in enumerate(seen.trained):
        assert outside == [row for row in range(12) if FOLDS[row] == k]
        assert inside == [row for row in range(12) if FOLDS[row] != k] + [12, 13]
        checkpoint = seen.model / SCRATCH / f"member-{k + 1}.ckpt"
        assert given == MemberOptions(4, 7, k, CPU, checkpoint, f"Member {k + 1}/{count}", False, start=START)
    [(method, dataset, trained, folder, summary)] = seen.stored
    assert (dataset, folder, trained) == (seen.dataset, seen.model, [f"member {k}" for k in range(count)])
    assert summary["left_out"] == 1 and summary["started_from"] == ["aa"] and method.name == "tiny"
    [(words, named)] = seen.built
    assert words[1:] == (seen.data, seen.model / SCRATCH)
    assert named == {"limit": 30, "statements": None, "shape_only": (), "workers": 3, "resume": False}
    assert not (seen.model / SCRATCH).exists()


@pytest.mark.parametrize(
    ("folds", "members", "found"),
    [
        ([1, 2, 3, 4, 1], 2, 4),  # none in the first
        ([0, 1, 0, 1, 3], 3, 3),
        ([0, 0, 0, 0, 0], 1, 0),  # nothing is left to train on
        ([0, 1, 2, 3, 0], 5, 4),
    ],
)
def test_a_fold_without_recordings_or_with_all_is_refused_before_anything_is_trained(
    tmp_path, monkeypatch, folds, members, found
):
    seen = Seen(monkeypatch, tmp_path, np.array(folds))
    refused = (
        f"{seen.data}: expected recordings in {members} folds, found them in {found}; "
        "train fewer members, or use more recordings or folds in folds.csv"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(refused)}$"):
        train(tiny(), seen.data, seen.model, quick(members=members, seed=7))
    assert not seen.trained


def test_a_fold_beyond_the_members_may_be_empty(tmp_path, monkeypatch):
    seen = Seen(monkeypatch, tmp_path, np.array([0, 1, 3, 0, 1]))
    train(tiny(), seen.data, seen.model, quick(members=2, seed=7))
    assert [outside for _, outside, _ in seen.trained] == [[0, 3], [1, 4]]


def test_two_sets_are_stored_as_two_models_and_a_cache_is_used_and_kept(tmp_path, monkeypatch):
    seen, parts = Seen(monkeypatch, tmp_path), []
    monkeypatch.setattr(trainer, "select_part", lambda *words: parts.append(words) or f"part of {words[1]}")
    sets = [Diagnoses(name, ("code", "426783006")) for name in ("one", "two")]
    methods = [tiny(each) for each in sets]
    options = quick(members=2, seed=7, cache=tmp_path / "cache")
    method = tiny()
    train(method, seen.data, seen.model, options, [(each, tmp_path / each.diagnoses.name) for each in methods])
    assert seen.built[0][0][1:] == (seen.data, tmp_path / "cache")
    assert [(part.diagnoses.name, str(folder.name)) for part, _, _, folder, _ in seen.stored] == [
        ("one", "one"),
        ("two", "two"),
    ]
    for (_, dataset, trained, _, _), own in zip(seen.stored, sets, strict=True):
        assert trained == ["part of member 0", "part of member 1"]
        assert dataset.n_recorded == 12 and dataset.labels.shape == (14, len(own.classes))
    assert all(words[0] is method and words[4] == CPU for words in parts) and len(parts) == 4


@pytest.mark.parametrize("finished", [True, False])
def test_what_can_not_begin_is_said(tmp_path, monkeypatch, finished):
    seen = Seen(monkeypatch, tmp_path)
    seen.model.mkdir()
    if finished:
        (seen.model / "config.json").write_text("{}")
    nowhere, kind = tmp_path / "nowhere", "a finished model" if finished else "none"
    for data, options, refused in (
        (nowhere, quick(), f"{nowhere}: expected a folder of recordings, found none"),
        (
            seen.data,
            quick(resume=True),
            f"{seen.model}: expected a stopped training to continue, found {kind}; train anew without resume",
        ),
        (seen.data, TrainingOptions(members=9), "members 9: expected 1 to 5 for the method tiny"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(refused)}$"):
            train(tiny(), data, seen.model, replace(options, device="cpu"))
    (seen.model / SCRATCH).mkdir(parents=True)
    train(tiny(), seen.data, seen.model, quick(resume=True, seed=7))
    assert [options.resume for _, _, options in seen.trained] == [True] and seen.built[0][1]["resume"]


class Others(Processes):
    """One of some processes; the others train the members that are not its own."""

    def gather(self, item):
        if not isinstance(item, dict):
            return [item] * self.count
        return [
            item if rank == self.rank else {k: f"member {k}" for k in range(rank, 5, self.count)} for rank in range(3)
        ]

    def wait(self):
        pass


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_members_are_spread_over_processes_and_the_first_stores_all(tmp_path, monkeypatch, rank):
    seen, process = Seen(monkeypatch, tmp_path), Others(rank, 3, rank, 3)
    options = quick(members=5, seed=7, spread_members=True)
    trainer._train(tiny(), Path(seen.data), seen.model, options, (), CPU, process)
    assert [given.number for _, _, given in seen.trained] == list(range(rank, 5, 3))
    assert all(given.processes.count == 1 for _, _, given in seen.trained)
    stored = [trained for _, _, trained, _, _ in seen.stored]
    assert stored == ([[f"member {k}" for k in range(5)]] if rank == 0 else [])
    together = replace(options, spread_members=False, members=2)
    seen.trained.clear()
    trainer._train(tiny(), Path(seen.data), seen.model, together, (), CPU, process)
    assert [(given.number, given.processes) for _, _, given in seen.trained] == [(0, process), (1, process)]
    with pytest.raises(ValueError, match=r"^expected at most 2 processes to spread 2 members, found 3$"):
        trainer._train(tiny(), Path(seen.data), seen.model, replace(options, members=2), (), CPU, process)
