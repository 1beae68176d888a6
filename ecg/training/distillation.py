"""One network that learns what an ensemble answers (Hinton et al. 2015): what `ecg distill` does."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ecg.arrays import Floats
from ecg.inference.predict import Item, predict
from ecg.methods.base import Method
from ecg.model_folder.model import Model
from ecg.runtime.device import pick_device
from ecg.runtime.progress import progress
from ecg.training.dataset import Dataset, build_dataset
from ecg.training.member import train_member
from ecg.training.options import MemberOptions, TrainingOptions
from ecg.training.trainer import SCRATCH, split_into_folds, store, summarise

TEACHERS_SHARE = 0.5  # of a target; the rest is what the labels say
SIMULATED_SHARE = 1.0  # simulated recordings for each recorded one: the teacher knows what they show


def distill(teacher: Model, student: Method, data_folder: Path, model_folder: Path, options: TrainingOptions) -> None:
    """Train one network to answer as an ensemble does, and store it as its own model.

    The targets are in equal parts the labels and the ensemble's probabilities. The first fold validates, as for the
    ensemble's first member; a stopped training continues.

    `student`: with the teacher's diagnoses and preprocessing; it makes use of the first features that the teacher has.
    `data_folder` and `model_folder`: the recordings that trained the teacher, and where the model goes. `options`:
    `members` has no part in it. Raises ValueError if the student can't learn from this teacher; RecordingError if the
    data folder can't be trained on.
    """
    teacher.require(student.diagnoses)
    if teacher.method.input.preprocess != student.input.preprocess:
        expected = f"a model of a method with the preprocessing of {student.name}"
        raise ValueError(f"expected {expected}, found {teacher.method.name}")
    if teacher.adaptation is not None:
        raise ValueError("expected a model that is not adapted, found an adapted one; adapt what was distilled instead")
    scratch, device = model_folder / SCRATCH, pick_device(options.device)
    share = SIMULATED_SHARE if student.training.simulated_share else 0.0
    inputs = replace(student.input, features=teacher.method.input.features)
    method = replace(student, input=inputs, training=replace(student.training, simulated_share=share))
    how: dict[str, Any] = {"workers": options.workers, "limit": options.limit, "statements": options.labels}
    dataset, problems = build_dataset(method, data_folder, scratch, **how)
    summary = {**summarise(method, dataset, problems, options), "distilled_from": teacher.checksums}
    folds = split_into_folds(method, dataset, options.seed)
    answers = _answers(teacher, dataset)
    dataset.targets = ((1 - TEACHERS_SHARE) * dataset.targets + TEACHERS_SHARE * answers).astype(np.float32)
    learned = np.concatenate([np.flatnonzero(folds != 0), np.arange(dataset.n_recorded, len(dataset))])
    about = MemberOptions(options.epochs, options.seed, 0, device, scratch / "distilled.ckpt", "Distilled network")
    member = train_member(method, dataset, learned, np.flatnonzero(folds == 0), about)
    store(student, dataset, [member], model_folder, summary)
    shutil.rmtree(scratch)


def _answers(teacher: Model, dataset: Dataset) -> Floats:
    """The mean of the members' probabilities for every recording, (n_recordings, n_classes)."""
    items = (Item(row, dataset.signal(row), dataset.features(row)) for row in range(len(dataset)))
    found = predict(teacher.method, teacher.networks, items, teacher.device, autocast=True)
    return np.stack([each.mean(axis=0) for _, each in progress(found, len(dataset), "Asking the ensemble")])
