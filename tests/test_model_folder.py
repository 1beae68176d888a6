"""The model folder: what is saved comes back, and nothing that is wrong with it goes unnoticed."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import team_code
from ecg.model_folder import ModelError, load_model, save_model
from ecg.training import train_member
from tiny import random_dataset, tiny

BUILDERS = {"tiny": tiny}
CPU = torch.device("cpu")


def member(seed=0, number=0):
    rows = np.arange(30)
    return train_member(tiny(), random_dataset(), rows[:20], rows[20:], epochs=1, seed=seed, number=number, device=CPU)


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
    assert config["input"] == {"leads": ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"],
                               "sampling_frequency_hz": 257.0, "window_samples": 4096, "units": "uV"}
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

    monkeypatch.setattr(helper_code, "write_file", dies)
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


def first_member(change):
    return lambda folder: edit(folder, lambda config: change(config["members"][0]))


def whole(change):
    return lambda folder: edit(folder, change)


@pytest.mark.parametrize(("damage", "complaint"), [
    (remove_config, "run train_model.py"),
    (lambda f: (f / "config.json").write_text("{"), "expected a JSON config"),
    (lambda f: (f / "config.json").write_text("[]"), "expected a JSON object"),
    (whole(lambda c: c.update(format=99)), "expected format 1, found 99"),
    (whole(lambda c: c.update(method="other")), "expected one of the methods tiny"),
    (whole(lambda c: c.update(settings={"depth": 3})), "expected settings of the method"),
    (whole(lambda c: c["classes"].reverse()), "24 classes"),
    (whole(lambda c: c["input"].update(units="mV")), "'units': 'uV'"),
    (whole(lambda c: c["input"].update(sampling_frequency_hz=500)), "257"),
    (whole(lambda c: c.update(members=[])), "at least one member"),
    (first_member(lambda m: m["thresholds"].popitem()), "a threshold for each"),
    (first_member(lambda m: m.pop("thresholds")), "a threshold for each"),
    (first_member(lambda m: m["thresholds"].update({"426783006": float("nan")})), "thresholds from 0 to 1"),
    (first_member(lambda m: m["thresholds"].update({"426783006": "0.5"})), "thresholds from 0 to 1"),
    (first_member(lambda m: m.update(weights="../other.safetensors")), "bare name"),
    (first_member(lambda m: m.update(weights="weights.pth")), "bare name"),
    (lambda f: weights_of(f).unlink(), "found No such file"),
    (damage_weights, "damaged or belongs to another model"),
    (pickled_weights, "expected safetensors"),
    (other_shapes, "found others"),
    (infinite_weights, "finite weights"),
])
def test_a_folder_that_is_not_right_is_refused_with_a_sentence(folder, damage, complaint):
    damage(folder)
    with pytest.raises(ModelError, match=complaint) as caught:
        load_model(folder, BUILDERS, CPU)
    assert str(folder) in str(caught.value)
