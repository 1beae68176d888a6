"""The ONNX export: equal to PyTorch, dynamic in batch and length, complete in itself, errors instead of guesses."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import team_code
from commands import ENVIRONMENT, ROOT
from ecg.commands import export
from ecg.decisions.calibration import Calibration
from ecg.decisions.expected_score import adjust_odds, highest_expected_score
from ecg.examination.examine import Examination
from ecg.inference.onnx_compare import compare
from ecg.inference.onnx_export import export_onnx
from ecg.inference.onnx_preprocessing import make_preprocessing
from ecg.inference.predict import Item, predict
from ecg.io.folders import find_headers
from ecg.io.formats import read
from ecg.io.recording import read_recording
from ecg.leads import LEADS
from ecg.methods.butteam import butteam
from ecg.methods.robust import robust
from ecg.model_folder.folder import load_model, save_model
from ecg.model_folder.model import Member, Model, as_stored
from ecg.networks.masking import masked, masked_mean, masks_at_levels
from ecg.scoring.challenge import load_weights
from ecg.simulator.simulate import simulate_recording
from tiny import changed, heart_like, tiny, write_recording

CPU = torch.device("cpu")
EXAMPLE = ROOT / "docs" / "examples" / "classify_with_onnx.py"
PAGE = ROOT / "docs" / "examples" / "browser"
CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")


class SmallNet(nn.Module):
    """In the shape of the default method's network: two strides, masks, a mean, numbers beside the signal."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(12, 8, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn = nn.BatchNorm1d(8)
        self.pool = nn.MaxPool1d(kernel_size=3, stride=2, padding=1)
        self.fc = nn.Linear(8 + 8, len(team_code.CLASSES))

    def forward(self, signal, features, lengths):
        masks = masks_at_levels(lengths, signal.shape[2], 2, round_up=True)
        x = masked(self.bn(self.conv(signal)).relu(), masks[1])
        x = masked_mean(masked(self.pool(x), masks[2]), masks[2])
        return self.fc(torch.cat([x, features], dim=1))


def small():
    """The default method with a network that is exported in seconds."""
    return changed(robust(), name="small", build_network=SmallNet)


def random_member(method, seed):
    """An untrained network with batch norms that are not the identity, and thresholds that differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = method.build_network().state_dict()
        for key, value in state.items():
            if value.is_floating_point() and value.ndim == 1:
                state[key] = torch.rand(value.shape) + 0.5 if key.endswith("var") else torch.rand(value.shape) - 0.5
    state["fc.bias"] -= 2  # few labels
    thresholds = np.random.default_rng(seed).uniform(0.2, 0.8, len(method.classes))
    return Member(as_stored(state), thresholds, np.arange(1), np.zeros((1, 24)), [{"epoch": 1}])


def model_of(method, folder):
    calibration = Calibration(np.linspace(0.5, 1.5, 24), np.linspace(-1, 1, 24))
    save_model(folder, method, [random_member(method, seed) for seed in (1, 2)], {}, [{}, {}], calibration)
    return load_model(folder, {method.name: lambda **_: method}, CPU)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder with two members of the small method, and a registry that knows it."""
    folder = tmp_path_factory.mktemp("onnx") / "model"
    model_of(small(), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(team_code.METHODS, "small", small)
        yield folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder, {"small": small}, CPU)


@pytest.fixture(scope="module")
def file(folder):
    """What the command writes for preprocessed signals."""
    path = folder.parent / "model.onnx"
    assert export.main(["--model", str(folder), str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def raw_file(folder):
    """What the command writes for raw signals at 500 Hz."""
    path = folder.parent / "raw.onnx"
    assert export.main(["--model", str(folder), str(path), "--from-raw", "500"]) == 0
    return path


either = pytest.mark.parametrize("name", ["file", pytest.param("raw_file", marks=pytest.mark.slow)])


def session_of(data):
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def metadata_of(path):
    return session_of(path).get_modelmeta().custom_metadata_map


def simulated(n_recordings, seconds=(4, 6)):
    """Preprocessed recordings of simulated hearts at varying lengths, with age and sex."""
    rng = np.random.default_rng(5)
    for number in range(n_recordings):
        signal = simulate_recording(3, number + 1, sampling_frequency=257, seconds=float(rng.uniform(*seconds))).signal
        person = np.array([rng.uniform(0.2, 0.9), 1, *rng.permutation([1, 0]), 1], dtype=np.float32)
        yield Item(number, small().input.preprocess(signal, 257), person)


def probabilities(model, items):
    return np.stack([found for _, found in predict(model.method, model.networks, items, CPU, deterministic=True)])


# --- Equal to PyTorch


def test_recordings_in_padded_batches_get_pytorchs_probabilities(model, file):
    session, items = session_of(file), list(simulated(40))
    expected = probabilities(model, items)
    for start in range(0, len(items), 20):
        part = items[start : start + 20]
        lengths = np.array([item.signal.shape[1] for item in part])
        signal = np.stack(
            [np.pad(item.signal, ((0, 0), (0, lengths.max() - n))) for item, n in zip(part, lengths, strict=True)]
        )
        inputs = {"signal": signal, "lengths": lengths, "demographics": np.stack([item.features for item in part])}
        mean, members = session.run(["probabilities", "member_probabilities"], inputs)
        np.testing.assert_allclose(members, expected[start : start + 20], atol=1e-5, rtol=0)
        np.testing.assert_allclose(mean, members.mean(axis=1), atol=1e-6)
    assert expected.std(axis=0).min() > 1e-3  # the recordings are told apart: a constant would not pass


def test_the_file_holds_all_that_it_computes_with(file):
    assert session_of(file.read_bytes()).get_outputs()[0].name == "probabilities"


@pytest.mark.parametrize("seconds", [0.2, 1, 15.9, 40])
def test_very_short_and_long_recordings_too_window_by_window(model, file, tmp_path, seconds):
    [item] = simulated(1, (seconds, seconds))
    windows = model.method.input.windows(item.signal[:, :50] if seconds < 1 else item.signal)
    if seconds < 1:  # the graph pads to the method's shortest input itself
        windows = [item.signal[:, :50]]
        item = Item(0, windows[0], item.features)
    found = [
        session_of(file).run(
            ["member_probabilities"],
            {"signal": window[None], "lengths": np.array([window.shape[1]]), "demographics": item.features[None]},
        )[0][0]
        for window in windows
    ]
    np.testing.assert_allclose(np.mean(found, axis=0), probabilities(model, [item])[0], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_raw_signals_get_what_the_whole_pipeline_gives(model, raw_file, tmp_path):
    for number in range(24):
        write_recording(tmp_path, f"R{number}", heart_like(2 + number / 2, seed=number) + np.float32(number / 10))
    write_recording(tmp_path, "slow", heart_like(3, 250), fs=250)
    found = compare(raw_file.read_bytes(), model, 500, find_headers(tmp_path))
    assert (found.n_recordings, found.n_left_out, found.n_labels) == (24, 1, 24 * 24)
    assert found.probability < 1e-5
    assert found.n_changed == 0


@pytest.mark.parametrize("fs", [100, 250, 257, 333, 500, 1000])
@pytest.mark.parametrize("seconds", [1, 7.3])
def test_filters_in_the_graph_are_those_of_the_pipeline(fs, seconds):
    signal = heart_like(seconds, fs) + np.linspace(-1, 3, round(seconds * fs), dtype=np.float32)
    with torch.inference_mode():
        found = make_preprocessing(robust(), fs)(torch.from_numpy(signal)[None])[0].numpy()
    np.testing.assert_allclose(found, robust().input.preprocess(signal, fs), atol=2e-5, rtol=0)  # mV


@pytest.mark.slow
@pytest.mark.parametrize("method", ["zhao", "butteam"])
def test_the_other_methods_are_exported_too(method, tmp_path):
    """Without lengths where padding is signal, and without demographics where there are none."""
    method = {"zhao": tiny, "butteam": lambda: butteam(width=2)}[method]()
    model = model_of(method, tmp_path / "model")
    for number in range(6):
        write_recording(tmp_path / "data", f"R{number}", heart_like(1.5 + 6 * number, seed=number))
    data = export_onnx(model)
    found = compare(data, model, None, find_headers(tmp_path / "data"))
    assert (found.n_recordings, found.n_changed) == (6, 0)
    assert found.probability < 1e-5
    inputs = {each.name for each in session_of(data).get_inputs()}
    assert inputs == {"signal", "demographics" if method.name == "tiny" else "lengths"}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A place for the shipped network's file, and 24 simulated recordings of 10 s."""
    place = tmp_path_factory.mktemp("shipped")
    for number in range(24):
        write_recording(place / "data", f"R{number:02d}", simulate_recording(11, number + 1).signal)
    return place


@pytest.mark.slow
# The graph filters III, aVR, aVL and aVF as recorded. The project computes them from I and II after the filter, which
# differs by the rounding of the stored samples.
@pytest.mark.parametrize(("words", "limit"), [([], 1e-5), (["--from-raw", "500"], 5e-3)], ids=["preprocessed", "raw"])
def test_the_shipped_model_equals_its_file_on_simulated_recordings(shipped, words, limit, capsys):
    path = shipped / "model.onnx"
    words = ["--model", str(ROOT / "model" / "distilled"), str(path), *words]
    assert export.main(words) == 0
    model = load_model(ROOT / "model" / "distilled", team_code.METHODS, CPU)
    found = compare(path.read_bytes(), model, 500 if "--from-raw" in words else None, find_headers(shipped / "data"))
    assert found.n_recordings == 24
    assert found.probability < limit
    assert found.n_changed == 0


# --- Complete in itself


def test_the_file_says_all_that_a_decision_needs(folder, file, model):
    about = metadata_of(file)
    config = json.loads((folder / "config.json").read_text())
    assert (about["method"], about["settings"], about["input"]) == ("small", "{}", "preprocessed")
    assert about["units"] == "mV, 1 to 45 Hz"
    assert float(about["sampling_frequency_hz"]) == 257
    assert float(about["longest_seconds"]) == pytest.approx(4096 / 257)
    assert json.loads(about["leads"]) == list(LEADS)
    assert json.loads(about["classes"]) == config["classes"]
    assert json.loads(about["class_names"])[config["classes"].index("164889003")] == "atrial fibrillation"
    assert json.loads(about["weights_sha256"]) == [member["sha256"] for member in config["members"]]
    assert json.loads(about["calibration"]) == config["calibration"]
    assert json.loads(about["demographics"])["60 years, female"] == [0.6, 1, 1, 0, 1]
    rules = json.loads(about["decision"])
    assert rules["decide"].startswith("ecg.methods.robust.decide: The labels of highest expected score")
    # With these parameters and the rule's formula: the labels that the model itself decides on.
    [item] = simulated(1)
    members = probabilities(model, [item])[0]
    thresholds, weights = np.array(json.loads(about["thresholds"])), np.array(json.loads(about["challenge_weights"]))
    assert np.array_equal(weights, load_weights(classes=model.method.classes)[1])
    moved = np.mean([adjust_odds(row[None], each) for row, each in zip(members, thresholds, strict=True)], axis=0)
    assert np.array_equal(highest_expected_score(moved, weights)[0], model.decide(members)[0])


@either
def test_weights_are_float32_in_a_stated_opset_and_batch_and_length_are_dynamic(name, request):
    path = request.getfixturevalue(name)
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    kinds = {each.data_type for each in proto.graph.initializer}
    assert onnx.TensorProto.FLOAT in kinds
    assert not kinds & {onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    assert [(each.domain, each.version) for each in proto.opset_import if each.domain == ""] == [("", 18)]
    shapes = {each.name: each.shape for each in session_of(path).get_inputs()}
    # Raw signals of a batch have one length.
    assert set(shapes) == {"signal", "demographics"} | ({"lengths"} if name == "file" else set())
    batch, n_leads, n_samples = shapes["signal"]
    assert n_leads == 12
    assert isinstance(batch, str) and isinstance(n_samples, str)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_and_no_path_of_this_machine(file, model):
    assert export_onnx(model) == file.read_bytes()
    for path in (ROOT, Path(torch.__file__).parent):
        assert os.fsencode(path) not in file.read_bytes()


@pytest.mark.slow
def test_one_member_alone(folder, file, model, capsys):
    path = folder.parent / "second.onnx"
    assert export.main(["--model", str(folder), str(path), "--member", "2"]) == 0
    assert "1 of the model's members" in capsys.readouterr().out
    about = metadata_of(path)
    assert json.loads(about["weights_sha256"]) == json.loads(metadata_of(file)["weights_sha256"])[1:]
    assert "calibration" not in about  # that is of the members' mean
    assert json.loads(about["thresholds"]) == [model.thresholds[1].tolist()]
    [item] = simulated(1)
    inputs = {"signal": item.signal[None], "lengths": np.array([item.signal.shape[1]])}
    mean, members = session_of(path).run(None, {**inputs, "demographics": item.features[None]})
    assert members.shape == (1, 1, 24)
    np.testing.assert_allclose(mean[0], probabilities(model, [item])[0, 1], atol=1e-5)


# --- Errors instead of guesses


def inputs_of(name, signal):
    """For the graph of preprocessed or of raw signals; of people nothing is known."""
    inputs = {"signal": signal, "demographics": np.zeros((len(signal), 5), np.float32)}
    return inputs | ({"lengths": np.full(len(signal), signal.shape[2])} if name == "file" else {})


@either
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_sample_makes_its_own_recordings_probabilities_nan(name, bad, request):
    signal = np.stack([heart_like(2), heart_like(2, seed=1)])
    signal[0, 3, 500] = bad
    mean, members = session_of(request.getfixturevalue(name)).run(None, inputs_of(name, signal))
    assert np.isnan(mean[0]).all() and np.isnan(members[0]).all()
    assert np.isfinite(mean[1]).all()


@either
def test_more_than_a_window_at_once_is_an_error_of_the_runtime(name, request, capfd):
    session, fs = session_of(request.getfixturevalue(name)), 257 if name == "file" else 500
    session.run(None, inputs_of(name, np.zeros((1, 12, 4096 * fs // 257), np.float32)))
    with pytest.raises(Exception, match="broadcast"):
        session.run(None, inputs_of(name, np.zeros((1, 12, 4096 * fs // 257 + 1), np.float32)))
    assert "4096 by 4097" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--member", "3"], "expected a member from 1 to 2, found 3"),
        (["--member", "0"], "expected a member from 1 to 2, found 0"),
        (["--from-raw", "20"], "expected a sampling frequency of 50 to 5000 Hz, found 20 Hz"),
        (["--from-raw", "nan"], "expected a sampling frequency of 50 to 5000 Hz, found nan Hz"),
    ],
)
def test_what_can_not_be_exported_is_said_and_nothing_is_written(folder, tmp_path, capsys, words, message):
    assert export.main(["--model", str(folder), str(tmp_path / "model.onnx"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_model_is_said(tmp_path, capsys):
    assert export.main(["--model", str(tmp_path), str(tmp_path / "model.onnx")]) == 2
    assert "expected the config of a trained model, found none" in capsys.readouterr().err


def test_missing_packages_are_named_with_how_to_install_them(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert export.main(["--model", str(folder), str(tmp_path / "model.onnx")]) == 2
    said = capsys.readouterr().err
    assert "expected the package onnxscript for the ONNX export, found none" in said
    assert "pip install '.[onnx]'" in said


def test_a_preprocessing_that_is_not_resampling_and_band_pass_is_refused(tmp_path):
    """Microvolts: without the check the graph would take a thousandth of what its network was trained on."""
    model = Model(tiny(), (), np.zeros((0, 24)), CPU, {"members": []})
    with pytest.raises(ValueError, match="expected a preprocessing that is resampling and a band pass, found another"):
        export_onnx(model, 500)


@pytest.mark.slow
def test_a_file_that_differs_from_pytorch_is_not_written(folder, tmp_path, monkeypatch, capsys):
    real = onnxruntime.InferenceSession.run

    def spoilt(*arguments):
        return [output + np.float32(2e-5) for output in real(*arguments)]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", spoilt)
    assert export.main(["--model", str(folder), str(tmp_path / "model.onnx")]) == 2
    assert "expected probabilities within 1e-05 of PyTorch's" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# --- The example


def classified(model, header):
    """What the model decides on a recording: {code: probability} of the labels, and all the probabilities."""
    examined = Examination(read(header), model.method.input)
    members = probabilities(model, [Item(0, examined.prepared, examined.features)])[0]
    labels, scores = model.decide(members)
    assert 0 < labels.sum() < 24
    return {code: f"{scores[k]:.3f}" for k, code in enumerate(model.method.classes) if labels[k]}, scores


@pytest.mark.slow
def test_the_example_classifies_as_the_model_does_with_numpy_and_onnxruntime_alone(model, raw_file, tmp_path):
    header = write_recording(tmp_path, "R1", heart_like(5, seed=3))
    code = f"import runpy, sys; sys.argv = {[EXAMPLE.name, str(raw_file), str(header)]}; sys.modules['torch'] = None; "
    code += f"sys.modules['scipy'] = sys.modules['ecg'] = None; runpy.run_path({str(EXAMPLE)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    expected, _ = classified(model, header)
    assert {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()} == expected


@pytest.mark.slow
def test_the_example_refuses_a_recording_at_another_frequency(raw_file, tmp_path):
    header = write_recording(tmp_path, "R1", heart_like(5, 250), fs=250)
    done = subprocess.run([sys.executable, EXAMPLE, raw_file, header], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "expected a model for raw signals at 250 Hz and no missing samples\n"


@pytest.fixture
def browser(tmp_path):
    """Chromium with the page open, served from this machine, and what was asked of the server."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and chromedriver are not installed")
    if not (PAGE / "node_modules" / "onnxruntime-web").exists():
        pytest.skip("onnxruntime-web is not there: npm install in docs/examples/browser")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *values):
            asked.append(values[0])

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=PAGE)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
                driver.get(f"http://127.0.0.1:{server.server_port}/")
                yield driver, asked
                assert driver.get_log("browser") == []
        finally:
            server.shutdown()
            thread.join()


def classify_in(driver, model_file, *files):
    """Status and rows of the table, {code: (probability, "yes" or "")}."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    for name, chosen in (("model", [model_file]), ("recording", files)):
        driver.execute_script(f"document.getElementById('{name}').value = ''")
        driver.find_element(By.ID, name).send_keys("\n".join(map(str, chosen)))
    button = driver.find_element(By.ID, "classify")
    button.click()
    WebDriverWait(driver, 120).until(lambda _: button.is_enabled())
    rows = driver.execute_script(
        "return [...document.querySelectorAll('#result:not([hidden]) tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    status = driver.find_element(By.ID, "status").text
    return status, {code: (float(probability), label) for _, code, probability, label in rows}


@pytest.mark.slow
def test_the_page_classifies_in_the_browser_as_the_model_does_and_sends_nothing(model, raw_file, tmp_path, browser):
    driver, asked = browser
    header = write_recording(tmp_path, "R1", heart_like(5, seed=3))
    expected, scores = classified(model, header)
    status, rows = classify_in(driver, raw_file, header, header.with_suffix(".mat"))
    assert status == "Done."
    assert {code for code, (_, label) in rows.items() if label == "yes"} == set(expected)
    np.testing.assert_allclose([rows[code][0] for code in model.method.classes], scores, atol=6e-5)
    # The same samples as a table; leads in another order, and nothing known of the person.
    _, signal = read_recording(header)
    table = tmp_path / "table.csv"
    np.savetxt(table, signal[::-1].T, "%.6f", ",", header=",".join(LEADS[::-1]), comments="")
    status, others = classify_in(driver, raw_file, table)
    assert status == "Done."
    assert others.keys() == rows.keys()
    assert others != rows  # age and sex count
    # Without them, too, the numbers are the model's.
    members = probabilities(model, [Item(0, model.method.input.preprocess(signal, 500), np.zeros(5, np.float32))])[0]
    np.testing.assert_allclose([others[code][0] for code in model.method.classes], model.decide(members)[1], atol=6e-5)
    assert asked and all(line.startswith("GET /") for line in asked)
    assert not any("R1" in line or "table" in line for line in asked)


@pytest.mark.slow
def test_the_page_says_what_it_can_not_use(file, raw_file, tmp_path, browser):
    driver, _ = browser
    header = write_recording(tmp_path, "R1", heart_like(5))
    mat = header.with_suffix(".mat")
    slow = write_recording(tmp_path, "slow", heart_like(5, 250), fs=250)
    long = write_recording(tmp_path, "long", heart_like(20))
    (tmp_path / "no.onnx").write_bytes(b"no model")
    for model_file, files, words in (
        (file, (header, mat), "expected a model exported with --from-raw"),
        (tmp_path / "no.onnx", (header, mat), "expected an ONNX file"),
        (raw_file, (header,), "expected a .hea and its .mat file"),
        (raw_file, (slow, slow.with_suffix(".mat")), "expected a recording at 500 Hz, found one at 250 Hz"),
        (raw_file, (long, long.with_suffix(".mat")), "expected 1 to 15.9 s, found 20.0 s"),
    ):
        status, rows = classify_in(driver, model_file, *files)
        assert words in status
        assert not rows
