"""Training of any method on a folder: its members one after another, and the model folder that they make."""

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ecg.arrays import Ints
from ecg.decisions.calibration import fit_calibration
from ecg.inference.predict import Item, predict
from ecg.io.files import StrPath
from ecg.methods.base import Method
from ecg.model_folder import folder as storage
from ecg.model_folder.model import Member
from ecg.runtime.device import pick_device
from ecg.runtime.processes import ALONE, Processes, joined
from ecg.runtime.progress import say, silence
from ecg.scoring.statistics import measure
from ecg.training.dataset import Dataset, build_dataset
from ecg.training.distributed import read_once
from ecg.training.label_gaps import label_gaps
from ecg.training.member import TrainingError, scaled_epochs, train_member
from ecg.training.options import MemberOptions, TrainingOptions

# Hidden, and not a name that a user's own folder could have: it is removed at the end.
SCRATCH = ".training-state"
Parts = Sequence[tuple[Method, Path]]


def train(
    method: Method, data_folder: StrPath, model_folder: StrPath, options: TrainingOptions, parts: Parts = ()
) -> None:
    """Train a method on a folder of recordings and store the model.

    A training that was stopped continues when it is started again with the same data and options: what it needs for
    that lies in ``<model_folder>/.training-state`` until the model is stored. Under `torchrun` its processes train
    together; the first of them writes.

    `parts`: models to store in place of one with all of the method's classes: the same method for a part of them, and
    its folder. Raises RecordingError if the data folder can't be trained on; TrainingError if training fails, or if
    there is no training to resume; ValueError if an option is out of range.
    """
    device = pick_device(options.device)
    with joined(device) as processes, silence() if not processes.is_first else nullcontext():
        _train(method, Path(data_folder), Path(model_folder), options, parts, device, processes)


def _train(
    method: Method,
    data_folder: Path,
    model_folder: Path,
    options: TrainingOptions,
    parts: Parts,
    device: torch.device,
    processes: Processes,
) -> None:
    members = options.n_members(method)
    if not data_folder.is_dir():
        raise ValueError(f"{data_folder}: expected a folder of recordings, found none")
    if options.spread_members and processes.count > members:
        raise ValueError(f"expected at most {members} processes to spread {members} members, found {processes.count}")
    scratch = model_folder / SCRATCH
    if processes.is_first and options.resume and not scratch.is_dir():
        found = "a finished model" if (model_folder / "config.json").exists() else "none"
        found = f"found {found}; train anew without resume"
        raise TrainingError(f"{model_folder}: expected a stopped training to continue, {found}")
    wanted: dict[str, Any] = {"limit": options.limit, "statements": options.labels, "shape_only": options.shape_only}
    wanted |= {"workers": options.workers, "resume": options.resume}
    build = partial(build_dataset, method, data_folder, options.cache or scratch, **wanted)
    dataset, problems = read_once(processes, build)
    scratch.mkdir(parents=True, exist_ok=True)
    folds = split_into_folds(method, dataset, options.seed)
    summary = summarise(method, dataset, problems, options)
    usable = [fold for fold in range(method.training.n_folds) if 0 < (folds == fold).sum() < dataset.n_recorded]
    if usable[:members] != list(range(members)):
        mend = "train fewer members, or use more recordings or folds in folds.csv"
        found = f"found them in {len(usable)}; {mend}"
        raise TrainingError(f"{data_folder}: expected recordings in {members} folds, {found}")
    simulated = np.arange(dataset.n_recorded, len(dataset))
    own = range(processes.rank, members, processes.count) if options.spread_members else range(members)
    team = ALONE if options.spread_members else processes
    trained = {}
    for fold in own:
        checkpoint, label = scratch / f"member-{fold + 1}.ckpt", f"Member {fold + 1}/{members}"
        member_options = MemberOptions(
            options.epochs, options.seed, fold, device, checkpoint, label, options.resume, team, options.start
        )
        training_rows = np.concatenate([np.flatnonzero(folds != fold), simulated])
        trained[fold] = train_member(method, dataset, training_rows, np.flatnonzero(folds == fold), member_options)
    if options.spread_members:
        trained = {fold: member for each in processes.gather(trained) for fold, member in each.items()}
    if processes.is_first:
        whole = [trained[fold] for fold in range(members)]
        for part, folder in parts:
            own_labels = dataset.with_labels_of(part.diagnoses)
            selected = [select_part(method, member, part, own_labels, device) for member in whole]
            store(part, own_labels, selected, folder, summary)
        if not parts:
            store(method, dataset, whole, model_folder, summary)
        shutil.rmtree(scratch, ignore_errors=True)
    processes.wait()
    shutil.rmtree(scratch, ignore_errors=True)  # on a machine with its own disk


def select_part(method: Method, member: Member, part: Method, dataset: Dataset, device: torch.device) -> Member:
    """A member with a part of its method's classes, validated on the recordings that have labels of those.

    `method`: of `member`. `part`: the same for a part of the classes. `dataset`: with the labels of the part.
    """
    assert method.training.select_classes is not None
    columns = [method.classes.index(code) for code in part.classes]
    selected = method.training.select_classes(member.state, columns)
    network = part.build_network()
    state = {name: selected[name] for name in network.state_dict()}  # a set with reward weights has fewer parts
    network.load_state_dict(state)
    network.to(device).eval()
    rows = member.rows[dataset.labels[member.rows].any(axis=1)]
    items = (Item(k, dataset.signal(row), dataset.features(row)) for k, row in enumerate(rows))
    found = dict(predict(part, [network], items, device))
    probabilities = np.array([found[k][0] for k in range(len(rows))])
    thresholds = part.decision.search_thresholds(dataset.labels[rows], probabilities, part.diagnoses.weights)
    return replace(member, state=state, thresholds=thresholds, rows=rows, probabilities=probabilities)


def store(method: Method, dataset: Dataset, trained: list[Member], model_folder: Path, summary: dict[str, Any]) -> None:
    """Score trained members on the recordings that validated them, and write the model folder."""
    validation = [validation_scores(method, dataset, member) for member in trained]
    labels = np.concatenate([dataset.labels[member.rows] for member in trained])
    scores = np.concatenate([member.probabilities for member in trained])
    calibration = None if method.decision.moves_scores else fit_calibration(labels, scores)
    storage.save_model(model_folder, method, trained, summary, validation, calibration)


def split_into_folds(method: Method, dataset: Dataset, seed: int) -> Ints:
    """The fold of each recording that is not simulated."""
    return dataset.split(range(dataset.n_recorded), method.training.n_folds, seed)


def summarise(method: Method, dataset: Dataset, problems: list[str], options: TrainingOptions) -> dict[str, Any]:
    """What the model is trained on, for the model folder, and said on the way."""
    for problem in problems:
        say(f"Left out: {problem}")
    databases = Counter(entry.database for entry in dataset.entries[: dataset.n_recorded])
    counts = {name: databases[name] for name in sorted(databases)}
    simulated = len(dataset) - dataset.n_recorded
    said = f"{dataset.n_recorded} recordings: " + ", ".join(f"{name} {count}" for name, count in counts.items())
    if simulated:
        said += f"; {simulated} simulated ones beside them"
    if dataset.unused:
        said += f"; {dataset.unused} more are not trained on (no scored diagnosis, or too long)"
    say(said)
    for sentence in label_gaps(method.diagnoses, dataset.labels[: dataset.n_recorded], dataset.unknown):
        say(sentence)
    return {
        "recordings": dataset.n_recorded,
        "simulated": simulated,
        "databases": counts,
        "not_trained_on": dataset.unused,
        "left_out": len(problems),
        "folds": method.training.n_folds,
        "epochs": sum(scaled_epochs(method, options.epochs)),
        "seed": options.seed,
        **({} if options.start is None else {"started_from": options.start.checksums}),
    }


def validation_scores(method: Method, dataset: Dataset, member: Member) -> dict[str, Any]:
    """`measure` of a member on the recordings that validated it, over all databases together and for each."""
    outputs = method.decision.decide(member.probabilities, member.thresholds)
    labels = dataset.labels[member.rows]
    names = np.array([dataset.entries[row].database for row in member.rows])
    scores: dict[str, Any] = {"all": measure(labels, member.probabilities, outputs, method.diagnoses)}
    for name in sorted(set(names)):
        rows = names == name
        scores[name] = measure(labels[rows], member.probabilities[rows], outputs[rows], method.diagnoses)
    return scores
