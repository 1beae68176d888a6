"""The model folder: a `config.json` that says everything, and weights without pickle beside it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ecg.decisions.adaptation import Adaptation
from ecg.decisions.calibration import Calibration
from ecg.decisions.conventions import CONVENTIONS, DEFAULT
from ecg.io.files import open_file, remove_leftovers, write_file
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, DiagnosesError
from ecg.leads import LEADS
from ecg.methods.base import Method, MethodBuilder, call_builder
from ecg.methods.reduced_leads import on_leads, with_masked_leads
from ecg.runtime.threads import one_torch_thread

State = dict[str, Tensor]
FORMAT = 1
_TOO_LARGE = 1e9  # for a coefficient of log-odds
_PACKAGES = ("torch", "numpy", "scipy", "wfdb", "safetensors", "scikit-learn", "bayesian-optimization")


class ModelError(ValueError):
    """A model folder that can't be used; the message says what is wrong and how to mend it.

    Examples
    --------
    >>> import ecg
    >>> ecg.load_model("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ecg.model_folder.folder.ModelError: nowhere/config.json: expected the config of a trained model, found none...
    """


@dataclass(frozen=True)
class Member:
    """One trained network with what was measured on its validation fold.

    Attributes
    ----------
    state : dict of str to Tensor
        Weights, rounded as they are stored.
    thresholds : ndarray, shape (n_classes,)
    rows : ndarray, shape (n_validation,)
        Which recordings of the dataset validated it.
    probabilities : ndarray, shape (n_validation, n_classes), float64
        Of the stored weights.
    history : list of dict
        One row per epoch.
    """

    state: State
    thresholds: NDArray[np.float64]
    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Model:
    """A trained model, ready to run.

    Attributes
    ----------
    method : Method
    networks : tuple of nn.Module
        One per member, in evaluation mode on `device`.
    thresholds : ndarray, shape (n_members, n_classes)
    device : torch.device
    config : Mapping
        All that ``config.json`` says.
    calibration : Calibration, optional
        From the scores that `decide` gives to probabilities; None where the folder holds none.
    adaptation : Adaptation, optional
        To one hospital; its scores are probabilities already, and neither thresholds nor calibration are used with it.
    definitions : str
        The convention of its labels, where the method knows conventions.
    """

    method: Method
    networks: tuple[nn.Module, ...]
    thresholds: NDArray[np.float64]
    device: torch.device
    config: Mapping[str, Any]
    calibration: Calibration | None = None
    adaptation: Adaptation | None = None
    definitions: str = DEFAULT

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
            raise ModelError(
                f"expected a model of the diagnoses {diagnoses.name}, found one of {self.method.diagnoses.name}"
            )

    def decide(
        self,
        probabilities: NDArray[np.float64],
        features: NDArray[np.float32] | None = None,
        definitions: str | None = None,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Labels and scores of one recording, (n_classes,) each, from its members' (n_members, n_classes).

        With the features that went into the networks a convention has a part in it: the model's own, or the one named.
        """
        by_convention = self.method.decision.by_convention
        if by_convention is not None and features is not None and self.adaptation is None:
            return by_convention(probabilities, self.thresholds, features, definitions or self.definitions)
        labels = self.method.decision.decide(probabilities, self.thresholds)
        combined, scores = self.method.decision.combine(labels[:, None], probabilities[:, None], self.thresholds)
        if self.adaptation is not None:
            scores = self.adaptation.apply(scores)
            combined = self.adaptation.decide(scores, self.method.diagnoses.weights)
        return combined[0], scores[0]

    def decide_each(
        self, probabilities: NDArray[np.float64], features: NDArray[np.float32] | None = None
    ) -> NDArray[np.bool_]:
        """Labels of one recording that each member would give alone, of the shape (n_members, n_classes) given."""
        alone = [
            replace(self, networks=self.networks[k : k + 1], thresholds=self.thresholds[k : k + 1])
            for k in range(len(probabilities))
        ]
        return np.array(
            [one.decide(row[np.newaxis], features)[0] for one, row in zip(alone, probabilities, strict=True)]
        )


def as_stored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as the model folder keeps them: matrices and kernels rounded to float16, the rest as it is.

    Batch-norm statistics of signals in microvolts don't fit float16, and they are small. The result is float32 again,
    so that thresholds are searched with exactly the weights that will be loaded.
    """
    return {key: (value.half().float() if _is_halved(value) else value).cpu() for key, value in state.items()}


def _is_halved(value: Tensor) -> bool:
    return value.is_floating_point() and value.ndim >= 2


def save_model(
    folder: Path,
    method: Method,
    members: Sequence[Member],
    training: Mapping[str, Any],
    validation: Sequence[Mapping[str, Any]],
    calibration: Calibration | None = None,
) -> None:
    """Write a model, whole or not at all.

    Weight files carry their checksum in their names, and the one `config.json` that names them is replaced last: a
    folder that held a model before holds either the old or the new one at every moment.

    Parameters
    ----------
    folder : Path
    method : Method
    members : sequence of Member
    training : Mapping
        What the model was trained on and how, for people to read.
    validation : sequence of Mapping
        Scores of each member on its validation fold; its thresholds were chosen there too.
    calibration : Calibration, optional
        Fitted on the validation folds of all members.
    """
    rows, weights = [], {}
    for number, (member, scores) in enumerate(zip(members, validation, strict=True), start=1):
        halved = {key: value.half() if _is_halved(value) else value for key, value in member.state.items()}
        data = save({key: value.contiguous() for key, value in halved.items()})
        digest = hashlib.sha256(data).hexdigest()
        name = f"member-{number}-{digest[:8]}.safetensors"
        weights[name] = data
        thresholds = dict(zip(method.classes, map(float, member.thresholds), strict=True))
        rows.append({"weights": name, "sha256": digest, "thresholds": thresholds, "validation": scores})
    config = {
        "format": FORMAT,
        "method": method.name,
        "settings": dict(method.settings),
        "input": _input_of(method),
        "classes": list(method.classes),
        **({} if method.leads is None else {"leads": list(method.leads)}),
        **({"masked_leads": True} if method.training.masked_leads else {}),
        **({} if method.diagnoses == CHALLENGE_2020 else {"diagnoses": method.diagnoses.as_json()}),
        **({} if method.decision.by_convention is None else {"definitions": DEFAULT}),
        "members": rows,
        "training": dict(training),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}},
    }
    if calibration is not None:
        config["calibration"] = calibration_rows(method.classes, calibration)
    history = io.StringIO()
    table = csv.DictWriter(history, ["member", *members[0].history[0]], lineterminator="\n")
    table.writeheader()
    for number, member in enumerate(members, start=1):
        table.writerows({"member": number, **row} for row in member.history)
    _replace(folder, weights, config, history.getvalue().encode())


def save_adapted(
    model_folder: Path, adapted_folder: Path, adaptation: Adaptation, fitted: Mapping[str, Any], model: Model
) -> None:
    """Write a model with an adaptation, whole or not at all as `save_model`.

    Parameters
    ----------
    model_folder : Path
        That of `model`; its weights and its history are copied byte for byte.
    adapted_folder : Path
        Another one.
    adaptation : Adaptation
    fitted : Mapping
        What it was fitted on and what it gained, for people to read.
    model : Model
    """
    names = [row["weights"] for row in model.config["members"]]
    rows = adaptation_rows(model.method.classes, adaptation)
    config = {**model.config, "adaptation": {**rows, "fitted": dict(fitted)}}
    history = model_folder / "history.csv"
    weights = {name: _read(model_folder / name) for name in names}
    _replace(adapted_folder, weights, config, _read(history) if history.exists() else None)


def _replace(folder: Path, weights: Mapping[str, bytes], config: Mapping[str, Any], history: bytes | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    for name, data in weights.items():
        write_file(folder / name, data)
    write_file(folder / "config.json", json.dumps(config, indent=1) + "\n")
    if history is not None:
        write_file(folder / "history.csv", history)
    for old in folder.glob("member-*.safetensors"):
        if old.name not in weights:
            old.unlink()


def adaptation_rows(classes: Sequence[str], adaptation: Adaptation) -> dict[str, Any]:
    """An adaptation as ``config.json`` holds it, by the class that comes out.

    Its weights are in the order of the classes that go in.
    """
    into = adaptation.weights.T.round(6).tolist()
    intercepts = adaptation.intercepts.round(6).tolist()
    thresholds = adaptation.thresholds
    return {
        "weights": dict(zip(classes, into, strict=True)),
        "intercepts": dict(zip(classes, intercepts, strict=True)),
        **({} if thresholds is None else {"thresholds": dict(zip(classes, thresholds.tolist(), strict=True))}),
    }


def adaptation_words(config: Mapping[str, Any]) -> str:
    """What an adapted model was adapted to, for people: as far as its ``config.json`` says."""
    fitted = config["adaptation"].get("fitted")
    count = fitted.get("recordings", "unknown") if isinstance(fitted, dict) else "unknown"
    return f"to one hospital (number of its recordings: {count})"


def calibration_rows(classes: Sequence[str], calibration: Calibration) -> dict[str, list[float]]:
    """A calibration as ``config.json`` holds it: slope and intercept by class."""
    lines = zip(calibration.slopes.tolist(), calibration.intercepts.tolist(), strict=True)
    return {
        code: [round(slope, 6), round(intercept, 6)] for code, (slope, intercept) in zip(classes, lines, strict=True)
    }


def _input_of(method: Method) -> dict[str, Any]:
    return {
        "leads": list(LEADS),
        "sampling_frequency_hz": method.input.sampling_frequency,
        "window_samples": method.input.window,
        "units": method.input.units,
    }


@one_torch_thread()
def load_model(folder: str | os.PathLike[str], builders: Mapping[str, MethodBuilder], device: torch.device) -> Model:
    """Read and check a model folder.

    Parameters
    ----------
    folder : path
    builders : Mapping of str to callable
        The methods there are, by name.
    device : torch.device

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If anything is missing, damaged or not what this version of the software would compute with.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not os.path.lexists(path):
        raise ModelError(
            f"{path}: expected the config of a trained model, found none; "
            "run train_model.py with this model folder first"
        )
    try:
        config = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a JSON config, found something else ({error})") from error
    _check(isinstance(config, dict), path, "a JSON object", type(config).__name__)
    _check(
        config.get("format") == FORMAT,
        path,
        f"format {FORMAT}",
        f"{config.get('format')!r}; use the version of this software that wrote it, or train again",
    )
    name, settings = config.get("method"), config.get("settings")
    _check(isinstance(settings, dict), path, "settings of the method as a JSON object", repr(settings))
    _check(isinstance(name, str) and name in builders, path, f"one of the methods {', '.join(builders)}", repr(name))
    diagnoses = diagnoses_of(config, path)
    try:
        method = call_builder(builders[name], settings, diagnoses)
        with torch.device("meta"), _Undrawn():  # takes no memory, however large a network the settings ask for
            expected = _shapes(method.build_network().state_dict())
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: expected settings of the method {name}, found {settings!r} ({error})") from error
    leads = config.get("leads")  # absent where any will do
    fits = leads is None or (isinstance(leads, list) and bool(leads) and leads == [x for x in LEADS if x in leads])
    _check(fits, path, f"leads out of {', '.join(LEADS)}, in this order", repr(leads))
    method = on_leads(method, None if leads is None else tuple(leads))
    masked = config.get("masked_leads", False)
    _check(type(masked) is bool, path, "masked_leads true or false", repr(masked))
    method = with_masked_leads(method) if masked else method
    _check(
        config.get("classes") == list(method.classes),
        path,
        f"the {len(method.classes)} classes of the method {name} in its order",
        repr(config.get("classes")),
    )
    _check(config.get("input") == _input_of(method), path, f"the input {_input_of(method)}", repr(config.get("input")))
    rows = config.get("members") or []
    _check(isinstance(rows, list) and len(rows) > 0, path, "at least one member", repr(rows))
    networks = tuple(_load_network(folder, path, row, method, expected).to(device).eval() for row in rows)
    thresholds = np.stack([_thresholds(path, row, method.classes) for row in rows])
    calibration = _calibration(path, config, method.classes)
    adaptation = _adaptation(path, config, method.classes)
    definitions = config.get("definitions", DEFAULT)
    _check(definitions in CONVENTIONS, path, f"definitions out of {', '.join(CONVENTIONS)}", repr(definitions))
    return Model(method, networks, thresholds, device, config, calibration, adaptation, definitions)


def diagnoses_of(config: Mapping[str, Any], source: object) -> Diagnoses:
    """The set of diagnoses that a ``config.json`` carries; ModelError where it is none."""
    stored = config.get("diagnoses")  # absent for the Challenge 2020
    try:
        return CHALLENGE_2020 if stored is None else Diagnoses.from_json(stored, f"{source}: diagnoses")
    except DiagnosesError as error:
        raise ModelError(str(error)) from None


def _read(path: Path) -> bytes:
    """All of a file; no pipe or device, which might never end."""
    try:
        with open_file(path) as file:
            return file.read()
    except ValueError as error:
        raise ModelError(f"{error}; copy the model folder anew, or train again") from error


def _check(condition: bool, path: Path, expected: str, found: str) -> None:
    if not condition:
        raise ModelError(f"{path}: expected {expected}, found {found}")


def _thresholds(path: Path, row: Mapping[str, Any], classes: tuple[str, ...]) -> NDArray[np.float64]:
    stored = row.get("thresholds") or {}
    _check(
        isinstance(stored, dict) and set(stored) == set(classes),
        path,
        f"a threshold for each of the {len(classes)} classes",
        repr(stored),
    )
    values = [stored[code] for code in classes]
    _check(all(type(v) in (int, float) and 0 <= v <= 1 for v in values), path, "thresholds from 0 to 1", repr(values))
    return np.array(values, dtype=np.float64)


def _calibration(path: Path, config: Mapping[str, Any], classes: tuple[str, ...]) -> Calibration | None:
    stored = config.get("calibration")
    if stored is None:
        return None
    _check(
        isinstance(stored, dict) and set(stored) == set(classes),
        path,
        f"a calibration for each of the {len(classes)} classes",
        repr(stored),
    )
    lines = [stored[code] for code in classes]
    fits = all(
        isinstance(line, list) and len(line) == 2 and all(map(_is_number, line)) and line[0] > 0 for line in lines
    )
    _check(fits, path, "a slope above 0 and an intercept as calibration of each class", repr(stored))
    slopes, intercepts = np.array(lines, dtype=np.float64).T
    return Calibration(slopes, intercepts)


def _adaptation(path: Path, config: Mapping[str, Any], classes: tuple[str, ...]) -> Adaptation | None:
    stored = config.get("adaptation")
    if stored is None:
        return None
    parts = [stored.get(name) or {} for name in ("weights", "intercepts")] if isinstance(stored, dict) else [{}, {}]
    _check(
        all(isinstance(part, dict) and set(part) == set(classes) for part in parts),
        path,
        f"an adaptation with weights and an intercept for each of the {len(classes)} classes",
        repr(stored),
    )
    weights, intercepts = ([part[code] for code in classes] for part in parts)
    fits = all(map(_is_number, intercepts)) and all(
        isinstance(row, list) and len(row) == len(classes) and all(map(_is_number, row)) and row[k] > 0
        for k, row in enumerate(weights)
    )
    _check(
        fits,
        path,
        f"an adaptation of numbers: for each class {len(classes)} weights, its own above 0, and an intercept",
        repr(stored),
    )
    thresholds = _thresholds(path, stored, classes) if "thresholds" in stored else None
    return Adaptation(np.array(weights, dtype=np.float64).T, np.array(intercepts, dtype=np.float64), thresholds)


def _is_number(value: object) -> bool:
    """Whether it is a finite number, not too large to compute with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _TOO_LARGE


def _load_network(
    folder: Path, config: Path, row: Mapping[str, Any], method: Method, expected: Mapping[str, tuple[int, ...]]
) -> nn.Module:
    name = row.get("weights") if isinstance(row, dict) else None
    _check(
        isinstance(name, str) and re.fullmatch(r"[\w-]+\.safetensors", name) is not None,
        config,
        "the bare name of a .safetensors file as weights",
        repr(name),
    )
    path = folder / str(name)
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    _check(
        digest == row.get("sha256"),
        path,
        f"sha256 {row.get('sha256')}",
        f"{digest}: the file is damaged or belongs to another model; copy the model folder anew, or train again",
    )
    try:
        state = load(data)
    except SafetensorError as error:
        raise ModelError(f"{path}: expected safetensors, found something else ({error})") from error
    finite = all(bool(torch.isfinite(value).all()) for value in state.values())
    _check(finite, path, "finite weights", "nan or infinity")
    _check(_shapes(state) == expected, path, f"the weights of the method {method.name} with its settings", "others")
    with _Undrawn():
        network = method.build_network()
    network.load_state_dict(
        {key: value.float() if value.dtype == torch.half else value for key, value in state.items()}, strict=True
    )
    return network


class _Undrawn(TorchFunctionMode):
    """Networks are built without drawing their first weights, which are replaced at once.

    On the meta device torch would load its compiler for the draws, which takes longer than all else.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}
