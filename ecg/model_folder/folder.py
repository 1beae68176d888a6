"""The model folder: a `config.json` that says everything, and weights without pickle beside it."""

import csv
import hashlib
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ecg.decisions.adaptation import Adaptation
from ecg.decisions.calibration import Calibration
from ecg.io.files import StrPath, open_file, remove_leftovers, write_file
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, DiagnosesError
from ecg.leads import LEADS
from ecg.methods.base import Method, MethodBuilder, call_builder
from ecg.methods.reduced_leads import on_leads, with_masked_leads
from ecg.model_folder import schema
from ecg.model_folder.model import Member, Model, ModelError, is_halved
from ecg.model_folder.schema import Config, MemberConfig
from ecg.runtime.threads import one_torch_thread

FORMAT = 1
_PACKAGES = ("torch", "numpy", "scipy", "wfdb", "safetensors", "scikit-learn", "bayesian-optimization")


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

    `training`: what the model was trained on and how, for people to read. `validation`: scores of each member on its
    validation fold; its thresholds were chosen there too. `calibration`: fitted on the validation folds of all members.
    """
    rows, weights = [], {}
    for number, (member, scores) in enumerate(zip(members, validation, strict=True), start=1):
        halved = {key: value.half() if is_halved(value) else value for key, value in member.state.items()}
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
        **({} if method.decision.by_convention is None else schema.convention_rows()),
        "members": rows,
        "training": dict(training),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}},
    }
    if calibration is not None:
        config["calibration"] = schema.calibration_rows(method.classes, calibration)
    history = io.StringIO()
    table = csv.DictWriter(history, ["member", *members[0].history[0]], lineterminator="\n")
    table.writeheader()
    for number, member in enumerate(members, start=1):
        table.writerows({"member": number, **row} for row in member.history)
    _replace(folder, weights, config, history.getvalue().encode())


def save_adapted(
    model_folder: Path,
    adapted_folder: Path,
    adaptation: Adaptation | None,
    definitions: str,
    fitted: Mapping[str, Any],
    model: Model,
) -> None:
    """Write a model with an adaptation or another convention, whole or not at all as `save_model`.

    `model_folder`: that of `model`; its weights and its history are copied byte for byte. `adapted_folder`: another
    one. `definitions`: the convention of its labels where there is no adaptation. `fitted`: what it was fitted on and
    what it gained, for people to read.
    """
    names = [row["weights"] for row in model.config["members"]]
    if adaptation is None:
        changed = {"definitions": definitions, "definitions_chosen": dict(fitted)}
    else:
        changed = {"adaptation": {**schema.adaptation_rows(model.method.classes, adaptation), "fitted": dict(fitted)}}
    history = model_folder / "history.csv"
    weights = {name: _read(model_folder / name) for name in names}
    content = _read(history) if history.exists() else None
    _replace(adapted_folder, weights, {**model.config, **changed}, content)


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


def adaptation_words(config: Mapping[str, Any]) -> str:
    """What an adapted model was adapted to, for people: as far as its ``config.json`` says."""
    fitted = config["adaptation"].get("fitted")
    count = fitted.get("recordings", "unknown") if isinstance(fitted, dict) else "unknown"
    return f"to one hospital (number of its recordings: {count})"


def _input_of(method: Method) -> dict[str, Any]:
    return {
        "leads": list(LEADS),
        "sampling_frequency_hz": method.input.sampling_frequency,
        "window_samples": method.input.window,
        "units": method.input.units,
    }


@one_torch_thread()
def load_model(folder: StrPath, builders: Mapping[str, MethodBuilder], device: torch.device) -> Model:
    """Read and check a model folder.

    `builders`: the methods there are, by name. Raises ModelError if anything is missing, damaged or not what this
    version of the software would compute with.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not os.path.lexists(path):
        advice = "run train_model.py with this model folder first"
        raise ModelError(f"{path}: expected the config of a trained model, found none; {advice}")
    try:
        stored = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a JSON config, found something else ({error})") from error
    if isinstance(stored, dict) and stored.get("format") != FORMAT:
        found = f"{stored.get('format')!r}; use the version of this software that wrote it, or train again"
        raise ModelError(f"{path}: expected format {FORMAT}, found {found}")
    diagnoses = diagnoses_of(stored, path)
    try:
        config = schema.parse(stored)
        method, expected = _method_of(config, builders, diagnoses)
        thresholds, calibration = config.read_thresholds(), config.read_calibration()
        adaptation, conventions = config.read_adaptation(), config.read_conventions()
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error
    networks = tuple(_load_network(folder, row, method, expected).to(device).eval() for row in config.members)
    return Model(method, networks, thresholds, device, stored, calibration, adaptation, config.definitions, conventions)


def _method_of(
    config: Config, builders: Mapping[str, MethodBuilder], diagnoses: Diagnoses
) -> tuple[Method, dict[str, tuple[int, ...]]]:
    """The method that a model folder names, and the shapes of its network's weights; ValueError where none fits."""
    name = config.method
    if name not in builders:
        raise ValueError(f"method: expected one of the methods {', '.join(builders)}, found {name!r}")
    try:
        method = call_builder(builders[name], config.settings, diagnoses)
        with torch.device("meta"), _Undrawn():  # takes no memory, however large a network the settings ask for
            shapes = _shapes(method.build_network().state_dict())
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"expected settings of the method {name}, found {config.settings!r} ({error})") from error
    if config.classes != list(method.classes):
        expected = f"the {len(method.classes)} classes of the method {name} in its order"
        raise ValueError(f"classes: expected {expected}, found {config.classes!r}")
    if config.input != _input_of(method):
        raise ValueError(f"input: expected {_input_of(method)}, found {config.input!r}")
    method = with_masked_leads(method) if config.masked_leads else method
    return on_leads(method, None if config.leads is None else tuple(config.leads)), shapes


def diagnoses_of(config: object, source: object) -> Diagnoses:
    """The set of diagnoses that a ``config.json`` carries; ModelError where it is none."""
    stored = config.get("diagnoses") if isinstance(config, dict) else None  # absent for the Challenge 2020
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


def _load_network(
    folder: Path, member: MemberConfig, method: Method, expected: Mapping[str, tuple[int, ...]]
) -> nn.Module:
    path = folder / member.weights
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != member.sha256:
        found = f"{digest}: the file is damaged or belongs to another model; copy the model folder anew, or train again"
        raise ModelError(f"{path}: expected sha256 {member.sha256}, found {found}")
    try:
        state = load(data)
    except SafetensorError as error:
        raise ModelError(f"{path}: expected safetensors, found something else ({error})") from error
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise ModelError(f"{path}: expected finite weights, found nan or infinity")
    if _shapes(state) != expected:
        raise ModelError(f"{path}: expected the weights of the method {method.name} with its settings, found others")
    with _Undrawn():
        network = method.build_network()
    whole = {key: value.float() if value.dtype == torch.half else value for key, value in state.items()}
    network.load_state_dict(whole, strict=True)
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
