"""Folders of clinical formats through the commands: classified, measured and trained on like Challenge files."""

import csv
import shutil

import numpy as np
import pytest

import helper_code
import team_code
import train_model
from ecg.commands import convert, measure
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.io.formats import find_recordings, read
from ecg.model_folder.folder import load_model
from ecg.runtime.device import pick_device
from ecg.training.trainer import train
from format_files import STORED, integers, muse_xml
from tiny import heart_like, quick, tiny, write_recording

pytest.importorskip("pydicom")
pytest.importorskip("edfio")
FORMATS = ("dicom", "edf", "csv")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The same three recordings as Challenge files and mixed, one in each of three formats; a tiny model."""
    folder = tmp_path_factory.mktemp("clinical")
    for number in range(6):
        header = write_recording(folder / "challenge", f"HR{number:05d}", heart_like(4, seed=number))
        # Not every format has age and sex, which a network takes in too.
        header.write_text(header.read_text().replace("Age: 60", "Age: NaN").replace("Sex: Female", "Sex: Unknown"))
    (folder / "mixed").mkdir()
    for number, kind in enumerate(FORMATS):
        one = folder / "one" / kind
        one.mkdir(parents=True)
        for suffix in (".hea", ".mat"):
            shutil.copy(folder / "challenge" / f"HR{number:05d}{suffix}", one)
        assert convert.main([str(one), str(folder / "converted" / kind), "--to", kind]) == 0
        for file in (folder / "converted" / kind).glob(f"HR{number:05d}.*"):
            shutil.copy(file, folder / "mixed")
    for suffix in (".hea", ".mat"):
        shutil.copy(folder / "challenge" / f"HR00003{suffix}", folder / "mixed")
    train(tiny(), folder / "challenge", folder / "model", quick())
    return folder


def test_a_mixed_folder_has_one_recording_of_each_name_with_the_same_signal(place):
    found = list(find_recordings(place / "mixed"))
    assert [path.rpartition("/")[2].partition(".")[0] for path in found] == [f"HR{k:05d}" for k in range(4)]
    assert len({path.rpartition(".")[2] for path in found}) == 4
    for path in found:
        name = path.rpartition("/")[2].partition(".")[0]
        _, expected = helper_code.read_recording(place / "challenge" / f"{name}.hea")
        np.testing.assert_allclose(read(path).signal, expected, atol=1e-6)


def test_an_output_never_replaces_a_recording(place, tmp_path):
    folder = shutil.copytree(place / "converted" / "csv", tmp_path / "in")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    model = load_model(place / "model", {"tiny": tiny}, pick_device("cpu"))
    with pytest.raises(ValueError, match=r"HR00002\.csv, which an output would replace"):
        run_folder(model, folder, folder, ClassifyOptions(workers=1))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_driver_gives_a_recording_the_same_scores_in_every_format(place, tmp_path):
    model = load_model(place / "model", {"tiny": tiny}, pick_device("cpu"))
    outcomes = [
        run_folder(model, place / folder, tmp_path / folder, ClassifyOptions(workers=1, deterministic=True))
        for folder in ("challenge", "mixed")
    ]
    assert [(outcome.classified, outcome.problems) for outcome in outcomes] == [(6, []), (4, [])]
    for number in range(4):
        name = f"HR{number:05d}.csv"
        scores = helper_code.load_outputs(tmp_path / "challenge" / name)[3]
        found = helper_code.load_outputs(tmp_path / "mixed" / name)[3]
        assert found == pytest.approx(scores, abs=1e-4)


def test_a_second_run_with_resume_keeps_the_outputs_of_clinical_files(place, tmp_path):
    model = load_model(place / "model", {"tiny": tiny}, pick_device("cpu"))
    run_folder(model, place / "mixed", tmp_path / "out", ClassifyOptions(workers=1))
    again = run_folder(model, place / "mixed", tmp_path / "out", ClassifyOptions(workers=1, resume=True))
    assert (again.classified, again.classified_before) == (0, 4)


def test_measurements_are_the_same_in_every_format(place, tmp_path):
    for folder in ("challenge", "mixed"):
        assert measure.main([str(place / folder), str(tmp_path / f"{folder}.csv"), "--workers", "1"]) == 0
    tables = {}
    for folder in ("challenge", "mixed"):
        lines = (tmp_path / f"{folder}.csv").read_text().splitlines()
        tables[folder] = {row["record"]: row for row in csv.DictReader(lines)}
    assert len(tables["mixed"]) == 4
    for name, row in tables["mixed"].items():
        for column in ("heart_rate_bpm", "qrs_ms", "qt_ms", "V5_r_mv"):
            expected = float(tables["challenge"][name][column])
            assert float(row[column]) == pytest.approx(expected, rel=0.002), (name, column)


def test_training_takes_the_devices_statements_for_labels_when_it_is_told_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(team_code, "METHODS", {"tiny": tiny})
    data = tmp_path / "data"
    data.mkdir()
    samples = integers(1000 / 4.88, leads=STORED)
    for number in range(8):
        (data / f"M{number}.xml").write_bytes(muse_xml(np.roll(samples, 37 * number, axis=1)))
    statement = "Sinus bradycardia" if b"Sinus bradycardia" in muse_xml(samples) else None
    assert statement
    words = [
        "train_model.py",
        str(data),
        str(tmp_path / "model"),
        "--method",
        "tiny",
        "--members",
        "1",
        "--epochs",
        "1",
    ]
    words += ["--device", "cpu", "--workers", "1"]
    monkeypatch.setattr("sys.argv", words)
    assert train_model.main() == 2  # no diagnosis without it
    assert "expected recordings with at least one of the scored diagnoses" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", [*words, "--labels", "common"])
    assert train_model.main() == 0
    assert (tmp_path / "model" / "config.json").exists()
