"""What the three commands do with recordings that are not as they should be; the kinds are in bad_recordings.py."""

import json
import re

import numpy as np
import pytest

import evaluate_model
import helper_code
import team_code
from bad_recordings import CLASSIFIED, REFUSED, UNREADABLE, write_classified, write_refused
from commands import drop_file_rights, modes_can_bind, run, visible_bytes, write_recordings
from ecg.inference.run_folder import ClassifyOptions
from ecg.training.trainer import train
from tiny import heart_like, quick, tiny, write_recording

N_GOOD = 8


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny model, and one folder that holds good recordings and every other kind."""
    place = tmp_path_factory.mktemp("place")
    write_recordings(place / "all", N_GOOD)
    train(tiny(), place / "all", place / "model", quick())
    write_refused(place / "all", [kind for kind in REFUSED if modes_can_bind() or not kind.startswith(UNREADABLE)])
    write_classified(place / "all")
    return place


@pytest.fixture(scope="module")
def driven(place):
    return run("driver", place / "model", place / "all", place / "out", check=1, preexec_fn=drop_file_rights)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_recording_that_can_not_be_classified_is_named_and_gets_an_empty_output(place, driven, kind):
    if kind.startswith(UNREADABLE) and not modes_can_bind():
        pytest.skip("file modes bind nobody here: this is root with rights that can't be dropped")
    said = [line for line in driven.stderr.splitlines() if f"/{kind}." in line]
    assert len(said) == 1, driven.stderr
    assert re.search(kind + REFUSED[kind][1], said[0]), said[0]
    text = (place / "out" / f"{kind}.csv").read_text()
    zeros = ",".join("0" * 24)
    assert text == f"#{kind}\n{','.join(team_code.CLASSES)}\n{zeros}\n{zeros}\n"


@pytest.mark.parametrize("name", CLASSIFIED)
def test_an_odd_recording_that_can_be_classified_is(place, driven, name):
    recording_id, classes, labels, scores = helper_code.load_outputs(place / "out" / f"{name}.csv")
    assert len(recording_id) == len(name)
    assert classes == team_code.CLASSES
    assert any(labels)
    assert all(0 < score < 1 for score in scores)


@pytest.mark.slow
def test_bad_recordings_change_nothing_for_the_others(place, driven, tmp_path):
    write_recordings(tmp_path / "good", N_GOOD)
    for folder, status in ((tmp_path / "good", 0), (place / "all", 1)):
        words = (folder, tmp_path / folder.name, "--deterministic")
        run("driver", place / "model", *words, check=status, preexec_fn=drop_file_rights)
    run("driver", place / "model", tmp_path / "good", tmp_path / "out", check=0)
    alone, among = visible_bytes(tmp_path / "good"), visible_bytes(tmp_path / "all")
    names = [f"HR{number:05d}.csv" for number in range(N_GOOD)]
    assert [alone[name] for name in names] == [among[name] for name in names]
    for name in names:  # in batches: of larger groups where there are more recordings
        one, other = (
            np.genfromtxt(folder / name, delimiter=",", skip_header=3) for folder in (tmp_path / "out", place / "out")
        )
        np.testing.assert_allclose(one, other, rtol=0, atol=0.01)


def test_the_driver_sums_up_and_gives_each_recording_one_output(place, driven):
    n_bad = sum(modes_can_bind() or not kind.startswith(UNREADABLE) for kind in REFUSED)
    assert f"{N_GOOD + len(CLASSIFIED)} recordings classified, {n_bad} could not be" in driven.stdout
    assert len(visible_bytes(place / "out")) == N_GOOD + len(CLASSIFIED) + n_bad


@pytest.mark.slow
def test_training_leaves_bad_recordings_out_and_lists_them(place, tmp_path):
    done = run(
        "train_model",
        place / "all",
        tmp_path / "model",
        "--folds",
        1,
        "--epochs",
        1,
        check=0,
        preexec_fn=drop_file_rights,
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("Left out: ")]
    for kind, (_, message) in REFUSED.items():
        if modes_can_bind() or not kind.startswith(UNREADABLE):
            assert [line for line in said if re.search(f"/{kind}{message}", line)], kind
    training = json.loads((tmp_path / "model" / "config.json").read_text())["training"]
    assert training["left_out"] == len(said)
    assert training["recordings"] >= N_GOOD


@pytest.mark.parametrize("kind", ["empty_hea", "cut_hea", "random_hea", "loop_hea", "pipe_hea", "unreadable_hea"])
def test_the_scorer_says_which_header_is_bad(tmp_path, kind):
    if kind.startswith(UNREADABLE) and not modes_can_bind():
        pytest.skip("file modes bind nobody here: this is root with rights that can't be dropped")
    write_recordings(tmp_path / "labels", 2)
    write_refused(tmp_path / "labels", [kind])
    for name in ("HR00000", "HR00001", kind):
        helper_code.save_outputs(tmp_path / f"{name}.csv", name, ["426783006"], [1], [0.5])
    done = run("evaluate_model.py", tmp_path / "labels", tmp_path, check=2, preexec_fn=drop_file_rights)
    assert re.fullmatch(rf"evaluate_model.py: \S*/{kind}\.hea: expected .*, found .*\n", done.stderr)


def test_the_scorer_reads_what_the_driver_writes_for_bad_recordings(tmp_path):
    folder = tmp_path / "labels"
    write_recordings(folder, 2)
    write_refused(folder, ["cut_mat"])
    for name, label in (("HR00000", 1), ("HR00001", 1), ("cut_mat", 0)):
        helper_code.save_outputs(tmp_path / f"{name}.csv", name, ["426783006"], [label], [label / 2])
    assert evaluate_model.evaluate_model(folder, tmp_path).overall["Accuracy"] == pytest.approx(2 / 3)


@pytest.mark.slow
def test_of_two_recordings_with_one_name_the_one_that_can_be_classified_is(place, tmp_path):
    write_recording(tmp_path / "in/b", "A0001", heart_like(2, seed=1))
    write_recording(tmp_path / "in/a", "A0001", heart_like(2, seed=2)).with_suffix(".mat").unlink()
    write_recording(tmp_path / "in/c", "A0001", heart_like(2, seed=3))
    write_recording(tmp_path / "alone", "A0001", heart_like(2, seed=1))
    done = run("driver", place / "model", tmp_path / "in", tmp_path / "out", check=1)
    assert "a/A0001.mat: expected a file, found none" in done.stderr
    assert "c/A0001.hea: expected one recording of this name, found another before; left out" in done.stderr
    run("driver", place / "model", tmp_path / "alone", tmp_path / "alone_out", check=0)
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "alone_out")


def test_an_unexpected_error_in_one_recording_costs_only_that_one(place, tmp_path, monkeypatch):
    """Whatever preprocessing raises, here when memory runs out."""
    from ecg.inference import run_folder as driving
    from ecg.model_folder.folder import load_model
    from ecg.runtime.device import pick_device

    write_recordings(tmp_path / "in", 3)
    model = load_model(place / "model", {"tiny": tiny}, pick_device("cpu"))
    read = driving.read

    def out_of_memory(path):
        if path.stem == "HR00001":
            np.empty(2**60, np.uint8)
        return read(path)

    monkeypatch.setattr(driving, "read", out_of_memory)
    outcome = driving.run_folder(model, tmp_path / "in", tmp_path / "out", ClassifyOptions(workers=2))
    assert outcome.classified == 2
    assert len(outcome.problems) == 1
    assert re.search(r"HR00001\.hea: .*MemoryError: Unable to allocate", outcome.problems[0])
