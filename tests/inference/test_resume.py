"""Resuming a stopped run: what is kept, done again or refused."""

import itertools
import json
import os
import re
import shutil

import pytest

import driver
import helper_code
import team_code
import train_model
from bad_recordings import write_refused
from commands import visible_bytes, write_recordings
from ecg.training import member
from ecg.training.dataset import build_dataset
from ecg.training.trainer import train
from tiny import heart_like, quick, tiny, write_recording


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two tiny models of one training folder, and recordings to classify."""
    place = tmp_path_factory.mktemp("models")
    write_recordings(place / "data", 6)
    for seed in (1, 2):
        train(
            tiny(),
            place / "data",
            place / f"model{seed}",
            quick(seed=seed),
        )
    return place


@pytest.fixture(scope="module", autouse=True)
def tiny_by_default():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(team_code.METHODS, "tiny", tiny)
        patch.setattr(team_code, "DEFAULT_METHOD", "tiny")
        yield


def begin(module, *words):
    """Run `driver.main` or `train_model.main` in this process alone: its exit status.

    The driver computes one by one, so that each recording is kept or classified for itself.
    """
    return module.main([*map(str, words), *["--deterministic"] * (module is driver), "--workers", "1"])


@pytest.fixture
def command(capsys):
    """As `begin`: the exit status, what was printed and what was said."""
    return lambda module, *words: (begin(module, *words), *capsys.readouterr())


@pytest.fixture(scope="module")
def driven_once(models):
    assert begin(driver, models / "model1", models / "data", models / "driven") == 0
    return models / "driven"


@pytest.fixture
def half(driven_once, tmp_path):
    """An output folder with all outputs of the first model but two, one of which a kill left half-written elsewhere."""
    for name in ("whole", "out"):
        shutil.copytree(driven_once, tmp_path / name)
    (tmp_path / "out" / "HR00002.csv").unlink()
    (tmp_path / "out" / "HR00004.csv").write_text("#HR00004\n1,2,3\n0,")
    return tmp_path


def test_the_driver_keeps_finished_outputs_and_classifies_the_rest_to_the_same_bytes(models, half, command):
    kept = {path.name: path.stat().st_mtime_ns for path in (half / "out").glob("*.csv")}
    status, printed, said = command(driver, models / "model1", models / "data", half / "out", "--resume")
    assert status == 0
    assert "6 recordings classified (4 of them before), 0 could not be" in printed
    assert "4 finished recordings are kept, 2 are left" in said
    assert "2/2" in said  # progress counts what there is to do
    assert visible_bytes(half / "out") == visible_bytes(half / "whole")
    changed = {name for name, written in kept.items() if (half / "out" / name).stat().st_mtime_ns != written}
    assert changed == {"HR00004.csv"}


def test_without_resume_the_driver_classifies_everything_anew(models, half, command):
    (half / "out" / "HR00001.csv").write_text((half / "out" / "HR00001.csv").read_text().replace("0.", "0.9"))
    assert "6 recordings classified, 0 could" in command(driver, models / "model1", models / "data", half / "out")[1]
    assert visible_bytes(half / "out") == visible_bytes(half / "whole")


@pytest.mark.parametrize(
    "change",
    [
        lambda out: (out / "HR00000.csv").write_text("#HR00000\n1,2\n1,0\n0.5,0.5\n"),
        lambda out: (out / "HR00000.csv").write_text((out / "HR00001.csv").read_text()),
        lambda out: (out / "HR00000.csv").write_bytes(b""),
        lambda out: (out / "HR00000.csv").write_bytes(os.urandom(600)),
        lambda out: (out / "HR00000.csv").write_text((out / "HR00000.csv").read_text()[:-100]),
        lambda out: ((out / "HR00000.csv").unlink(), (out / "HR00000.csv").symlink_to("HR00000.csv")),
    ],
    ids=["other_classes", "another_recordings", "empty", "random_bytes", "cut_short", "loop"],
)
def test_an_output_that_is_not_whole_is_made_anew(models, half, command, change):
    change(half / "out")
    printed = command(driver, models / "model1", models / "data", half / "out", "--resume")[1]
    assert "(3 of them before)" in printed
    assert visible_bytes(half / "out") == visible_bytes(half / "whole")


def test_outputs_of_another_model_are_not_taken_up(models, half, command):
    status, printed, _ = command(driver, models / "model2", models / "data", half / "out", "--resume")
    assert (status, "(0 of them before)" in printed) == (0, True)
    command(driver, models / "model2", models / "data", half / "fresh")
    assert visible_bytes(half / "out") == visible_bytes(half / "fresh")


def test_outputs_of_another_model_from_before_the_run_that_was_stopped_are_not_taken_up(
    models, half, command, monkeypatch
):
    calls, save = itertools.count(), helper_code.save_outputs

    def save_two(*arguments):
        if next(calls) >= 2:  # several threads write
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr("ecg.inference.run_folder.save_outputs", save_two)
    assert command(driver, models / "model2", models / "data", half / "out")[0] == 130
    monkeypatch.setattr("ecg.inference.run_folder.save_outputs", save)
    printed = command(driver, models / "model2", models / "data", half / "out", "--resume")[1]
    assert "of them before)" in printed  # how many depends on the threads that write
    command(driver, models / "model2", models / "data", half / "fresh")
    assert visible_bytes(half / "out") == visible_bytes(half / "fresh")


def test_fast_takes_the_distilled_model_and_says_where_there_is_none(models, command, tmp_path):
    shutil.copytree(models / "model1", tmp_path / "model")
    status, _, said = command(driver, tmp_path / "model", models / "data", tmp_path / "none", "--fast")
    assert status == 2 and "expected a distilled model" in said and not (tmp_path / "none").exists()
    shutil.copytree(models / "model2", tmp_path / "model" / "distilled")
    for model, name, words in (("model", "fast", ("--fast",)), ("model/distilled", "distilled", ())):
        assert command(driver, tmp_path / model, models / "data", tmp_path / name, *words)[0] == 0
    assert visible_bytes(tmp_path / "fast") == visible_bytes(tmp_path / "distilled")


def test_another_threshold_is_another_model(models, half, command, tmp_path):
    (tmp_path / "model").mkdir()
    for file in (models / "model1").iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    thresholds = config["members"][0]["thresholds"]
    thresholds["426783006"] = 0.123
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    status, printed, _ = command(driver, tmp_path / "model", models / "data", half / "out", "--resume")
    assert (status, "(0 of them before)" in printed) == (0, True)


@pytest.mark.parametrize("journal", [None, b"", b"[]", b'"HR00000"\t1\t2\t[null]\n', b"\xed\xa0\x80\t\t\t\t\n"])
def test_a_run_that_has_noted_nothing_useful_is_begun_anew(models, half, command, journal):
    (half / "out" / ".run.jsonl").unlink()
    if journal is not None:
        (half / "out" / ".run.jsonl").write_bytes(journal)
    status, printed, _ = command(driver, models / "model1", models / "data", half / "out", "--resume")
    assert (status, "(0 of them before)" in printed) == (0, True)
    assert visible_bytes(half / "out") == visible_bytes(half / "whole")


def test_what_could_not_be_classified_is_tried_again_and_what_changed_is_classified_anew(models, tmp_path, command):
    folder, out = tmp_path / "in", tmp_path / "out"
    write_recordings(folder, 3)
    write_refused(folder, ["no_mat", "cut_mat"])
    assert command(driver, models / "model1", folder, out)[0] == 1
    write_recording(folder, "cut_mat", heart_like(2, seed=50))
    write_recording(folder, "HR00001", heart_like(2, seed=51))
    status, printed, said = command(driver, models / "model1", folder, out, "--resume")
    assert status == 1
    assert "4 recordings classified (2 of them before), 1 could not be" in printed
    assert "no_mat.mat: expected a file, found none" in said
    command(driver, models / "model1", folder, tmp_path / "fresh")
    assert visible_bytes(out) == visible_bytes(tmp_path / "fresh")


# --- Training


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(scope="module")
def stopped_once(models):
    """A training of two members that was killed in the second epoch of the second one, and one that was not."""
    save, saved = member._MemberTraining._save_checkpoint, []

    def save_and_die(run):
        save(run)
        saved.append(run)
        if len(saved) == 3:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(member._MemberTraining, "_save_checkpoint", save_and_die)
        with pytest.raises(Killed):
            begin(train_model, *words(models, models / "stopped" / "model"))
    begin(train_model, *words(models, models / "stopped" / "undisturbed"))
    return models / "stopped"


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """The training that was killed, beside the one that was not."""
    return shutil.copytree(stopped_once, tmp_path / "stopped") / "model"


def words(models, model, epochs=2):
    return models / "data", model, "--epochs", epochs, "--folds", 2, "--device", "cpu"


@pytest.mark.parametrize("flag", [(), ("--resume",)])
def test_a_training_goes_on_with_and_without_the_word(models, stopped, command, flag):
    status, _, said = command(train_model, *words(models, stopped), *flag)
    assert status == 0
    assert "Using the 6 preprocessed recordings" in said
    assert "Member 1/2: continuing after epoch 2" in said
    assert "Member 2/2: continuing after epoch 1" in said
    assert visible_bytes(stopped) == visible_bytes(stopped.with_name("undisturbed"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            ("--epochs", 3),
            "member-1.ckpt: expected a checkpoint of this training, found one with other data or arguments",
        ),
        (
            ("--seed", 5),
            "member-1.ckpt: expected a checkpoint of this training, found one with other data or arguments",
        ),
        (("--limit", 5), "state: expected a stopped training on these recordings, found one with another method"),
    ],
)
def test_resume_refuses_to_replace_another_training_and_nothing_is_lost(models, stopped, command, change, complaint):
    before = visible_bytes(stopped)
    status, _, said = command(train_model, *words(models, stopped), *change, "--resume")
    assert status == 2
    assert complaint in said
    assert "train anew without resume" in said
    assert visible_bytes(stopped) == before


def test_without_resume_another_training_starts_and_says_that_it_does(models, stopped, command):
    status, _, said = command(train_model, *words(models, stopped, epochs=1))
    assert status == 0
    assert "Member 1/2: restarting, the checkpoint found is one with other data or arguments" in said
    assert command(train_model, *words(models, stopped, epochs=2))[0] == 0
    assert visible_bytes(stopped) == visible_bytes(stopped.with_name("undisturbed"))


@pytest.mark.parametrize(("old", "new"), [("#Age: 60", "#Age: 61"), (" 12 500 ", " 12 499 ")])
def test_where_a_recording_has_changed_training_starts_anew(models, stopped, command, tmp_path, old, new):
    shutil.copytree(models / "data", tmp_path / "data")
    header = tmp_path / "data" / "HR00002.hea"
    assert old in header.read_text()
    header.write_text(header.read_text().replace(old, new))
    status, _, said = command(train_model, tmp_path / "data", *words(models, stopped)[1:])
    assert (status, said.count("restarting, the checkpoint found is one with other data or arguments")) == (0, 2)
    command(train_model, tmp_path / "data", *words(models, tmp_path / "fresh")[1:])
    assert visible_bytes(stopped) == visible_bytes(tmp_path / "fresh")


def test_a_training_with_nothing_to_go_on_from_says_so(models, stopped, command):
    for model, found in ((stopped.with_name("new"), "found none"), (models / "model1", "found a finished model")):
        status, _, said = command(train_model, *words(models, model), "--resume")
        assert status == 2
        assert re.search(rf"expected a stopped training to continue, {found}; train anew without resume", said)
    assert not stopped.with_name("new").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"junk",
        lambda content: b"PK\3\4" + bytes(3000),
        lambda content: content[:5000],
        lambda content: content[:-1],
        lambda content: content[:900] + bytes([content[900] ^ 1]) + content[901:],
        lambda content: content[:9000] + bytes([content[9000] ^ 1]) + content[9001:],
    ],
)
def test_a_damaged_checkpoint_is_said_and_the_member_trained_anew(models, stopped, command, damage):
    file = stopped / ".training-state" / "member-2.ckpt"
    file.write_bytes(damage(file.read_bytes()))
    status, _, said = command(train_model, *words(models, stopped), "--resume")
    assert status == 2
    assert "member-2.ckpt: expected a checkpoint of this training, found a damaged one" in said
    status, _, said = command(train_model, *words(models, stopped))
    assert "Member 2/2: restarting, the checkpoint found is a damaged one" in said
    assert visible_bytes(stopped) == visible_bytes(stopped.with_name("undisturbed"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda cache: (cache / "preprocessed.json").write_text('{"fingerprint": '),
        lambda cache: (cache / "preprocessed.json").write_text("[]"),
        lambda cache: (cache / "preprocessed.f32").unlink(),
        lambda cache: (cache / "preprocessed.f32").write_bytes((cache / "preprocessed.f32").read_bytes()[:-4]),
    ],
)
def test_recordings_whose_copies_are_damaged_are_read_anew(models, tmp_path, damage):
    first, _ = build_dataset(tiny(), models / "data", tmp_path, workers=1)
    damage(tmp_path)
    second, _ = build_dataset(tiny(), models / "data", tmp_path, workers=1)
    assert first.entries == second.entries
    assert (first.signal(5) == second.signal(5)).all()


def test_a_mended_signal_file_is_read_anew(tmp_path):
    data = write_recordings(tmp_path / "data", 4)
    file = data / "HR00002.mat"
    good = file.read_bytes()
    file.write_bytes(good[:1000])
    assert len(build_dataset(tiny(), data, tmp_path / "cache", workers=1)[1]) == 1
    file.write_bytes(good)
    dataset, problems = build_dataset(tiny(), data, tmp_path / "cache", workers=1)
    assert (len(dataset), problems) == (4, [])
