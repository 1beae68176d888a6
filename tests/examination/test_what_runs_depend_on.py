"""What a run is the same run by, option by option, and which files it refuses to replace."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecg.examination import convert_folder, measure_folder
from ecg.inference import run_folder
from ecg.inference.computing import Computing
from ecg.inference.run_folder import ClassifyOptions
from ecg.model_folder.model import Model
from ecg.runtime.shards import Shard
from tiny import tiny


class BegunError(Exception):
    """Raised in place of a run, with what it would begin with."""


def begun(module, monkeypatch, function, *arguments):
    def begin(recordings, journal, step, options, files=None, group_size=1):
        raise BegunError(
            SimpleNamespace(recordings=recordings, journal=journal, step=step, files=files, size=group_size)
        )

    monkeypatch.setattr(module, "Run", begin)
    with pytest.raises(BegunError) as found:
        function(*arguments)
    return found.value.args[0]


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a b", "c"):
        (folder / f"{name}.dcm").touch()
    return folder


HOW = [{"workers": 3}, {"resume": True}, {"shard": Shard(1, 2)}]


def test_a_table_of_measurements_depends_on_what_is_written_beside_it(recordings, tmp_path, monkeypatch):
    def run(**options):
        options = measure_folder.MeasureOptions(**options)
        return begun(
            measure_folder, monkeypatch, measure_folder.measure_folder, recordings, tmp_path / "o.csv", options
        )

    marks, lines = {"beats": tmp_path / "marks"}, {"json_file": tmp_path / "o.jsonl"}
    steps = [run(**each).step for each in ({}, marks, lines, marks | lines)]
    assert len(set(steps)) == 4
    assert {run(**each).step for each in HOW} == {steps[0]}
    assert run(beats=tmp_path / "elsewhere").step == steps[1]
    plain, marked = run(), run(**marks)
    assert (plain.journal, plain.size) == (tmp_path / ".o.csv", 1)
    assert (plain.files("sub/c"), marked.files("sub/c")) == ([], [tmp_path / "marks" / "sub" / "c.ecgm"])
    assert [(each.name, each.paths) for each in plain.recordings] == [
        ("a b", (f"{recordings}/a b.dcm",)),
        ("c", (f"{recordings}/c.dcm",)),
    ]


def test_a_conversion_depends_on_each_of_its_options(recordings, tmp_path, monkeypatch):
    own = tmp_path / "own.csv"

    def run(**options):
        options = convert_folder.ConvertOptions(**options)
        return begun(
            convert_folder, monkeypatch, convert_folder.convert_recordings, recordings, tmp_path / "o", options
        )

    kinds = [{"to": to} for to in ("dicom", "edf", "csv", "aecg", "scp")]
    others = [{"labels": "common"}, {"labels": str(own)}, {"keep_identity": True}, {"anonymize": True}, *kinds]
    own.write_text("statement,code\nStolperherz,164889003\n")
    steps = [run(**each).step for each in ({}, *others)]
    own.write_text("statement,code\nStolperherz,426177001\n")
    steps.append(run(labels=str(own)).step)
    assert len(set(steps)) == len(steps)
    assert {run(**each).step for each in HOW} == {steps[0]}
    found = run()
    assert (found.journal, found.size) == (tmp_path / "o" / ".run", 1)
    assert [each.name for each in found.recordings] == ["a_b", "c"]
    for suffixes, to in (("hea mat", "challenge"), ("edf bdf", "edf"), ("csv json", "csv"), ("dcm", "dicom"),
                         ("aecg", "aecg"), ("scp", "scp")):  # fmt: skip
        files = [tmp_path / "o" / f"c.{suffix}" for suffix in suffixes.split()]
        assert run(to=to).files("c") == []
        for file in files:
            file.touch()
        assert run(to=to).files("c") == files


@pytest.fixture
def model():
    config = {"format": 1, "method": "tiny", "settings": {}, "classes": [], "members": []}
    return Model(tiny(), (), np.zeros((0, 24)), torch.device("cpu"), config)


def test_a_classification_depends_on_model_and_precision(recordings, tmp_path, monkeypatch, model):
    def run(model=model, **options):
        options = ClassifyOptions(**options)
        return begun(run_folder, monkeypatch, run_folder.run_folder, model, recordings, tmp_path / "o", options)

    other = replace(model, config={**model.config, "format": 2})
    steps = [run().step, run(deterministic=True).step, run(other).step]
    monkeypatch.setattr("torch.__version__", "0.0")
    steps.append(run().step)
    monkeypatch.undo()
    assert len(set(steps)) == 4
    assert {run(**each).step for each in HOW} == {steps[0]}
    found, exact = run(), run(deterministic=True)
    assert (found.journal, found.size, exact.size) == (tmp_path / "o" / ".run", 1, 1)
    for k in range(62):
        (recordings / f"{k}.dcm").touch()
    assert (run().size, run(deterministic=True).size) == (64 // 16, 1)
    assert found.files("c") == [tmp_path / "o" / "c.csv"]
    more = begun(
        run_folder, monkeypatch, run_folder.start, model, recordings, tmp_path / "o", ClassifyOptions(),
        tmp_path / ".page", "a step", lambda name: [tmp_path / f"{name}.html"],
    )  # fmt: skip
    assert (more.journal, more.step) == (tmp_path / ".page", "a step")
    assert more.files("c") == [tmp_path / "o" / "c.csv", tmp_path / "c.html"]
    steps = {
        run_folder.step_of(model, ClassifyOptions(), *more) for more in ((), ("report",), ("report", 1), ("report", 2))
    }
    assert len(steps) == 4


@pytest.mark.parametrize(
    ("name", "deterministic", "dtype", "said", "autocast"),
    [
        ("cpu", True, torch.bfloat16, "single windows in float32 on cpu", False),
        ("cpu", False, torch.bfloat16, "batches of up to 65536 samples in bfloat16 on cpu", False),
        (
            "cpu",
            False,
            torch.float32,
            "batches of up to 65536 samples in float32 by Toom-Cook convolutions on cpu",
            False,
        ),
        ("cuda", True, torch.bfloat16, "single windows in float32 on cuda", False),
        ("cuda:1", False, torch.bfloat16, "batches of up to 262144 samples in bfloat16 on cuda", True),
        ("cuda", False, torch.float32, "batches of up to 262144 samples in float32 on cuda", False),
    ],
)
def test_how_networks_are_computed_is_said_and_done(monkeypatch, model, name, deterministic, dtype, said, autocast):
    asked = []
    monkeypatch.setattr("ecg.inference.computing.fastest_dtype", lambda device: dtype)
    monkeypatch.setattr("ecg.inference.computing.predict", lambda *given, **how: asked.append((given, how)))
    monkeypatch.setattr("ecg.inference.computing.make_fast", lambda method, networks, dtype: [f"fast in {dtype}"])
    compute = Computing(torch.device(name), deterministic)
    assert str(compute) == said
    compute.probabilities(replace(model, networks=("a network",)), ["item"])
    assert asked == [
        ((model.method, ("a network",), ["item"], torch.device(name)),
         {"autocast": autocast, "deterministic": deterministic})
    ]  # fmt: skip
    made = not deterministic and name == "cpu"
    assert compute.ready(model).networks == ((f"fast in {dtype}",) if made else ())


# --- Files that are not to be replaced --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "b.CSV", "z.csv", "link.csv"])
def test_no_output_takes_the_place_of_any_recording(tmp_path, monkeypatch, model, name):
    folder = tmp_path / "in"
    folder.mkdir()
    for file in ("a.csv", "b.CSV", "m.dcm", "z.csv"):
        (folder / file).touch()
    output = tmp_path / "out"
    output.mkdir()
    if name == "link.csv":
        (output / "z.csv").symlink_to(folder / "z.csv")
        name = "z.csv"
    elif name == "b.CSV":
        (output / "b.csv").hardlink_to(folder / name)
    else:
        (output / name).hardlink_to(folder / name)
    paths = [SimpleNamespace(path=f"{path}") for path in sorted(folder.iterdir())]
    monkeypatch.setattr(run_folder, "expand_inputs", lambda given: paths)
    with pytest.raises(ValueError, match="expected another folder than that of the recordings") as found:
        run_folder.run_folder(model, folder, output)
    assert str(found.value) == (
        f"{output}: expected another folder than that of the recordings, found {folder / name}, which an output would "
        "replace"
    )
    assert not (output / ".run.jsonl").exists()


def test_recordings_that_are_no_tables_may_be_classified_where_they_are(recordings, monkeypatch, model):
    found = begun(run_folder, monkeypatch, run_folder.run_folder, model, recordings, recordings)
    assert [each.name for each in found.recordings] == ["a b", "c"]


@pytest.mark.parametrize(
    ("table", "json_file", "message"),
    [
        ("in/c.dcm", None, "{place}/in/c.dcm: expected a file to write, found a recording"),
        ("in/a b.dcm", None, "{place}/in/a b.dcm: expected a file to write, found a recording"),
        ("o.csv", "in/c.dcm", "{place}/in/c.dcm: expected a file to write, found a recording"),
        ("in", None, "{place}/in: expected a file to write, found a folder"),
        ("o.csv", "in", "{place}/in: expected a file to write, found a folder"),
        ("o.csv", "o.csv", "{place}/o.csv: expected one file for the table and another for JSON, found the same"),
    ],
)
def test_no_table_takes_the_place_of_a_recording_or_of_the_other_table(recordings, tmp_path, table, json_file, message):
    options = measure_folder.MeasureOptions(workers=1, json_file=json_file and tmp_path / json_file)
    with pytest.raises(ValueError, match="expected") as found:
        measure_folder.measure_folder(recordings, tmp_path / table, options)
    assert str(found.value) == message.format(place=tmp_path)


@pytest.mark.parametrize(
    ("given", "output", "is_apart"),
    [
        (["in"], "in", False),
        (["in"], "in/new", False),
        (["in/c.dcm"], "in", False),
        (["in/c.dcm"], "in/new", True),
        (["elsewhere", "in"], "in/new/er", False),
        (["in"], ".", True),
        (["in"], "elsewhere", True),
        (["in"], "in2", True),
        (["in"], "elsewhere/../in", False),
    ],
)
def test_conversions_are_not_written_among_recordings(recordings, tmp_path, monkeypatch, given, output, is_apart):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.dcm").touch()
    words = [tmp_path / each for each in given], tmp_path / output
    if is_apart:
        begun(convert_folder, monkeypatch, convert_folder.convert_recordings, *words)
        return
    with pytest.raises(ValueError, match="expected a folder outside that of the recordings, found one in it"):
        convert_folder.convert_recordings(*words)
    for one in words[0]:  # not as a list
        if one.name == "in" or one.suffix:
            with pytest.raises(ValueError, match="expected a folder outside that of the recordings"):
                convert_folder.convert_recordings(str(one), words[1])


def test_an_identity_is_not_both_kept_and_left_out(recordings, tmp_path):
    options = convert_folder.ConvertOptions(keep_identity=True, anonymize=True)
    with pytest.raises(ValueError, match="anonymize: expected it without keep_identity, found both"):
        convert_folder.convert_recordings(recordings, tmp_path / "o", options)
