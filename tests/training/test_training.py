"""Training: learning, repeatability, continuing after a kill, and the training data."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import helper_code
from ecg.examination.examine import Examination
from ecg.io.formats import read
from ecg.methods.base import Stage
from ecg.training import member
from ecg.training import trainer as training
from ecg.training.dataset import build_dataset
from ecg.training.folds import assign_folds, read_folds
from ecg.training.member import TrainingError, scaled_epochs, train_member
from ecg.training.options import MemberOptions, TrainingOptions
from ecg.training.trainer import train
from team_code import CLASSES, _adam, _bce, zhao
from tiny import heart_like, quick, random_dataset, tiny, write_recording

CPU = torch.device("cpu")
ROWS = np.arange(30)


def trained(method=None, epochs=4, checkpoint=None, seed=1):
    return train_member(
        method or tiny(),
        random_dataset(),
        ROWS[:20],
        ROWS[20:],
        MemberOptions(epochs=epochs, seed=seed, number=0, device=CPU, checkpoint=checkpoint),
    )


def same(a, b):
    weights = all(torch.equal(a.state[key], b.state[key]) for key in a.state)
    return weights and np.array_equal(a.thresholds, b.thresholds)


def test_training_learns_what_there_is_to_learn():
    fast = replace(tiny().training.stages[0], make_optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.03))
    history = trained(tiny(stages=(fast,)), epochs=40).history
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["challenge_metric"] > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first = trained()
    assert same(first, trained())
    assert not same(first, trained(seed=2))


@pytest.mark.parametrize("select", ["best", "last", "average"])
@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path, monkeypatch, select, killed_after):
    stage = Stage("first", 3, _bce, _adam, lambda progress: 1 - progress / 2, select=select, average_epochs=2)
    method = tiny(stages=(stage, replace(stage, name="second")))
    undisturbed = trained(method, epochs=6)

    class Killed(BaseException):
        pass

    save, saved = member._MemberTraining._save_checkpoint, []

    def save_and_die(run):
        save(run)
        saved.append(run.epoch)
        if len(saved) == killed_after:
            raise Killed

    monkeypatch.setattr(member._MemberTraining, "_save_checkpoint", save_and_die)
    with pytest.raises(Killed):
        trained(method, epochs=6, checkpoint=tmp_path / "a.ckpt")
    monkeypatch.setattr(member._MemberTraining, "_save_checkpoint", save)
    resumed = trained(method, epochs=6, checkpoint=tmp_path / "a.ckpt")
    assert same(undisturbed, resumed)
    assert undisturbed.history == resumed.history
    assert len(saved) == killed_after


@pytest.mark.parametrize("killed_at", [0, 1, 3])
def test_fits_before_the_first_epoch_are_not_lost_when_a_training_is_killed(tmp_path, monkeypatch, killed_at):
    monkeypatch.setattr(member, "_BETWEEN_SAVES", 0.0)
    done = []

    class Killed(BaseException):
        pass

    def method(last):
        def prepare(network, features, targets, seed, signals):
            def fit(k):
                if k == last:
                    raise Killed
                done.append(k)
                with torch.no_grad():
                    network.fc.bias[k] += k + seed

            return [partial(fit, k) for k in range(4)]

        return tiny(prepare=prepare)

    undisturbed = trained(method(None))
    done.clear()
    with pytest.raises(Killed):
        trained(method(killed_at), checkpoint=tmp_path / "a.ckpt")
    assert same(undisturbed, trained(method(None), checkpoint=tmp_path / "a.ckpt"))
    assert done == [0, 1, 2, 3]


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path):
    trained(seed=3, checkpoint=tmp_path / "a.ckpt")
    assert same(trained(seed=1), trained(seed=1, checkpoint=tmp_path / "a.ckpt"))


def test_best_keeps_the_epoch_with_the_highest_metric_and_average_the_mean_of_the_last():
    def weights_after(select, epochs, average_epochs=1):
        stage = replace(
            tiny().training.stages[0],
            epochs=epochs,
            select=select,
            average_epochs=average_epochs,
            learning_rate=lambda progress: 1.0,
        )
        return trained(tiny(stages=(stage,)), epochs=epochs)

    best = weights_after("best", 6)
    epoch = int(np.argmax([row["challenge_metric"] for row in best.history])) + 1
    assert torch.equal(best.state["fc.weight"], weights_after("last", epoch).state["fc.weight"])
    mean = (weights_after("last", 5).state["fc.bias"] + weights_after("last", 6).state["fc.bias"]) / 2
    torch.testing.assert_close(weights_after("average", 6, average_epochs=2).state["fc.bias"], mean)


def test_of_epochs_with_one_metric_the_first_is_kept(monkeypatch):
    monkeypatch.setattr(member, "main_metric", lambda *_: 0.5)
    stage = replace(tiny().training.stages[0], epochs=1, select="last", learning_rate=lambda progress: 1.0)
    first = trained(tiny(stages=(stage,)), epochs=1)
    best = trained(tiny(stages=(replace(stage, epochs=3, select="best"),)), epochs=3)
    assert torch.equal(best.state["fc.weight"], first.state["fc.weight"])


def test_thresholds_belong_to_the_weights_as_they_are_stored():
    member = trained()
    method, dataset = tiny(), random_dataset()
    assert all(torch.equal(value, value.half().float()) for value in member.state.values() if value.ndim >= 2)
    network = method.build_network().eval()
    network.load_state_dict(member.state)
    items = [training.Item(row, dataset.signal(row), dataset.features(row)) for row in member.rows]
    again = np.stack([row[0] for _, row in training.predict(method, [network], items, CPU)])
    assert np.array_equal(again, member.probabilities)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_a_sentence(factor):
    def broken(labels, weights):
        return lambda logits, targets: (logits.sum() * 0 + 1) * factor

    stage = replace(tiny().training.stages[0], make_loss=broken)
    with pytest.raises(TrainingError, match="no longer finite"):
        trained(tiny(stages=(stage,)))


def test_too_few_recordings_to_validate_on_is_said():
    with pytest.raises(TrainingError, match=r"expected recordings to train on and to validate on, found 30 and 0"):
        train_member(tiny(), random_dataset(), ROWS, ROWS[:0], MemberOptions(epochs=1, seed=0, number=0, device=CPU))


@pytest.mark.parametrize(("epochs", "expected"), [(None, [60, 35]), (95, [60, 35]), (19, [12, 7]), (1, [1, 1])])
def test_epochs_are_shared_out_among_the_stages_as_published(epochs, expected):
    stage = tiny().training.stages[0]
    method = tiny(stages=(replace(stage, epochs=60), replace(stage, epochs=35)))
    assert scaled_epochs(method, epochs) == expected


def test_the_published_schedule_drops_the_rate_tenfold_at_40_and_80_percent():
    rate = zhao().training.stages[0].learning_rate
    assert [rate(epoch / 50) for epoch in (0, 19, 20, 39, 40, 49)] == [1, 1, 0.1, 0.1, 0.01, 0.01]


# --- Folds


def test_folds_hold_a_share_of_every_database_and_class():
    rng = np.random.default_rng(0)
    labels = rng.random((500, 24)) < 0.1
    databases = ["A"] * 300 + ["B"] * 200
    folds = assign_folds(labels, databases, [0] * 500, 5, seed=2020)
    names = np.array(databases)
    for fold in range(5):
        assert abs((folds[names == "A"] == fold).sum() - 60) <= 3
        assert abs((folds[names == "B"] == fold).sum() - 40) <= 3

    def unevenness(folds):
        counts = np.stack([labels[folds == fold].sum(axis=0) for fold in range(5)])
        return np.abs(counts - counts.mean(axis=0)).sum()

    assert unevenness(folds) < 0.5 * unevenness(rng.permutation(folds))
    assert np.array_equal(folds, assign_folds(labels, databases, [0] * 500, 5, seed=2020))


def test_given_folds_are_kept_and_the_rest_is_stratified():
    labels = np.ones((60, 24), dtype=bool)
    given = [1 + k % 9 for k in range(45)] + [0] * 15
    folds = assign_folds(labels, ["P"] * 45 + ["Q"] * 15, given, 5, seed=1)
    assert all(folds[k] == (given[k] - 1) % 5 for k in range(45))
    assert np.bincount(folds[45:], minlength=5).tolist() == [3] * 5


def test_a_database_smaller_than_the_number_of_folds_is_dealt_out():
    assert assign_folds(np.ones((3, 24), dtype=bool), ["A"] * 3, [0] * 3, 5, seed=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("n_recordings", "is_dealt_out"), [(4, True), (5, False), (6, False)])
def test_a_database_as_large_as_the_number_of_folds_is_split_at_random(n_recordings, is_dealt_out):
    labels = np.ones((n_recordings, 24), dtype=bool)
    splits = [assign_folds(labels, ["A"] * n_recordings, [0] * n_recordings, 5, seed) for seed in range(6)]
    assert all(set(split) == set(range(min(5, n_recordings))) for split in splits)
    assert (len({tuple(split) for split in splits}) == 1) == is_dealt_out


# --- What is trained on


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    for number in range(12):
        write_recording(folder / ("deep/er" if number % 2 else "."), f"HR{number:05d}", heart_like(3, seed=number))
    return folder


def test_recordings_in_folders_below_are_found_and_the_signal_is_the_drivers(data, tmp_path):
    method = zhao()
    dataset, problems = build_dataset(method, data, tmp_path / "cache", workers=1)
    assert [entry.recording_id for entry in dataset.entries] == [f"HR{k:05d}" for k in range(12)]
    assert problems == []
    assert dataset.entries[3].database == "PTB-XL"
    examined = Examination(read(data / "deep/er/HR00003.hea"), method.input)
    assert np.array_equal(dataset.signal(3), examined.prepared)
    assert np.array_equal(dataset.features(3), examined.features)
    assert dataset.labels[3, CLASSES.index("426783006")]


def test_unscored_recordings_duplicates_and_bad_files_are_left_out_and_the_last_two_are_named(data, tmp_path):
    write_recording(data, "HR00100", heart_like(seed=100), dx="164884008")
    write_recording(data, "HR00101", heart_like(3, seed=3))
    write_recording(data, "HR00102", heart_like(seed=102)).with_suffix(".mat").write_bytes(b"junk")
    dataset, problems = build_dataset(zhao(), data, tmp_path / "cache", workers=1)
    assert len(dataset) == 12
    assert dataset.unused == 1
    assert len(problems) == 2
    assert "HR00101" in problems[0]
    assert "same samples as HR00003" in problems[0]
    assert "HR00102" in problems[1]


def test_what_was_read_once_is_used_again_until_something_changes(data, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first, _ = build_dataset(zhao(), data, cache, workers=1)
    reads = []
    monkeypatch.setattr("ecg.training.dataset.read", lambda path, *_: reads.append(path) or read(path))
    second, _ = build_dataset(zhao(), data, cache, workers=1)
    assert not reads
    assert first.entries == second.entries
    assert np.array_equal(first.signal(5), second.signal(5))
    write_recording(data, "HR00002", heart_like(seed=77))
    third, _ = build_dataset(zhao(), data, cache, workers=1)
    assert len(reads) == 12
    assert not np.array_equal(first.entries[2].digest, third.entries[2].digest)


def test_a_limit_takes_recordings_from_all_over(data, tmp_path):
    dataset, _ = build_dataset(zhao(), data, tmp_path / "cache", workers=1, limit=4)
    assert [entry.recording_id for entry in dataset.entries] == ["HR00000", "HR00004", "HR00007", "HR00011"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("record,fold\nA,1\n", "expected the columns record, database, fold"),
        ("record,database,fold\nHR00000,P,one\n", "expected a fold of 0, 1, 2"),
    ],
)
def test_a_folds_file_that_can_not_be_used_is_said(data, text, complaint):
    (data / "folds.csv").write_text(text)
    with pytest.raises(helper_code.RecordingError, match=complaint):
        read_folds(data)


def test_a_patients_recordings_stay_on_one_side(data, tmp_path, monkeypatch):
    rows = [f"HR{k:05d},PTB-XL,{1 + k // 2}" for k in range(12)]
    (data / "folds.csv").write_text("record,database,fold\n" + "\n".join(rows) + "\n")
    splits = []
    real = training.train_member
    monkeypatch.setattr(
        training,
        "train_member",
        lambda method, dataset, inside, outside, options: (
            splits.append((inside, outside)) or real(method, dataset, inside, outside, options)
        ),
    )
    train(tiny(), data, tmp_path / "model", quick(members=2))
    for inside, outside in splits:
        assert sorted([*inside, *outside]) == list(range(12))
        assert not {row // 2 for row in inside} & {row // 2 for row in outside}
    assert [sorted(outside) for _, outside in splits] == [[0, 1, 10, 11], [2, 3]]


def test_a_folds_file_from_a_spreadsheet_is_read_and_one_that_fits_no_recording_is_refused(data, tmp_path):
    (data / "folds.csv").write_bytes(b"\xef\xbb\xbfrecord,database,fold\r\nHR00001,PTB-XL,3\r\n")
    dataset, _ = build_dataset(zhao(), data, tmp_path / "cache", workers=1)
    assert [entry.fold for entry in dataset.entries][:3] == [0, 3, 0]
    (data / "folds.csv").write_text("record,database,fold\nHR00001.mat,PTB-XL,3\n")
    with pytest.raises(helper_code.RecordingError, match=r"expected names of recordings such as HR00000, found none"):
        build_dataset(zhao(), data, tmp_path / "cache", workers=1)


def test_fewer_folds_than_networks_is_said_before_anything_is_trained(data, tmp_path, monkeypatch):
    rows = [f"HR{k:05d},PTB-XL,{1 + k % 3}" for k in range(12)]
    (data / "folds.csv").write_text("record,database,fold\n" + "\n".join(rows) + "\n")
    monkeypatch.setattr(training, "train_member", None)
    with pytest.raises(TrainingError, match=r"expected recordings in 5 folds, found them in 3; train fewer members"):
        train(tiny(), data, tmp_path / "model", quick(members=None))


def test_a_data_folder_called_training_inside_the_model_folder_survives(data, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    data.rename(model / "training")
    before = sorted(path.name for path in (model / "training").rglob("*"))
    train(tiny(), model / "training", model, quick())
    assert sorted(path.name for path in (model / "training").rglob("*")) == before


def test_simulated_recordings_are_trained_on_beside_the_others_and_never_validated_on(data, tmp_path, monkeypatch):
    splits = []
    real = training.train_member
    monkeypatch.setattr(
        training,
        "train_member",
        lambda method, dataset, inside, outside, options: (
            splits.append((dataset, inside, outside)) or real(method, dataset, inside, outside, options)
        ),
    )
    train(
        tiny(simulated_share=0.5),
        data,
        tmp_path / "model",
        quick(members=2),
    )
    for dataset, inside, outside in splits:
        assert (len(dataset), dataset.n_recorded) == (18, 12)
        assert set(range(12, 18)) <= set(inside)
        assert sorted([*inside, *outside]) == list(range(18))
    assert (dataset.labels[12:].sum(axis=1) >= 1).all()
    assert len({tuple(row) for row in dataset.labels[12:]}) > 3
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["training"]["recordings"], config["training"]["simulated"]) == (12, 6)
    assert set(config["members"][0]["validation"]) == {"all", "PTB-XL"}


def test_simulated_recordings_are_the_same_whoever_reads_them(data, tmp_path):
    method = tiny(simulated_share=1)
    first, _ = build_dataset(method, data, tmp_path / "one", workers=1)
    again, _ = build_dataset(method, data, tmp_path / "one", workers=1)
    other, _ = build_dataset(method, data, tmp_path / "two", workers=1)
    for dataset in (again, other):
        assert dataset.entries == first.entries
        assert dataset.n_recorded == first.n_recorded == 12
        assert all(np.array_equal(dataset.signal(row), first.signal(row)) for row in range(24))


@pytest.mark.parametrize("n_rows", [1, 2, 8, 9, 16, 17, 18])
def test_every_recording_is_in_one_batch_and_no_batch_is_of_one_unless_it_is_all(n_rows):
    run = member._MemberTraining(tiny(), random_dataset(), ROWS[:n_rows], ROWS[20:], MemberOptions(1, 0, 0, CPU))
    sizes = [len(targets) for _, targets in run._batches()]
    assert sum(sizes) == n_rows
    assert min(sizes) > 1 or n_rows == 1
    assert max(sizes) <= 9


def test_the_loss_sees_the_targets_and_the_metric_the_scored_labels():
    dataset = random_dataset()
    dataset.targets[:] = 0.25
    run = member._MemberTraining(tiny(), dataset, ROWS[:20], ROWS[20:], MemberOptions(1, 0, 0, CPU))
    assert {float(value) for _, targets in run._batches() for value in targets.unique()} == {0.25}
    scored = []
    run._score = lambda labels, outputs: scored.append(labels) or 0.0
    run._run_epoch()
    assert all(np.array_equal(labels, dataset.labels[20:]) for labels in scored)


def test_a_finished_training_leaves_a_model_and_nothing_else(data, tmp_path):
    train(tiny(), data, tmp_path / "model", quick())
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names[:2] == ["config.json", "history.csv"]
    assert len(names) == 3
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["training"] == {
        "recordings": 12,
        "simulated": 0,
        "databases": {"PTB-XL": 12},
        "not_trained_on": 0,
        "left_out": 0,
        "folds": 5,
        "epochs": 1,
        "seed": 2020,
    }
    assert set(config["members"][0]["validation"]) == {"all", "PTB-XL"}


def test_a_cache_of_ones_own_is_used_by_the_next_training_on_the_same_data(data, tmp_path, monkeypatch, capsys):
    train(tiny(), data, tmp_path / "first", replace(quick(), cache=tmp_path / "cache"))
    assert "Using" not in capsys.readouterr().err
    monkeypatch.setattr("ecg.training.dataset.read", None)
    train(tiny(), data, tmp_path / "second", replace(quick(), cache=tmp_path / "cache", seed=1))
    assert "Using the 12 preprocessed recordings" in capsys.readouterr().err
    assert not (tmp_path / "second" / training.SCRATCH).exists()


def test_what_a_training_needs_is_said_first_and_too_small_a_disk_ends_it(data, tmp_path, monkeypatch, capsys):
    build_dataset(zhao(), data, tmp_path / "cache", workers=1)
    needed = (tmp_path / "cache" / "preprocessed.f32").stat().st_size
    free = shutil.disk_usage(tmp_path)
    for share, fits in ((1.1, True), (0.9, False)):
        monkeypatch.setattr("shutil.disk_usage", lambda path, share=share: free._replace(free=int(share * needed)))
        if fits:
            build_dataset(zhao(), data, tmp_path / "other", workers=1)
            assert "MB of memory" in capsys.readouterr().err
        else:
            with pytest.raises(OSError, match=r"No space|expected .* MB free"):
                build_dataset(zhao(), data, tmp_path / "third", workers=1)
            assert not (tmp_path / "third" / "preprocessed.f32").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        {"members": 0},
        {"members": 6},
        {"epochs": 0},
        {"limit": 0},
        {"workers": 0},
        {"seed": -1},
        {"device": "tpu"},
        {"device": "cuda:99"},
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_read(data, tmp_path, arguments):
    with pytest.raises(ValueError, match=r"expected|found"):
        train(tiny(), data, tmp_path / "model", TrainingOptions(**arguments))
    assert not (tmp_path / "model").exists()
