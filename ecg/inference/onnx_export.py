"""A trained model as one ONNX file: weights, what goes in and out, and all that its decision needs, as metadata."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ecg.examination.examine import Examination
from ecg.inference.onnx_preprocessing import make_preprocessing
from ecg.inference.predict import SOMEBODY
from ecg.io.header import HIGHEST_FREQUENCY, LOWEST_FREQUENCY
from ecg.leads import LEADS
from ecg.methods.base import Batch, demographic_features
from ecg.model_folder.model import Model
from ecg.model_folder.schema import calibration_rows
from ecg.runtime.extras import import_extra

if TYPE_CHECKING:
    import onnx

OPSET = 18
LARGEST_DIFFERENCE = 1e-5  # in probability, from PyTorch in float32
_PEOPLE = {
    "60 years, female": SOMEBODY,
    "20 years, male": replace(SOMEBODY, age=20.0, sex="Male"),
    "age unknown, sex unknown": replace(SOMEBODY, age=float("nan"), sex="Unknown"),
}


class Graph(nn.Module):
    """What an exported file computes: the members' probabilities and their mean.

    Its inputs are at most one window long (`Method.input.window`): a longer one ends the computation with an error of
    the runtime that names both lengths. A missing or infinite sample makes all of its item's probabilities nan.

    `model`: on the CPU. `sampling_frequency`: Hz; of raw signals in mV that the graph then preprocesses itself. All
    items of a batch have one length.
    """

    def __init__(self, model: Model, sampling_frequency: float | None = None) -> None:
        super().__init__()
        self.method = model.method
        if self.n_demographics > len(demographic_features(Examination(SOMEBODY, self.method.input))):
            raise ValueError(
                f"expected a model that looks at the signal, age and sex, found the method {self.method.name} with "
                "measurements; export a network distilled from it (ecg distill)"
            )
        self.sampling_frequency = sampling_frequency
        self.networks = nn.ModuleList(model.networks)
        self.preprocessing = None
        if sampling_frequency is not None:
            self.preprocessing = make_preprocessing(self.method, sampling_frequency)
        # What the method makes of one sample: shorter inputs are padded with zeros to that.
        [shortest] = self.method.input.windows(np.zeros((len(LEADS), 1), np.float32))
        self.shortest = shortest.shape[1]
        self.nothing: Tensor
        self.register_buffer("nothing", torch.zeros(1, 1, self.method.input.window))

    @property
    def n_demographics(self) -> int:
        return len(Examination(SOMEBODY, self.method.input).features)

    def example(self) -> dict[str, Tensor]:
        """Inputs by name: two items of noise, of different lengths where they may be."""
        n_samples = min(self.shortest + 1000, self.method.input.window)
        if self.sampling_frequency is not None:
            n_samples = round(3 * self.sampling_frequency)
        signal = torch.from_numpy(np.random.default_rng(0).normal(0, 0.3, (2, 12, n_samples)).astype(np.float32))
        inputs = {"signal": signal}
        if self.preprocessing is None:
            lengths = torch.tensor([n_samples, n_samples - 300])
            signal[1, :, lengths[1] :] = 0
            inputs["lengths"] = lengths
        if self.n_demographics:
            inputs["demographics"] = torch.from_numpy(np.stack([Examination(SOMEBODY, self.method.input).features] * 2))
        return inputs

    def forward(
        self, signal: Tensor, lengths: Tensor | None = None, demographics: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Probabilities.

        `signal`, (n_items, 12, n_samples), float32: raw in mV at the frequency stated, or what
        `Method.input.preprocess` returns, zero-padded on the right. `lengths`, (n_items,), int64: samples of each item
        before that padding; left out with raw signals. `demographics`, (n_items, n_features), float32: left out where
        the method has none. Returns `probabilities`: (n_items, n_classes), float32; `member_probabilities`: (n_items,
        n_members, n_classes), float32.
        """
        spoilt = 0 * signal.sum(dim=(1, 2))  # nan where a sample is: a runtime's ReLU may turn nan into zero
        if self.preprocessing is not None:
            signal = self.preprocessing(signal)
        n_items, _, n_samples = signal.shape
        if lengths is None:
            lengths = torch.full((n_items,), n_samples, dtype=torch.int64)
        # No operator raises an error on purpose. A sum of what can't be stretched to each other's length does.
        signal = signal + self.nothing[:, :, :n_samples]
        n_padded = torch.sym_max(n_samples, self.shortest)  # type: ignore[no-untyped-call]
        padding = signal.new_zeros(n_items, len(LEADS), self.shortest)
        signal = torch.cat([signal, padding], dim=2)[:, :, :n_padded]
        if demographics is None:
            demographics = signal.new_zeros(n_items, 0)
        batch = Batch(signal, lengths.clamp(min=self.shortest), demographics)
        members = torch.stack([torch.sigmoid(self.method.forward(network, batch)) for network in self.networks], dim=1)
        members = members + spoilt[:, None, None]
        return members.mean(dim=1), members


def export_onnx(model: Model, sampling_frequency: float | None = None) -> bytes:
    """The ONNX file of a model.

    `model`: on the CPU; `only_member` gives one of several. `sampling_frequency`: see `Graph`. The file is float32,
    opset 18; batch and number of samples are dynamic. The same model gives the same bytes. Raises ValueError if a
    package is missing, the frequency is out of bounds, the model is adapted, the graph can't hold the preprocessing, or
    its probabilities differ from PyTorch's by more than 1e-5.
    """
    if sampling_frequency is not None and not LOWEST_FREQUENCY <= sampling_frequency <= HIGHEST_FREQUENCY:
        bounds = f"{LOWEST_FREQUENCY:g} to {HIGHEST_FREQUENCY:g} Hz"
        raise ValueError(f"expected a sampling frequency of {bounds}, found {sampling_frequency:g} Hz")
    if model.adaptation is not None:
        # Readers of the file decide from the members' probabilities by the method's rule, as its metadata says.
        raise ValueError(
            "expected a model that is not adapted, found an adaptation, which an ONNX file has no place for"
        )
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_extra(package, "the ONNX export")
    graph = Graph(model, sampling_frequency).eval()
    inputs = graph.example()
    dynamic = torch.export.Dim.DYNAMIC
    shapes = {name: {0: dynamic, 2: dynamic} if name == "signal" else {0: dynamic} for name in inputs}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph,
            kwargs=inputs,
            input_names=list(inputs),
            output_names=["probabilities", "member_probabilities"],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    _tidy(proto, describe(model, sampling_frequency))
    data = proto.SerializeToString(deterministic=True)
    _check(data, graph, inputs)
    return data


def only_member(model: Model, number: int) -> Model:
    """The model of one member, counted from 1; ValueError where there is none."""
    if not 1 <= number <= len(model.networks):
        raise ValueError(f"expected a member from 1 to {len(model.networks)}, found {number}")
    if len(model.networks) == 1:
        return model
    chosen = slice(number - 1, number)
    config = {**model.config, "members": model.config["members"][chosen]}
    networks, thresholds = model.networks[chosen], model.thresholds[chosen]
    # The calibration is of all members' mean.
    return replace(model, networks=networks, thresholds=thresholds, config=config, calibration=None)


def describe(model: Model, sampling_frequency: float | None) -> dict[str, str]:
    """The metadata of the file: text, or JSON where there is more than one value."""
    method = model.method
    raw = sampling_frequency is not None
    decision = method.decision
    values = {
        "method": method.name,
        "settings": dict(method.settings),
        "classes": method.classes,
        "class_names": [row.names[0] for row in method.diagnoses.rows],
        "class_abbreviations": [row.abbreviations[0] for row in method.diagnoses.rows],
        "leads": LEADS,
        "input": "raw" if raw else "preprocessed",
        "units": "mV" if raw else method.input.units,
        "sampling_frequency_hz": sampling_frequency if raw else method.input.sampling_frequency,
        "longest_seconds": method.input.window / method.input.sampling_frequency,
        "demographics": {who: _rounded(Examination(one, method.input).features) for who, one in _PEOPLE.items()},
        "thresholds": model.thresholds.tolist(),
        "decision": {name: _named(getattr(decision, name)) for name in ("merge", "decide", "combine")},
        "weights_sha256": model.checksums,
    }
    if method.diagnoses.weights is not None:
        values["challenge_weights"] = method.diagnoses.weights.tolist()
    if model.calibration is not None:
        values["calibration"] = calibration_rows(method.classes, model.calibration)
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _rounded(features: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in features]


def _named(function: Callable[..., Any]) -> str:
    """A function's full name and what it says of itself: a reader must know the rule to apply the parameters."""
    while isinstance(function, partial):
        function = function.func
    purpose = (function.__doc__ or "").strip().split("\n\n")[0]
    return f"{function.__module__}.{function.__qualname__}: {' '.join(purpose.split())}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says to its own developers: a deprecation, and that torchvision is not installed."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        log.setLevel(before)


def _tidy(proto: onnx.ModelProto, metadata: dict[str, str]) -> None:
    """Put our metadata in the place of the exporter's, which holds paths of this machine."""
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for initializer in proto.graph.initializer:
        initializer.ClearField("metadata_props")
        initializer.ClearField("doc_string")
    proto.graph.ClearField("metadata_props")
    proto.graph.ClearField("doc_string")
    used = {name for node in proto.graph.node for name in node.input}
    kept = [each for each in proto.graph.input if each.name in used]  # a method may have no use for lengths
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    del proto.metadata_props[:]
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)


def _check(data: bytes, graph: Graph, inputs: dict[str, Tensor]) -> None:
    """Run the file on the example it was made with."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    wanted = {each.name for each in session.get_inputs()}
    found, _ = session.run(None, {name: value.numpy() for name, value in inputs.items() if name in wanted})
    with torch.inference_mode():
        expected, _ = graph(**inputs)
    difference = float(np.abs(found - expected.numpy()).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise ValueError(
            f"expected probabilities within {LARGEST_DIFFERENCE:g} of PyTorch's, found them {difference:g} away; "
            "the file was not written"
        )
