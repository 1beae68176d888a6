"""The course of a training: rates, batches, losses, averages, what is said; and what starts one from a command line."""

import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, join, load_diagnoses
from ecg.methods.base import Stage, as_scored, build_method, has_scored_class
from ecg.methods.butteam import butteam
from ecg.methods.hybrid import hybrid
from ecg.methods.reduced_leads import MASKED_SETS
from ecg.methods.robust import robust
from ecg.model_folder.model import Model
from ecg.scoring.statistics import main_metric
from ecg.training import adapt_model, distillation, member, train_folder
from ecg.training.dataset import Dataset
from ecg.training.member import TrainingError, _MemberTraining
from ecg.training.options import MemberOptions, TrainingOptions
from tiny import quick, random_dataset, tiny

CPU = torch.device("cpu")
ROWS = np.arange(30)


def training(method, epochs=None, n_training=20, **options):
    given = {"seed": 1, "number": 0, "device": CPU, "label": "Member 2/3"} | options
    rows = ROWS[:n_training], ROWS[20:]
    return _MemberTraining(method, random_dataset(), *rows, MemberOptions(epochs=epochs, **given))


class Noted(torch.optim.SGD):
    """Gradient descent that notes the rates of its steps."""

    rates: list[tuple[float, ...]]

    def step(self, closure=None):
        self.rates.append(tuple(group["lr"] for group in self.param_groups))
        return super().step(closure)


def two_rates(parameters):
    first, *others = parameters
    Noted.rates = []
    return Noted([{"params": [first], "lr": 0.01}, {"params": others, "lr": 0.04}])


def test_rates_losses_and_scores_are_those_of_the_stage(capsys):
    progress, losses, given = [], [], []

    def rate(done):
        progress.append(done)
        return 1 - done

    def make_loss(labels, weights):
        given.append((labels, weights))

        def loss(logits, targets):
            value = ((logits - targets) ** 2).mean()
            losses.append(float(value.detach()))
            return value

        return loss

    first = Stage("first", 6, make_loss, two_rates, rate, select="last")
    run = training(tiny(stages=(first, replace(first, name="second", epochs=3))), epochs=3)
    found = run.finish()
    done = [(epoch + step / 3) / n for n in (2, 1) for epoch in range(n) for step in range(3)]
    assert progress == pytest.approx(done)
    assert Noted.rates == [pytest.approx((0.01 * (1 - each), 0.04 * (1 - each))) for each in done[6:]]
    dataset = run.dataset
    for labels, weights in given:
        np.testing.assert_array_equal(labels, dataset.labels[:20])
        assert weights is CHALLENGE_2020.weights
    assert [(row["stage"], row["epoch"]) for row in found.history] == [("first", 1), ("first", 2), ("second", 1)]
    assert [row["loss"] for row in found.history] == [
        pytest.approx(np.mean(losses[3 * k : 3 * k + 3]), abs=1e-6) for k in range(3)
    ]
    labels, last = dataset.labels[20:], found.history[-1]
    scores = [
        main_metric(labels, run.method.decision.decide(found.probabilities, np.full(24, t)), CHALLENGE_2020)
        for t in np.arange(1, 10) / 10
    ]
    assert last["challenge_metric"] == pytest.approx(max(scores), abs=0.05)  # before weights were rounded
    expected = run.method.decision.search_thresholds(labels, found.probabilities, CHALLENGE_2020.weights)
    np.testing.assert_array_equal(found.thresholds, expected)
    assert found.rows.tolist() == list(range(20, 30))
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "loss" in line]
    for line, row, place in zip(
        lines, found.history, ("first epoch 1/2", "first epoch 2/2", "second epoch 1/1"), strict=True
    ):
        told = f"Member 2/3, {place}: loss {row['loss']:.4f}, validation challenge metric {row['challenge_metric']:.3f}"
        assert re.fullmatch(rf"{re.escape(told)} at the shared threshold {row['shared_threshold']:.1f}, \d+ s", line)


@pytest.mark.parametrize(
    ("epochs", "average_epochs", "asked", "expected"),
    [(4, 2, None, 2), (10, 5, 4, 2), (10, 5, 1, 1), (4, 1, 2, 1), (2, 6, None, 2), (10, 3, 5, 2)],
)
def test_the_last_epochs_are_averaged_in_the_share_of_the_full_schedule(
    monkeypatch, epochs, average_epochs, asked, expected
):
    averaged = []

    class Average(torch.optim.swa_utils.AveragedModel):
        def update_parameters(self, network):
            averaged.append({key: value.clone() for key, value in network.state_dict().items()})
            super().update_parameters(network)

    monkeypatch.setattr(member, "AveragedModel", Average)
    [stage] = tiny().training.stages
    stage = replace(stage, epochs=epochs, select="average", average_epochs=average_epochs)
    found = training(tiny(stages=(stage,)), epochs=asked).finish()
    assert len(averaged) == expected
    mean = torch.stack([state["fc.weight"] for state in averaged]).mean(dim=0)
    torch.testing.assert_close(found.state["fc.weight"], mean, rtol=2e-3, atol=1e-4)


def test_batch_norms_of_averaged_weights_have_the_statistics_of_one_more_epoch():
    [stage] = tiny().training.stages
    stage = replace(stage, select="average", average_epochs=stage.epochs)
    run = training(tiny(stages=(stage,), batch_size=7, augment=lambda signal, rng: signal[:, :600]), epochs=2)
    for _ in range(2):
        run._run_epoch()
    weight = run.average.module.conv.weight.detach().clone()
    batches = [batch.signal for batch, _ in run._batches()]
    assert [len(batch) for batch in batches] == [7, 7, 6]
    run._end_stage()
    assert torch.equal(run.network.conv.weight, weight)
    results = [torch.nn.functional.conv1d(batch, weight, stride=16).transpose(0, 1).flatten(1) for batch in batches]
    for found, each in (
        (run.network.bn.running_mean, [result.mean(dim=1) for result in results]),
        (run.network.bn.running_var, [result.var(dim=1) for result in results]),
    ):
        torch.testing.assert_close(found, torch.stack(each).mean(dim=0), rtol=1e-3, atol=1e-4)


def test_a_batch_holds_each_recording_with_its_own_targets_and_features():
    dataset, seen = random_dataset(), []
    dataset._signals = np.array(dataset._signals)
    for row in range(30):
        dataset.features(row)[0] = row
    dataset.targets += np.arange(30)[:, None]
    run = _MemberTraining(
        tiny(augment=lambda signal, rng: signal + 1), dataset, ROWS[:20], ROWS[20:], MemberOptions(1, 0, 0, CPU)
    )
    for batch, targets in run._batches():
        for signal, length, features, target in zip(*batch, targets, strict=True):
            row = int(features[0])
            seen.append(row)
            np.testing.assert_array_equal(signal[:, :length], dataset.signal(row) + 1)
            assert not signal[:, length:].any()
            np.testing.assert_array_equal(target, dataset.targets[row])
    assert sorted(seen) == list(range(20)) != seen


@pytest.mark.parametrize("beta", [0.0, 0.4])
def test_a_batch_is_mixed_where_the_method_says_so_and_validation_never(monkeypatch, beta):
    dataset, mixes = random_dataset(), []

    def one_and_a_half(items, given, rng):
        signals, features, targets = items
        mixes.append((given, len(signals), rng))
        return [signal * 0 + 7 for signal in signals], [each * 0 + 8 for each in features], targets * 0 + 0.5

    monkeypatch.setattr(member, "mixed", one_and_a_half)
    method = tiny(mixing=beta, batch_size=7)
    run = _MemberTraining(method, dataset, ROWS[:20], ROWS[20:], MemberOptions(1, 0, 0, CPU))
    batches = list(run._batches())
    assert [(given, n) for given, n, _ in mixes] == ([(0.4, 7), (0.4, 7), (0.4, 6)] if beta else [])
    assert len({id(rng) for *_, rng in mixes}) <= 1  # that of the epoch
    for batch, targets in batches:
        assert bool((batch.features == 8).all()) == bool((targets == 0.5).all()) == (beta > 0)
        assert bool((batch.signal[:, :, :100] == 7).all()) == (beta > 0)
    mixes.clear()
    run._validate(autocast=False)
    assert not mixes


def test_what_is_fitted_before_the_first_epoch_gets_the_training_part_and_a_seed_for_each_member():
    seen = []

    def prepare(network, features, targets, seed, signals):
        seen.append((network, features, targets, seed, list(signals())))
        return []

    run = training(tiny(prepare=prepare), epochs=1, seed=5, number=3)
    run.finish()
    [(network, features, targets, seed, signals)] = seen
    assert network is run.network and seed == 8
    np.testing.assert_array_equal(features, [run.dataset.features(row) for row in range(20)])
    np.testing.assert_array_equal(targets, run.dataset.targets[:20])
    assert (
        all(np.array_equal(signal, run.dataset.signal(row)) for row, signal in enumerate(signals))
        and len(signals) == 20
    )


def test_a_checkpoint_that_can_not_be_gone_on_from_is_said_or_refused(tmp_path, capsys):
    path = tmp_path / "a.ckpt"
    run = training(tiny(), epochs=3, checkpoint=path)
    run._run_epoch()
    run._run_epoch()
    run._save_checkpoint()
    again = training(tiny(), epochs=3, checkpoint=path)
    again.restore()
    assert (again.stage, again.epoch, again.history, again.best_score) == (0, 2, run.history, run.best_score)
    for one, other in ((again.network.state_dict(), run.network.state_dict()), (again.best, run.best)):
        assert all(torch.equal(one[key], other[key]) for key in other)
    moments = [run.optimizer.state_dict()["state"][0]["exp_avg"], again.optimizer.state_dict()["state"][0]["exp_avg"]]
    assert torch.equal(*moments)
    whole = path.read_bytes()
    said = capsys.readouterr().err
    assert "Member 2/3: continuing after epoch 2 of stage bce\n" in said
    other, damaged = {"seed": 2}, whole[:-300] + bytes(1) + whole[-299:]
    for content, changes, words in ((whole, other, "one with other data or arguments"), (damaged, {}, "a damaged one")):
        path.write_bytes(content)
        training(tiny(), epochs=3, checkpoint=path, **changes).restore()
        assert f"Member 2/3: restarting, the checkpoint found is {words}\n" in capsys.readouterr().err
        refused = f"{path}: expected a checkpoint of this training, found {words}; train anew without resume"
        with pytest.raises(TrainingError, match=f"^{re.escape(refused)}$"):
            training(tiny(), epochs=3, checkpoint=path, resume=True, **changes).restore()


# --- What starts one


@pytest.mark.parametrize(
    ("diagnoses", "share", "expected"), [(CHALLENGE_2020, 0.3, 1.0), (Diagnoses("own", ("code", *CLASSES)), 0.0, 0.0)]
)
def test_what_a_distilled_network_is_trained_with(tmp_path, monkeypatch, diagnoses, share, expected):
    seen = SimpleNamespace()
    made = random_dataset(12)
    entries = [replace(entry, labels=(CLASSES[k % 3],)) for k, entry in enumerate(made.entries)]
    dataset = Dataset(entries, made._signals, diagnoses, n_simulated=2)
    before = dataset.targets.copy()

    def build(method, *places, **how):
        seen.method, seen.places, seen.how = method, places, how
        return dataset, ["one: bad"]

    monkeypatch.setattr(distillation, "build_dataset", build)
    monkeypatch.setattr(distillation, "train_member", lambda *words: seen.__setattr__("trained", words) or "member")
    monkeypatch.setattr(distillation, "store", lambda *words: seen.__setattr__("stored", words))
    monkeypatch.setattr(distillation, "_answers", lambda model, data: np.full((12, 24), 0.25))
    monkeypatch.setattr(distillation, "split_into_folds", lambda method, data, seed: np.arange(10) % 3 * (seed == 7))
    student = tiny(diagnoses, simulated_share=share, features=len)
    teacher = Model(tiny(diagnoses), (), np.zeros((1, 24)), CPU, {"members": [{"sha256": "aa"}, {"sha256": "bb"}]})
    (tmp_path / distillation.SCRATCH).mkdir()
    options = quick(epochs=4, seed=7, workers=3, limit=11)
    distillation.distill(teacher, student, tmp_path / "data", tmp_path, options)
    assert seen.method.training.simulated_share == expected
    assert seen.method.input.features is teacher.method.input.features
    assert seen.places == (tmp_path / "data", tmp_path / distillation.SCRATCH)
    assert seen.how == {"workers": 3, "limit": 11, "statements": None}
    method, data, learned, validated, about = seen.trained
    assert method is seen.method and data is dataset
    assert learned.tolist() == [1, 2, 4, 5, 7, 8, 10, 11] and validated.tolist() == [0, 3, 6, 9]
    np.testing.assert_allclose(dataset.targets, before / 2 + 0.125)
    checkpoint = tmp_path / distillation.SCRATCH / "distilled.ckpt"
    assert about == MemberOptions(4, 7, 0, CPU, checkpoint, "Distilled network")
    of_student, of_data, members, folder, summary = seen.stored
    assert (of_student, of_data, members, folder) == (student, dataset, ["member"], tmp_path)
    assert summary["distilled_from"] == ["aa", "bb"] and summary["left_out"] == 1
    assert not (tmp_path / distillation.SCRATCH).exists()


@pytest.mark.parametrize("build", [butteam, robust, hybrid])
def test_what_a_model_is_adapted_to_is_what_the_challenge_scores_whatever_it_was_trained_on(
    tmp_path, monkeypatch, capsys, build
):
    seen = []
    dataset = Dataset(random_dataset(3).entries, np.zeros(0, np.float32), unused=2)
    monkeypatch.setattr(
        adapt_model, "build_dataset", lambda *words, **named: seen.append((words, named)) or (dataset, ["a: bad"])
    )
    model = Model(build(), (), np.zeros((1, 24)), CPU, {})
    assert adapt_model.read_labelled(model, tmp_path, tmp_path / "cache", "table") == (dataset, 3)
    [((method, *places), named)] = seen
    assert places == [tmp_path, tmp_path / "cache"] and named == {"statements": "table"}
    assert method.training.simulated_share == 0 and method.training.use_for_training is has_scored_class
    codes, signal = ("426783006", "427084000", "164884008"), np.zeros((12, 600), np.float32)
    np.testing.assert_array_equal(method.training.make_targets(codes, signal), as_scored(codes, signal))
    assert replace(method, training=model.method.training) == model.method
    assert capsys.readouterr().err.splitlines() == [
        "Left out: a: bad",
        "Left out: 2 recordings without a scored diagnosis",
    ]


PTB_XL = load_diagnoses("ptb-xl")
BUILDERS = {"hybrid": hybrid, "robust": robust, "tiny": tiny}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, {}),
        ({"default_method": "robust"}, {"method": "robust"}),
        ({"method": "hybrid:width=0.25", "default_method": "robust"}, {"settings": {"width": 0.25}}),
        ({"diagnoses": "ptb-xl"}, {"diagnoses": PTB_XL}),
        ({"leads": "2"}, {"leads": ("I", "II")}),
        ({"leads": "any"}, {"masked": MASKED_SETS}),
        ({"labels": "table", "least_likelihood": 35.0}, {"table": ("table", CHALLENGE_2020, 35.0)}),
        ({"labels": "table", "diagnoses": "ptb-xl"}, {"table": ("table", PTB_XL, 0.0), "diagnoses": PTB_XL}),
        ({"start": "model"}, {"method": "tiny", "start": True}),
        ({"start": "model", "method": "robust"}, {"method": "robust", "start": True}),
        ({"shape_only": ["A", "B"], "cache": "kept", "seed": 3, "members": 2}, {"shape_only": ("A", "B")}),
        ({"also": ("ptb-xl", "second"), "labels": "table"},
         {"diagnoses": join(CHALLENGE_2020, PTB_XL), "table": ("table", join(CHALLENGE_2020, PTB_XL), 0.0),
          "parts": [(CHALLENGE_2020, "first"), (PTB_XL, "second")]}),
        ({"also": ("ptb-xl", "second"), "leads": "any", "method": "hybrid:width=0.25"},
         {"diagnoses": join(CHALLENGE_2020, PTB_XL), "masked": MASKED_SETS, "settings": {"width": 0.25},
          "parts": [(CHALLENGE_2020, "first"), (PTB_XL, "second")]}),
    ],
)  # fmt: skip
def test_words_of_a_command_line_become_a_method_and_options(monkeypatch, words, expected):
    began, first = [], Model(tiny(), (), np.zeros((1, 24)), CPU, {})
    monkeypatch.setattr(train_folder, "train", lambda *given: began.append(given))
    monkeypatch.setattr(train_folder, "load_model", lambda folder, *more: first if folder == "model" else None)
    monkeypatch.setattr(train_folder, "load_labels", lambda path, known, least: (path, known, least))
    train_folder.train_folder("data", "first", methods=BUILDERS, **words)
    [(method, data, model, options, parts)] = began
    diagnoses = expected.get("diagnoses", CHALLENGE_2020)
    assert (data, model, method.name) == ("data", "first", expected.get("method", "hybrid"))
    assert method.diagnoses == diagnoses
    assert dict(method.settings) == dict(build_method(method.name, BUILDERS).settings) | expected.get("settings", {})
    of_parts = [(part.diagnoses, str(folder)) for part, folder in parts]
    assert of_parts == expected.get("parts", [])
    for each in (method, *(part for part, _ in parts)):
        assert each.leads == expected.get("leads")
        assert each.training.masked_leads == expected.get("masked", ())
        assert dict(each.settings) == dict(method.settings)
    table = expected.get("table")
    assert options.labels == (None if table is None else (table[0], table[1].column_of, table[2]))
    assert options.start is (first if "start" in expected else None)
    kept = {key: words[key] for key in ("seed", "members") if key in words}
    plain = replace(options, labels=None, start=None, cache=None)
    assert plain == TrainingOptions(shape_only=expected.get("shape_only", ()), **kept)
    assert (None if options.cache is None else str(options.cache)) == words.get("cache")


def test_a_model_to_start_from_has_to_be_of_the_diagnoses_and_no_second_set_goes_with_it(monkeypatch):
    monkeypatch.setattr(train_folder, "load_model", lambda *words: Model(hybrid(), (), np.zeros((1, 24)), CPU, {}))
    fit = partial(train_folder.train_folder, "data", "first", methods=BUILDERS)
    with pytest.raises(ValueError, match=r"^expected a model of the diagnoses ptb-xl, found one of challenge-2020$"):
        fit(start="model", diagnoses="ptb-xl")
    for words, found in (
        ({"start": "model"}, "hybrid, from a trained model"),
        ({"method": "tiny"}, "tiny, from random weights"),
    ):
        refused = f"^also ptb-xl: expected the method hybrid, from random weights, found {found}$"
        with pytest.raises(ValueError, match=refused):
            fit(also=("ptb-xl", "second"), **words)
