"""Training from the weights of a trained model."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import team_code
from commands import write_recordings
from ecg.model_folder.folder import load_model
from ecg.model_folder.model import ModelError
from ecg.runtime.device import pick_device
from ecg.training import member
from ecg.training.options import MemberOptions
from ecg.training.train_folder import train_folder
from ecg.training.trainer import train
from tiny import heart_like, quick, random_dataset, tiny, write_recording

CPU = torch.device("cpu")
ROWS = np.arange(30)


def standing_still():
    """The tiny method at a learning rate of zero: only the statistics of batch norm move."""
    [stage] = tiny().training.stages
    return tiny(stages=(replace(stage, learning_rate=lambda progress: 0.0),))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    for number in range(12):
        dx = team_code.CLASSES[number % 3]
        write_recording(folder / "data", f"HR{number:05d}", heart_like(2, seed=number), dx=dx)
    train(tiny(), folder / "data", folder / "model", quick(members=2))
    return folder


@pytest.fixture(scope="module")
def model(place):
    return load_model(place / "model", {"tiny": tiny}, pick_device("cpu"))


def member_of(model, number, method=tiny, checkpoint=None):
    options = MemberOptions(epochs=1, seed=0, number=number, device=CPU, checkpoint=checkpoint, start=model)
    return member.train_member(method(), random_dataset(), ROWS[:20], ROWS[20:], options)


@pytest.mark.parametrize(("number", "network"), [(0, 0), (1, 1), (2, 0), (3, 1)])
def test_each_member_starts_from_a_network_of_the_model_in_turn(model, number, network):
    state = member_of(model, number, standing_still).state
    for name, value in model.networks[network].state_dict().items():
        if not name.startswith("bn.") or name == "bn.weight":
            torch.testing.assert_close(state[name], value, rtol=0, atol=0)
    assert not torch.equal(state["conv.weight"], model.networks[1 - network].state_dict()["conv.weight"])


def test_the_model_that_it_starts_from_is_not_changed(model):
    before = {name: value.clone() for name, value in model.networks[0].state_dict().items()}
    trained = member_of(model, 0)
    assert not torch.equal(trained.state["conv.weight"], before["conv.weight"])
    for name, value in model.networks[0].state_dict().items():
        assert torch.equal(value, before[name])


def test_what_was_fitted_before_the_first_epoch_is_not_fitted_again(model):
    def fit():
        raise AssertionError

    def prepare(network, features, targets, seed, signals):
        return [fit]

    member_of(model, 0, lambda: tiny(prepare=prepare))
    with pytest.raises(AssertionError):
        member_of(None, 0, lambda: tiny(prepare=prepare))


def test_a_checkpoint_of_a_training_from_other_weights_is_not_gone_on_from(model, tmp_path, capsys):
    member_of(None, 0, checkpoint=tmp_path / "member.ckpt")
    member_of(model, 0, checkpoint=tmp_path / "member.ckpt")
    assert "restarting, the checkpoint found is one with other data or arguments" in capsys.readouterr().err


def test_the_new_model_says_where_its_training_started(place, model, tmp_path):
    train(tiny(), place / "data", tmp_path / "model", quick(start=model))
    found = load_model(tmp_path / "model", {"tiny": tiny}, CPU).config["training"]
    assert found["started_from"] == [row["sha256"] for row in model.config["members"]]


@pytest.mark.parametrize("changes", [{"name": "other"}, {"settings": {"width": 2}}])
def test_another_method_or_other_settings_are_refused(place, model, tmp_path, changes):
    with pytest.raises(ValueError, match="expected that of the model to start from, tiny with settings"):
        train(tiny(**changes), place / "data", tmp_path / "model", quick(start=model))
    assert not (tmp_path / "model").exists()


def test_training_takes_the_method_of_the_model(place, tmp_path):
    write_recordings(tmp_path / "data", 10)
    methods = {"tiny": tiny, "still": partial(tiny, name="still")}

    def fit(folder, **words):
        train_folder(tmp_path / "data", folder, epochs=1, members=1, workers=1, methods=methods, **words)

    fit(tmp_path / "fitted", start=place / "model")
    assert load_model(tmp_path / "fitted", methods, CPU).method.name == "tiny"
    with pytest.raises(
        ValueError, match=r"expected that of the model to start from, tiny with settings {}, found still"
    ):
        fit(tmp_path / "other", start=place / "model", method="still")
    with pytest.raises(ModelError, match="expected the config of a trained model, found none"):
        fit(tmp_path / "other", start=tmp_path / "none")
