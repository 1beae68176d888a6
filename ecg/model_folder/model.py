"""A trained model: its networks, its thresholds, and how they decide together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ecg.arrays import Bools, Floats, Floats32, Ints
from ecg.decisions.adaptation import Adaptation
from ecg.decisions.calibration import Calibration
from ecg.decisions.conventions import DEFAULT, Convention, convention
from ecg.labels.diagnoses import Diagnoses
from ecg.methods.base import Method
from ecg.methods.reduced_leads import on_leads

State = dict[str, Tensor]


class ModelError(ValueError):
    """A model folder that can't be used; the message says what is wrong and how to mend it.

    Examples
    --------
    >>> import ecg
    >>> ecg.load_model("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ecg.model_folder.model.ModelError: nowhere/config.json: expected the config of a trained model, found none...
    """


@dataclass(frozen=True)
class Member:
    """One trained network with what was measured on its validation fold."""

    state: State  # weights, rounded as they are stored
    thresholds: Floats  # (n_classes,)
    rows: Ints  # (n_validation,): which recordings of the dataset validated it
    probabilities: Floats  # (n_validation, n_classes), float64: of the stored weights
    history: list[dict[str, Any]]  # one row per epoch


@dataclass(frozen=True)
class Model:
    """A trained model, ready to run."""

    method: Method
    networks: tuple[nn.Module, ...]  # one per member, in evaluation mode on `device`
    thresholds: Floats  # (n_members, n_classes)
    device: torch.device
    config: Mapping[str, Any]  # all that ``config.json`` says
    # From the scores that `decide` gives to probabilities; None where the folder holds none.
    calibration: Calibration | None = None
    # To one hospital; its scores are probabilities already, and neither thresholds nor calibration are used with it.
    adaptation: Adaptation | None = None
    definitions: str = DEFAULT  # the convention of its labels, where the method knows conventions
    conventions: Mapping[str, Convention] = field(default_factory=dict)  # those of the folder; else the package's

    @property
    def checksums(self) -> list[str]:
        """SHA-256 of each member's weights, in hexadecimal."""
        return [row["sha256"] for row in self.config["members"]]

    def on_leads(self, leads: tuple[str, ...] | None) -> Model:
        """The model on some leads alone; ValueError where it was trained for others. Itself for None."""
        return replace(self, method=on_leads(self.method, leads))

    def require(self, diagnoses: Diagnoses) -> None:
        """ModelError where the model was trained for another set of diagnoses."""
        if self.method.diagnoses != diagnoses:
            found = f"one of {self.method.diagnoses.name}"
            raise ModelError(f"expected a model of the diagnoses {diagnoses.name}, found {found}")

    def decide(
        self, probabilities: Floats, features: Floats32 | None = None, definitions: str | None = None
    ) -> tuple[Bools, Floats]:
        """Labels and scores of one recording, (n_classes,) each, from its members' (n_members, n_classes).

        With the features that went into the networks a convention has a part in it: the model's own, or the one named;
        in an adapted model that of its adaptation.
        """
        by_convention, adaptation = self.method.decision.by_convention, self.adaptation
        name = definitions or self.definitions if adaptation is None else adaptation.definitions
        if by_convention is not None and features is not None and name is not None:
            followed = self.conventions.get(name) or convention(name, self.method.classes)
            labels, scores = by_convention(probabilities, self.thresholds, features, followed)
        else:
            each = self.method.decision.decide(probabilities, self.thresholds)
            combined = self.method.decision.combine(each[:, None], probabilities[:, None], self.thresholds)
            labels, scores = (part[0] for part in combined)
        if adaptation is None:
            return labels, scores
        scores = adaptation.apply(scores)
        return adaptation.decide(scores[np.newaxis], self.method.diagnoses.weights)[0], scores

    def decide_each(self, probabilities: Floats, features: Floats32 | None = None) -> Bools:
        """Labels of one recording that each member would give alone, of the shape (n_members, n_classes) given."""
        labels = []
        for k in range(len(probabilities)):
            alone = replace(self, networks=self.networks[k : k + 1], thresholds=self.thresholds[k : k + 1])
            labels.append(alone.decide(probabilities[k : k + 1], features)[0])
        return np.array(labels)


def as_stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as the model folder keeps them: matrices and kernels rounded to float16, the rest as it is.

    Batch-norm statistics of signals in microvolts don't fit float16, and they are small. The result is float32 again,
    so that thresholds are searched with exactly the weights that will be loaded.
    """
    return {key: (value.half().float() if is_halved(value) else value).cpu() for key, value in state.items()}


def is_halved(value: Tensor) -> bool:
    """Whether a model folder keeps these weights as float16."""
    return value.is_floating_point() and value.ndim >= 2
