"""The ONNX export without exporting, which takes seconds: what the graph computes, what a file says of itself, and how
far a file is said to be from PyTorch.

`python tests/inference/test_onnx_without_export.py` notes anew what files say: read what has changed.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from ecg.decisions.adaptation import Adaptation
from ecg.decisions.calibration import Calibration
from ecg.examination.examine import Examination
from ecg.inference import onnx_compare, onnx_export
from ecg.inference.onnx_export import Graph, describe, only_member
from ecg.inference.onnx_preprocessing import make_preprocessing
from ecg.inference.predict import Item, make_batch, predict
from ecg.io.recording import Recording
from ecg.labels.diagnoses import load_diagnoses
from ecg.leads import fill_missing
from ecg.methods.butteam import butteam
from ecg.methods.hybrid import hybrid
from ecg.methods.robust import robust
from ecg.model_folder.model import Model
from tiny import changed, heart_like, tiny

GOLDEN = Path(__file__).with_name("golden_onnx_metadata.json")
CPU = torch.device("cpu")
RATE, WINDOW = 257, 4096  # of the method's input: Hz, samples


class Net(nn.Module):
    """A convolution, its mean without the padding, and a linear layer of that mean and of the numbers."""

    def __init__(self, n_classes=24):
        super().__init__()
        self.conv = nn.Conv1d(12, 8, kernel_size=7, padding=3)
        self.fc = nn.Linear(8 + 8, n_classes)  # the method adds three numbers of how large the signal is
        self.fc.bias.data -= 2  # few labels

    def forward(self, signal, features, lengths):
        there = torch.arange(signal.shape[2]) < lengths[:, None]
        x = (self.conv(signal).relu() * there[:, None]).sum(dim=2) / lengths[:, None]
        return self.fc(torch.cat([4 * x, features], dim=1))


def model_of(method, n_members=2, calibration=None):
    classes = len(method.classes)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        networks = tuple(Net(classes).eval() for _ in range(n_members))
    thresholds = np.round(np.random.default_rng(3).uniform(0.3, 0.7, (n_members, classes)), 3)
    config = {"members": [{"sha256": f"{k}" * 8, "thresholds": []} for k in range(n_members)]}
    return Model(method, networks, thresholds, CPU, config, calibration)


@pytest.fixture(scope="module")
def model():
    return model_of(changed(robust(), name="small"))


def expected(model, item):
    [(_, members)] = predict(model.method, model.networks, [item], CPU, deterministic=True)
    return members


def items_of(model, lengths):
    signal = heart_like(20, RATE, seed=2)
    for k, (length, age) in enumerate(zip(lengths, (20, 50, 90, np.nan, 60), strict=False)):
        recording = Recording(signal[:, 100 * k : 100 * k + length], RATE, f"{k}", age, ("Male", "Female")[k % 2])
        examined = Examination(recording, model.method.input)
        yield recording, Item(k, examined.prepared, examined.features)


# --- The graph


@pytest.mark.parametrize("method", ["small", "tiny", "butteam"])
def test_the_graph_gives_each_item_of_a_padded_batch_what_it_gets_alone(method, model):
    """Also where padding counts as signal, and where nothing of the person is asked."""
    if method != "small":
        method = tiny() if method == "tiny" else butteam(width=2)
        with torch.random.fork_rng():
            torch.manual_seed(5)
            networks = tuple(method.build_network().eval() for _ in range(2))
        model = replace(model_of(method), networks=networks)
    items = [item for _, item in items_of(model, (4096, 1000, 700, 400))]
    lengths = [item.signal.shape[1] for item in items]
    longest = max(lengths)
    padded = np.stack([np.pad(item.signal, ((0, 0), (0, longest - n))) for item, n in zip(items, lengths, strict=True)])
    inputs = padded, np.array(lengths), np.stack([item.features for item in items])
    with torch.inference_mode():
        mean, members = Graph(model)(*map(torch.from_numpy, inputs))
    for k, item in enumerate(items):
        np.testing.assert_allclose(members[k], expected(model, item), atol=1e-5)
    np.testing.assert_allclose(mean, members.mean(dim=1), atol=1e-6)


@pytest.mark.parametrize("length", [1, 40, 513, 4096])
def test_what_is_shorter_than_the_methods_shortest_window_counts_as_padded_to_it(model, length):
    signal = heart_like(20, RATE, seed=4)[:, :length].copy()
    graph = Graph(model)
    inputs = signal[None], np.array([length]), np.zeros((1, 5), np.float32)
    with torch.inference_mode():
        _, members = graph(*map(torch.from_numpy, inputs))
        longer = np.pad(signal, ((0, 0), (0, max(0, graph.shortest - length))))
        batch = make_batch([longer], [np.zeros(5, np.float32)], CPU)
        alone = [torch.sigmoid(model.method.forward(network, batch))[0] for network in model.networks]
    assert model.method.input.windows(np.zeros((12, 1), np.float32))[0].shape[1] == graph.shortest
    np.testing.assert_allclose(members[0], torch.stack(alone), atol=1e-6)


@pytest.mark.parametrize("rate", [257, 500])
def test_the_graph_of_raw_signals_gives_what_recordings_get(model, rate):
    for seconds in (1.1, 6):
        recording = Recording(heart_like(seconds, rate, seed=5), rate, "a", 40.0, "Male")
        examined = Examination(recording, model.method.input)
        with torch.inference_mode():
            signal, features = (torch.from_numpy(each[None]) for each in (recording.signal, examined.features))
            _, members = Graph(model, rate)(signal, demographics=features)
        item = Item(0, examined.prepared, examined.features)
        np.testing.assert_allclose(members[0], expected(model, item), atol=1e-4)


def test_the_example_fits_what_the_graph_takes(model):
    assert {k: (v.shape, v.dtype) for k, v in Graph(model).example().items()} == {
        "signal": ((2, 12, Graph(model).shortest + 1000), torch.float32),
        "lengths": ((2,), torch.int64),
        "demographics": ((2, 5), torch.float32),
    }
    assert {k: v.shape for k, v in Graph(model, 250).example().items()} == {
        "signal": (2, 12, 750),
        "demographics": (2, 5),
    }
    signal, lengths, _ = Graph(model).example().values()
    for row, length in zip(signal, lengths, strict=True):
        assert (row[:, length:] == 0).all() and (row[:, :length] != 0).all()


def test_a_model_that_looks_at_measurements_has_no_graph():
    with pytest.raises(ValueError, match="found the method hybrid with measurements; export a network distilled from"):
        Graph(model_of(hybrid()))
    Graph(model_of(hybrid(measurements=False)))


@pytest.mark.parametrize(
    ("rate", "is_exported"), [(49.99, False), (50, True), (5000, True), (5001, False), (np.nan, False)]
)
def test_raw_signals_are_exported_at_frequencies_that_recordings_have(model, monkeypatch, rate, is_exported):
    def graph(model, rate):
        raise NotImplementedError(f"begun at {rate} Hz")

    needed = []
    monkeypatch.setattr(onnx_export, "import_extra", lambda package, purpose: needed.append(package))
    monkeypatch.setattr(onnx_export, "Graph", graph)
    if is_exported:
        with pytest.raises(NotImplementedError, match=f"begun at {rate} Hz"):
            onnx_export.export_onnx(model, rate)
        assert needed == ["onnx", "onnxscript", "onnxruntime"]
    else:
        message = f"expected a sampling frequency of 50 to 5000 Hz, found {rate:g} Hz"
        with pytest.raises(ValueError, match=message):
            onnx_export.export_onnx(model, rate)


def test_an_adapted_model_is_not_exported(model):
    with pytest.raises(
        ValueError, match="expected a model that is not adapted, found an adaptation, which an ONNX file"
    ):
        onnx_export.export_onnx(replace(model, adaptation=Adaptation(np.eye(24), np.zeros(24))))


# --- One member


def test_one_member_has_its_own_network_thresholds_and_checksum_and_no_calibration():
    calibrated = model_of(robust(), 3, Calibration(np.ones(24), np.zeros(24)))
    for number in (1, 2, 3):
        alone = only_member(calibrated, number)
        assert alone.networks == (calibrated.networks[number - 1],)
        np.testing.assert_array_equal(alone.thresholds, calibrated.thresholds[[number - 1]])
        assert (alone.checksums, alone.calibration) == ([calibrated.checksums[number - 1]], None)
    single = model_of(robust(), 1, calibrated.calibration)
    assert only_member(single, 1) is single
    for number in (-1, 0, 4):
        with pytest.raises(ValueError, match=f"expected a member from 1 to 3, found {number}"):
            only_member(calibrated, number)


# --- What a file says of itself


def described():
    calibration = Calibration(np.linspace(0.5, 1.5, 24), np.linspace(-1, 1, 24))
    several = model_of(robust(), 2, calibration)
    cases = {
        "robust": (several, None),
        "robust, raw": (several, 250.0),
        "robust, a member": (only_member(several, 2), None),
        "zhao's filters": (model_of(tiny(), 1), None),
        "butteam": (model_of(butteam(width=12), 1), None),
        "hybrid without measurements": (model_of(hybrid(measurements=False), 1), 500.0),
        "a set without rewards": (model_of(robust(diagnoses=load_diagnoses("ptb-xl")), 1), None),
    }
    return {name: {key: shown(value) for key, value in describe(*case).items()} for name, case in cases.items()}


@pytest.fixture(scope="module")
def described_once():
    return described()


def shown(text):
    """JSON as what it is, of long tables the beginning and the sum."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, list) and isinstance(value[0], list) and len(value) > 3:
        return {"rows": len(value), "first": value[0], "second": value[1], "sum": round(float(np.sum(value)), 3)}
    return value


@pytest.mark.parametrize("name", json.loads(GOLDEN.read_text()) if GOLDEN.exists() else ())
def test_a_file_says_of_itself_what_was_noted(name, described_once):
    assert described_once[name] == json.loads(GOLDEN.read_text())[name]


# --- How far a file is from PyTorch


class Session:
    """Stands for onnxruntime: the graph in PyTorch, with one class of the first member moved."""

    def __init__(self, graph, column, by):
        self.graph, self.column, self.by = graph, column, by

    def get_inputs(self):
        names = ["signal", "demographics"] + ([] if self.graph.preprocessing else ["lengths"])
        return [SimpleNamespace(name=name) for name in names]

    def run(self, names, given):
        assert names == ["member_probabilities"]
        assert set(given) == {each.name for each in self.get_inputs()}
        with torch.inference_mode():
            members = self.graph(**{name: torch.from_numpy(value) for name, value in given.items()})[1].numpy()
        members[:, 0, self.column] += self.by
        return [members]


@pytest.fixture
def recordings(model, monkeypatch):
    """By path: half a window, a whole one, one sample more, one with gaps and without a lead, one at another rate."""
    found = {f"{k}": recording for k, (recording, _) in enumerate(items_of(model, (2000, 4096, 4097, 3000)))}
    gaps = found["3"].signal.copy()
    gaps[4] = np.nan
    gaps[:, 500:520] = np.nan
    found["3"] = Recording(gaps, RATE, "3", 70.0, "Female")
    found["4"] = Recording(heart_like(3, 500, seed=6), 500, "4")
    monkeypatch.setattr(onnx_compare, "read", found.__getitem__)
    return found


@pytest.mark.parametrize("by", [0.5, -0.5])
@pytest.mark.parametrize(("rate", "left_out"), [(None, []), (257, ["2", "4"]), (500, ["0", "1", "2", "3"])])
def test_a_difference_of_either_sign_and_labels_that_change_are_found(
    model, recordings, monkeypatch, rate, left_out, by
):
    column = list(model.method.classes).index("426783006")
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda data, providers: Session(Graph(model, rate), column, by)
    )
    found = onnx_compare.compare(b"", model, rate, recordings)
    n_changed = 0
    for path, recording in recordings.items():
        if path not in left_out:
            filled = Recording(fill_missing(recording.signal), recording.sampling_frequency, path)
            prepared = Examination(filled, model.method.input).prepared
            members = expected(model, Item(0, prepared, Examination(recording, model.method.input).features))
            moved = members.copy()
            moved[0, column] += by
            n_changed += int((model.decide(moved)[0] != model.decide(members)[0]).sum())
    n_recordings = len(recordings) - len(left_out)
    assert (found.n_recordings, found.n_left_out, found.n_labels) == (n_recordings, len(left_out), 24 * n_recordings)
    assert found.probability == pytest.approx(abs(by), abs=1e-3)
    assert found.n_changed == n_changed
    assert n_changed > 0 or rate == 500


def test_the_comparison_is_said_in_a_sentence_and_one_with_nothing_refused(model, recordings, monkeypatch):
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda data, providers: Session(Graph(model, 257), 0, 0))
    with pytest.raises(ValueError, match=r"expected recordings to compare on, found none \(2 left out\)"):
        onnx_compare.compare(b"", model, 257, ["2", "4"])
    assert str(onnx_compare.Agreement(24, 0, 0.000123, 576, 3)) == (
        "24 recordings: probabilities differ from PyTorch's by at most 1.2e-04, 3 of 576 labels are others"
    )
    assert str(onnx_compare.Agreement(1, 2, 0.5, 24, 0)) == (
        "1 recordings (2 left out: too long or at another sampling frequency): probabilities differ from PyTorch's by "
        "at most 5.0e-01, 0 of 24 labels are others"
    )


@pytest.mark.parametrize("by", [0.0, 0.9e-5, -0.9e-5, 1.3e-5, -1.3e-5, np.nan])
def test_a_file_whose_probabilities_are_others_is_refused(model, monkeypatch, by):
    graph = Graph(model)

    class Moved(Session):
        def run(self, names, given):
            assert names is None
            with torch.inference_mode():
                mean, members = graph(**{name: torch.from_numpy(value) for name, value in given.items()})
            moved = mean.numpy().copy()
            moved[1, self.column] += self.by
            return [moved, members.numpy()]

    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda data, providers: Moved(graph, 3, by))
    if abs(by) < 1e-5:
        onnx_export._check(b"", graph, graph.example())
    else:
        message = r"expected probabilities within 1e-05 of PyTorch's, found them \S+ away; the file was not written"
        with pytest.raises(ValueError, match=message):
            onnx_export._check(b"", graph, graph.example())


@pytest.mark.parametrize("by", [0.0, 0.9e-3, -0.9e-3, 1.1e-3, -1.1e-3, np.nan])
@pytest.mark.parametrize("place", [(0, 0), (11, -1)])
def test_a_preprocessing_of_another_result_at_any_sample_is_refused(place, by):
    class Input:
        sampling_frequency, band = 257, None

        def preprocess(self, signal, sampling_frequency):
            assert sampling_frequency == 257
            moved = signal.astype(np.float64)
            moved[place] += by
            return moved

    method = SimpleNamespace(name="mine", input=Input())
    if abs(by) < 1e-3:
        assert len(make_preprocessing(method, 257)) == 0
    else:
        message = "method mine: expected a preprocessing that is resampling and a band pass, found another; export wi"
        with pytest.raises(ValueError, match=message):
            make_preprocessing(method, 257)


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(values)}" for name, values in described().items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    sys.exit()
