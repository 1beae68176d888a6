"""The model folder: what is saved comes back, and nothing that is wrong with it goes unnoticed."""

import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import team_code
from ecg.methods.butteam import butteam
from ecg.methods.robust import robust
from ecg.model_folder.folder import load_model, save_model
from ecg.model_folder.model import Model, ModelError
from ecg.training.member import train_member
from ecg.training.options import MemberOptions
from tiny import random_dataset, tiny

CPU = torch.device("cpu")


def wide(width):
    """A method whose network is as large as its settings say."""
    return replace(tiny(), settings={"width": width}, build_network=lambda: nn.Conv1d(width, width, kernel_size=7))


BUILDERS = {"tiny": tiny, "wide": wide}


def member(seed=0, number=0):
    rows = np.arange(30)
    return train_member(
        tiny(), random_dataset(), rows[:20], rows[20:], MemberOptions(epochs=1, seed=seed, number=number, device=CPU)
    )


@pytest.fixture(scope="module")
def members():
    return [member(), member(number=1)]


@pytest.fixture
def folder(tmp_path, members):
    save_model(tmp_path / "model", tiny(), members, {"recordings": 30}, [{}, {}])
    return tmp_path / "model"


def test_what_is_saved_comes_back_bit_for_bit_for_every_member(folder, members):
    model = load_model(folder, BUILDERS, CPU)
    assert len(model.networks) == 2
    for network, stored, thresholds in zip(model.networks, members, model.thresholds, strict=True):
        assert all(torch.equal(value, stored.state[key]) for key, value in network.state_dict().items())
        assert np.array_equal(thresholds, stored.thresholds)
        assert not network.training
    assert not torch.equal(model.networks[0].fc.weight, model.networks[1].fc.weight)


def test_the_config_says_what_the_numbers_mean(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["input"] == {
        "leads": ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"],
        "sampling_frequency_hz": 257.0,
        "window_samples": 4096,
        "units": "uV",
    }
    assert config["classes"] == list(team_code.CLASSES)
    assert {"python", "torch", "numpy", "scipy", "wfdb"} < set(config["versions"])


def test_saving_again_replaces_the_model_and_leaves_no_old_weights(folder):
    old = {path.name for path in folder.glob("*.safetensors")}
    save_model(folder, tiny(), [member(seed=9)], {}, [{}])
    new = {path.name for path in folder.glob("*.safetensors")}
    assert len(new) == 1
    assert not new & old
    assert len(load_model(folder, BUILDERS, CPU).networks) == 1


@pytest.mark.parametrize("step", range(3))
def test_a_kill_while_saving_leaves_the_old_model_or_the_new_one(folder, monkeypatch, step):
    import helper_code

    before = load_model(folder, BUILDERS, CPU)
    real, calls = helper_code.write_file, []

    def dies(path, data):
        if len(calls) == step:
            raise KeyboardInterrupt
        calls.append(path)
        real(path, data)

    monkeypatch.setattr("ecg.model_folder.folder.write_file", dies)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, tiny(), [member(seed=9)], {}, [{}])
    after = load_model(folder, BUILDERS, CPU)
    assert len(after.networks) == (1 if step == 2 else 2)
    if step < 2:
        assert torch.equal(before.networks[0].fc.weight, after.networks[0].fc.weight)


def edit(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def weights_of(folder):
    return folder / json.loads((folder / "config.json").read_text())["members"][0]["weights"]


def set_digest(folder):
    import hashlib

    digest = hashlib.sha256(weights_of(folder).read_bytes()).hexdigest()
    edit(folder, lambda c: c["members"][0].update(sha256=digest))


def remove_config(folder):
    (folder / "config.json").unlink()


def damage_weights(folder):
    data = bytearray(weights_of(folder).read_bytes())
    data[-1] ^= 1
    weights_of(folder).write_bytes(data)


def pickled_weights(folder):
    weights_of(folder).write_bytes(pickle.dumps({"fc.weight": 1}))
    set_digest(folder)


def other_shapes(folder):
    save_file({"fc.weight": torch.zeros(2, 2)}, weights_of(folder))
    set_digest(folder)


def infinite_weights(folder):
    state = load_file(weights_of(folder))
    state["fc.bias"][0] = float("inf")
    save_file(state, weights_of(folder))
    set_digest(folder)


def pipe(file):
    file.unlink()
    os.mkfifo(file)  # opening one would wait for ever


def link_to_other(file):
    file.unlink()
    file.with_name("other").write_bytes(b"something else")
    file.symlink_to("other")


class Runs:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_model_folder_is_ever_run(folder, tmp_path):
    for name, protocol in (("weights", 2), ("weights", 5)):
        weights_of(folder).write_bytes(pickle.dumps({name: Runs(tmp_path / "run")}, protocol))
        set_digest(folder)
        with pytest.raises(ModelError, match="expected safetensors"):
            load_model(folder, BUILDERS, CPU)
    torch.save({"weights": torch.zeros(3)}, weights_of(folder))
    set_digest(folder)
    with pytest.raises(ModelError, match="expected safetensors"):
        load_model(folder, BUILDERS, CPU)
    assert not (tmp_path / "run").exists()


def first_member(change):
    return lambda folder: edit(folder, lambda config: change(config["members"][0]))


def threshold(value):
    return first_member(lambda member: member["thresholds"].update({"426783006": value}))


def weights_named(name):
    return first_member(lambda member: member.update(weights=name))


def whole(change):
    return lambda folder: edit(folder, change)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (remove_config, "run train_model.py"),
        (lambda f: (f / "config.json").write_text("{"), "expected a JSON config"),
        (lambda f: (f / "config.json").write_text("[]"), r"expected `object`, found `array`"),
        (lambda f: (f / "config.json").write_text("[" * 10**5), "expected a JSON config"),
        (lambda f: (f / "config.json").write_text("1" * 10**4), "expected a JSON config"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\xfd"), "expected a JSON config"),
        (lambda f: pipe(f / "config.json"), "expected a file, found something else"),
        (lambda f: pipe(weights_of(f)), "expected a file, found something else; copy the model folder anew"),
        (
            whole(lambda c: c.update(format=99)),
            "expected format 1, found 99; use the version of this software that wrote",
        ),
        (whole(lambda c: c.update(method=["tiny"])), "method: expected `str`, found `array`"),
        (whole(lambda c: c.update(method="wide", settings={"width": 10**6})), "weights of the method .* found others"),
        (whole(lambda c: c.update(method="wide", settings={"width": 10**12})), "expected settings of the method wide"),
        (whole(lambda c: c.update(method="wide", settings={"width": "8"})), "expected settings of the method wide"),
        (whole(lambda c: c.update(members=["member"])), r"members\[0\]: expected `object`, found `str`"),
        (
            weights_named("a\0.safetensors"),
            r"members\[0\].weights: .*safetensors.*, found 'a",
        ),
        (
            threshold(10**400),
            r"thresholds.*: expected a smaller number, found",
        ),
        (
            threshold(True),
            r"members\[0\].thresholds.*: expected `float`, found `bool`",
        ),
        (lambda f: link_to_other(weights_of(f)), "damaged or belongs to another model; copy the model folder anew"),
        (whole(lambda c: c.update(method="other")), "expected one of the methods tiny, wide"),
        (whole(lambda c: c.update(settings={"depth": 3})), "expected settings of the method"),
        (whole(lambda c: c["classes"].reverse()), "24 classes"),
        (whole(lambda c: c["input"].update(units="mV")), "'units': 'uV'"),
        (whole(lambda c: c["input"].update(sampling_frequency_hz=500)), "257"),
        (whole(lambda c: c.update(members=[])), r"members: expected `array` of length >= 1, found \[\]"),
        (
            first_member(lambda m: m["thresholds"].popitem()),
            r"members\[0\].thresholds: expected an entry for each of the 24",
        ),
        (first_member(lambda m: m.pop("thresholds")), r"members\[0\].thresholds: expected a value, found none"),
        (
            threshold(float("nan")),
            "thresholds.426783006: expected .* 0 to 1, found nan",
        ),
        (
            threshold("0.5"),
            r"members\[0\].thresholds.*: expected `float`, found `str`",
        ),
        (threshold(1.5), r"members\[0\].*426783006: .*, found 1.5"),
        (threshold(-0.5), "426783006: expected .*, found -0.5"),
        (whole(lambda c: c.pop("method")), "method: expected a value, found none"),
        (whole(lambda c: c.update(settings=[1])), "settings: expected `object`, found `array`"),
        (whole(lambda c: c.update(leads=[])), r"leads: expected `array` of length >= 1, found \[\]"),
        (whole(lambda c: c.update(leads=["I", "V7"])), "leads: expected leads out of I, .*, found .*V7"),
        (whole(lambda c: c.update(definitions="mine")), "definitions: expected one of clinical, ptb-xl, found 'mine'"),
        (weights_named("../other.safetensors"), "safetensors.*, found '../other"),
        (weights_named("weights.pth"), "safetensors.*, found 'weights.pth'"),
        (lambda f: weights_of(f).unlink(), "expected a file, found none; copy the model folder anew, or train again"),
        (damage_weights, "damaged or belongs to another model"),
        (pickled_weights, "expected safetensors"),
        (other_shapes, "found others"),
        (infinite_weights, "finite weights"),
    ],
)
def test_a_folder_that_is_not_right_is_refused_with_a_sentence(folder, damage, complaint):
    damage(folder)
    with pytest.raises(ModelError, match=complaint) as caught:
        load_model(folder, BUILDERS, CPU)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("build", [robust, team_code.zhao, butteam])
def test_every_member_decides_at_its_own_thresholds(build):
    rng = np.random.default_rng(0)
    method, probabilities, thresholds = build(), rng.random((3, 24)), rng.random((3, 24))
    each = np.stack(
        [method.decision.decide(row[None], limits) for row, limits in zip(probabilities, thresholds, strict=True)]
    )
    expected, scores = method.decision.combine(each, probabilities[:, None], thresholds)
    labels, found = Model(method, (), thresholds, CPU, {}).decide(probabilities)
    assert np.array_equal(labels, expected[0])
    assert np.array_equal(found, scores[0])


def test_each_member_alone_decides_at_its_own_thresholds():
    rng = np.random.default_rng(1)
    probabilities, thresholds = rng.random((3, 24)), rng.random((3, 24))
    method = robust()
    found = Model(method, (), thresholds, CPU, {}).decide_each(probabilities)
    for row, limits, labels in zip(probabilities, thresholds, found, strict=True):
        alone, _ = Model(method, (), limits[np.newaxis], CPU, {}).decide(row[np.newaxis])
        np.testing.assert_array_equal(labels, alone)
    assert (found != Model(method, (), thresholds[::-1], CPU, {}).decide_each(probabilities)).any(axis=1).sum() >= 2
