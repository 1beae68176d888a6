"""What a model decides by, and all that its folder holds of it."""

import json
import platform
from dataclasses import replace
from importlib import metadata
from itertools import product

import numpy as np
import pytest
import torch

from ecg.decisions.adaptation import Adaptation
from ecg.decisions.calibration import Calibration
from ecg.decisions.conventions import CONVENTIONS, convention
from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.methods.reduced_leads import on_leads, with_masked_leads
from ecg.model_folder.folder import adaptation_words, load_model, save_adapted, save_model
from ecg.model_folder.model import Member, Model, ModelError
from ecg.model_folder.schema import adaptation_rows, calibration_rows, convention_rows
from tiny import tiny

CPU = torch.device("cpu")
OWN = replace(convention("clinical", CLASSES), share=0.123)
RNG = np.random.default_rng(0)
P, THRESHOLDS, FEATURES = RNG.random((3, 24)), RNG.uniform(0.2, 0.8, (3, 24)), np.arange(5, dtype=np.float32)
WEIGHTS = np.eye(24) + RNG.normal(0, 0.05, (24, 24))


@pytest.mark.parametrize(
    ("adapted", "named", "given"),
    list(product([False, None, "clinical", "ptb-xl"], [None, "clinical", "ptb-xl"], [True, False])),
)
def test_a_recording_is_decided_by_the_convention_of_the_adaptation_or_that_named_or_that_of_the_model(
    adapted, named, given
):
    followed = []

    def by_convention(probabilities, thresholds, features, convention):
        assert probabilities is P and thresholds is THRESHOLDS and features is FEATURES
        followed.append(convention)
        return np.arange(24) % 3 == 0, np.linspace(0.1, 0.9, 24)

    adaptation = None if adapted is False else Adaptation(WEIGHTS, np.full(24, 0.3), None, adapted)
    method = tiny(by_convention=by_convention)
    model = Model(method, (), THRESHOLDS, CPU, {}, None, adaptation, "ptb-xl", {"clinical": OWN})
    labels, scores = model.decide(P, FEATURES if given else None, named)
    name = (named or "ptb-xl") if adapted is False else adapted
    if given and name is not None:
        [convention_used] = followed
        if name == "clinical":
            assert convention_used is OWN  # that of the folder, the package's where it has none
        else:
            np.testing.assert_array_equal(convention_used.priors, convention("ptb-xl", CLASSES).priors)
        own, before = np.arange(24) % 3 == 0, np.linspace(0.1, 0.9, 24)
    else:
        assert not followed
        each = np.stack([P[k] >= THRESHOLDS[k] for k in range(3)])
        each[np.arange(3), P.argmax(axis=1)] = True
        own, before = each.sum(axis=0) >= 2, P.mean(axis=0)
    if adapted is False:
        np.testing.assert_array_equal(labels, own)
        np.testing.assert_allclose(scores, before)
    else:
        np.testing.assert_allclose(scores, adaptation.apply(before))
        expected = adaptation.decide(scores[None], CHALLENGE_2020.weights)[0]
        np.testing.assert_array_equal(labels, expected)


def test_each_member_alone_is_asked_with_its_own_thresholds_and_the_same_features():
    asked = []

    def by_convention(probabilities, thresholds, features, convention):
        asked.append((probabilities.tolist(), thresholds.tolist(), features))
        return probabilities[0] > thresholds[0], probabilities[0]

    model = Model(tiny(by_convention=by_convention), (), THRESHOLDS, CPU, {})
    np.testing.assert_array_equal(model.decide_each(P, FEATURES), P > THRESHOLDS)
    assert asked == [(P[k : k + 1].tolist(), THRESHOLDS[k : k + 1].tolist(), FEATURES) for k in range(3)]


# --- Its folder


def member_of(n_classes, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = tiny(Diagnoses("x", ("code", *map(str, range(n_classes))))).build_network().state_dict()
    state["fc.weight"] = state["fc.weight"].half().float()
    state["conv.weight"] = state["conv.weight"].half().float()
    history = [{"stage": "bce", "epoch": 1 + k, "loss": 0.5 / (1 + k)} for k in range(2)]
    return Member(state, np.random.default_rng(seed).random(n_classes), np.arange(1), np.zeros((1, 1)), history)


OTHER = Diagnoses("own", ("code,name", "LOW,low", "ODD,odd"))
PACKAGES = ("torch", "numpy", "scipy", "wfdb", "safetensors", "scikit-learn", "bayesian-optimization")


@pytest.mark.parametrize("diagnoses", [CHALLENGE_2020, OTHER])
@pytest.mark.parametrize("kind", ["plain", "leads", "masked", "conventions", "calibrated"])
def test_a_folder_holds_all_that_a_model_is_computed_with_and_nothing_else(tmp_path, diagnoses, kind):
    changes = {"settings": {"width": 3}, "units": "mV", "window": 77}
    method = tiny(diagnoses, by_convention=len if kind == "conventions" else None, **changes)
    method = {"leads": lambda: on_leads(method, ("I", "II")), "masked": lambda: with_masked_leads(method)}.get(
        kind, lambda: method
    )()
    n = len(diagnoses.classes)
    members = [member_of(n, seed) for seed in (3, 4)]
    line = Calibration(np.linspace(0.5, 2, n), np.linspace(-1.23456789, 1, n)) if kind == "calibrated" else None
    save_model(tmp_path, method, members, {"recordings": 5}, [{"all": {"auroc": 0.5}}, {"all": {"auroc": None}}], line)
    config = json.loads((tmp_path / "config.json").read_text())
    rows = config["members"]
    expected = {
        "format": 1,
        "method": "tiny",
        "settings": {"width": 3},
        "input": {
            "leads": ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"],
            "sampling_frequency_hz": 257.0,
            "window_samples": 77,
            "units": "mV",
        },
        "classes": list(diagnoses.classes),
        "members": [
            {
                "weights": f"member-{k}-{row['sha256'][:8]}.safetensors",
                "sha256": row["sha256"],
                "thresholds": dict(zip(diagnoses.classes, member.thresholds.tolist(), strict=True)),
                "validation": {"all": {"auroc": (0.5, None)[k - 1]}},
            }
            for k, row, member in zip((1, 2), rows, members, strict=True)
        ],
        "training": {"recordings": 5},
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
    }
    expected |= {"diagnoses": diagnoses.as_json()} if diagnoses is OTHER else {}
    expected |= {"leads": {"leads": ["I", "II"]}, "masked": {"masked_leads": True}}.get(kind, {})
    expected |= convention_rows() if kind == "conventions" else {}
    if line is not None:
        pairs = zip(np.linspace(0.5, 2, n), np.linspace(-1.23456789, 1, n), strict=True)
        lines = [[round(float(slope), 6), round(float(level), 6)] for slope, level in pairs]
        expected["calibration"] = dict(zip(diagnoses.classes, lines, strict=True))
    assert config == expected
    assert (tmp_path / "history.csv").read_text() == (
        "member,stage,epoch,loss\n1,bce,1,0.5\n1,bce,2,0.25\n2,bce,1,0.5\n2,bce,2,0.25\n"
    )
    assert len(list(tmp_path.iterdir())) == 4

    def build(width, diagnoses=CHALLENGE_2020):
        assert width == 3
        return tiny(diagnoses, by_convention=len if kind == "conventions" else None, **changes)

    model = load_model(tmp_path, {"tiny": build}, CPU)
    assert model.method.leads == method.leads and model.method.diagnoses == diagnoses
    assert model.method.training.masked_leads == method.training.masked_leads
    assert (model.definitions, set(model.conventions)) == (
        "clinical", set(CONVENTIONS) if kind == "conventions" else set())  # fmt: skip
    assert model.checksums == [row["sha256"] for row in rows] and model.adaptation is None
    for network, member, thresholds in zip(model.networks, members, model.thresholds, strict=True):
        assert all(torch.equal(value, member.state[key]) for key, value in network.state_dict().items())
        assert thresholds.tolist() == member.thresholds.tolist()
    assert (model.calibration is None) == (line is None)
    if line is not None:
        np.testing.assert_allclose(model.calibration.slopes, line.slopes, atol=1e-6)
        np.testing.assert_allclose(model.calibration.intercepts, line.intercepts, atol=1e-6)


@pytest.mark.parametrize("kind", ["convention", "weights", "thresholds"])
def test_an_adapted_folder_holds_the_model_and_what_was_fitted(tmp_path, kind):
    source, target = tmp_path / "model", tmp_path / "adapted"
    save_model(source, tiny(), [member_of(24, 3)], {"recordings": 5}, [{}])
    model = load_model(source, {"tiny": tiny}, CPU)
    before = json.loads((source / "config.json").read_text())
    if kind == "convention":
        adaptation, changed = None, {"definitions": "ptb-xl", "definitions_chosen": {"recordings": 30}}
    else:
        adaptation = Adaptation(WEIGHTS, np.linspace(0, 1, 24), None, "clinical")
        stored = {
            "weights": {code: WEIGHTS[:, k].round(6).tolist() for k, code in enumerate(CLASSES)},
            "intercepts": dict(zip(CLASSES, np.linspace(0, 1, 24).round(6).tolist(), strict=True)),
            "definitions": "clinical",
        }
        if kind == "thresholds":
            adaptation = replace(adaptation, thresholds=THRESHOLDS[0], definitions=None)
            del stored["definitions"]
            stored["thresholds"] = dict(zip(CLASSES, THRESHOLDS[0].tolist(), strict=True))
        assert adaptation_rows(CLASSES, adaptation) == stored
        changed = {"adaptation": {**stored, "fitted": {"recordings": 30}}}
    save_adapted(source, target, adaptation, "ptb-xl", {"recordings": 30}, model)
    after = json.loads((target / "config.json").read_text())
    assert after == {**before, **changed}
    for name in ("history.csv", before["members"][0]["weights"]):
        assert (target / name).read_bytes() == (source / name).read_bytes()
    loaded = load_model(target, {"tiny": tiny}, CPU)
    if adaptation is None:
        assert (loaded.definitions, loaded.adaptation) == ("ptb-xl", None)
    else:
        assert adaptation_words(after) == "to one hospital (number of its recordings: 30)"
        assert loaded.adaptation.definitions == adaptation.definitions
        np.testing.assert_allclose(loaded.adaptation.weights, WEIGHTS, atol=1e-6)
        np.testing.assert_allclose(loaded.adaptation.intercepts, adaptation.intercepts, atol=1e-6)
    (source / "history.csv").unlink()
    save_adapted(source, tmp_path / "without", adaptation, "ptb-xl", {}, model)
    assert not (tmp_path / "without" / "history.csv").exists()


@pytest.mark.parametrize("fitted", [{}, {"fitted": None}, {"fitted": {"folds": 5}}, {"fitted": "many"}])
def test_of_an_adaptation_that_does_not_say_so_the_number_is_unknown(fitted):
    assert adaptation_words({"adaptation": fitted}) == "to one hospital (number of its recordings: unknown)"


def test_a_calibration_is_stored_with_six_decimals():
    found = calibration_rows(("a", "b"), Calibration(np.array([1.23456789, 2]), np.array([-0.00000049, 0.5])))
    assert found == {"a": [1.234568, 0.0], "b": [2.0, 0.5]}


DAMAGES = {
    "weights outside": (
        lambda c: c["members"][0].update(weights="a/b.safetensors"),
        "members[0].weights: expected `str` matching regex '^[\\\\w-]+\\\\.safetensors\\\\Z', found 'a/b.safetensors'",
    ),
    "input": (
        lambda c: c["input"].update(window_samples=5),
        "input: expected {'leads': ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'], "
        "'sampling_frequency_hz': 257.0, 'window_samples': 4096, 'units': 'uV'}, found {'leads': ['I', 'II', 'III', "
        "'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'], 'sampling_frequency_hz': 257.0, "
        "'window_samples': 5, 'units': 'uV'}",
    ),
    "method": (lambda c: c.update(method="x"), "method: expected one of the methods tiny, wide, found 'x'"),
    "no method": (lambda c: c.pop("method"), "method: expected a value, found none"),
    "format": (
        lambda c: c.update(format=2),
        "expected format 1, found 2; use the version of this software that wrote it, or train again",
    ),
    "no format": (
        lambda c: c.pop("format"),
        "expected format 1, found None; use the version of this software that wrote it, or train again",
    ),
    "leads": (
        lambda c: c.update(leads=["II", "I"]),
        "leads: expected leads out of I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6, in this order, "
        "found ['II', 'I']",
    ),
    "definitions": (
        lambda c: c.update(definitions="x"), "definitions: expected one of clinical, ptb-xl, found 'x'"),
    "conventions": (
        lambda c: c.update(conventions={"x": convention_rows()["conventions"]["clinical"]}),
        "conventions.x: expected one of clinical, ptb-xl, found 'x'",
    ),
    "a threshold": (
        lambda c: c["members"][0]["thresholds"].update({CLASSES[2]: 2}),
        f"members[0].thresholds.{CLASSES[2]}: expected numbers from 0 to 1, found 2.0",
    ),
    "a class": (
        lambda c: c.update(calibration={CLASSES[0]: [1, 0]}),
        f"calibration: expected an entry for each of the 24 classes, found {{'{CLASSES[0]}': (1.0, 0.0)}}",
    ),
    "a class too many": (
        lambda c: c["members"][0].update(thresholds={**c["members"][0]["thresholds"], "x": 0.5}),
        "members[0].thresholds: expected an entry for each of the 24 classes, found ",
    ),
    "a slope": (
        lambda c: c.update(calibration={code: [k - 1, 0] for k, code in enumerate(CLASSES, 1)}),
        f"calibration.{CLASSES[0]}: expected a slope above 0, found 0.0",
    ),
    "weights of an adaptation": (
        lambda c: c.update(adaptation={"weights": {CLASSES[1]: [0.0] * 23}, "intercepts": {}}),
        f"adaptation.weights.{CLASSES[1]}: expected 24 numbers, found "
        "[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ...",
    ),
    "definitions of an adaptation": (
        lambda c: c.update(adaptation={
            "weights": {code: np.eye(24)[k].tolist() for k, code in enumerate(CLASSES)},
            "intercepts": dict.fromkeys(CLASSES, 0.0), "definitions": "x"}),
        "adaptation.definitions: expected one of clinical, ptb-xl, found 'x'",
    ),
    "settings": (
        lambda c: c.update(settings={"x": 1}),
        "expected settings of the method tiny, found {'x': 1} (tiny() got an unexpected keyword argument 'x')",
    ),
}  # fmt: skip


def build(diagnoses=CHALLENGE_2020):
    return tiny(diagnoses)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_with_a_config_is_said_in_one_sentence(tmp_path, damage):
    save_model(tmp_path, tiny(), [member_of(24, 3)], {}, [{}])
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    change, expected = DAMAGES[damage]
    change(config)
    path.write_text(json.dumps(config))
    builders = {"tiny": build, "wide": build}
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path, builders, CPU)
    said = str(caught.value).replace("build()", "tiny()")
    assert said == f"{path}: {expected}" or (expected.endswith("found ") and said.startswith(f"{path}: {expected}"))
