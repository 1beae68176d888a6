"""A model decides by the conventions that its folder holds, whatever a later version of the package says."""

import json
from importlib.resources import files

import numpy as np
import pytest
import torch

from commands import ROOT
from ecg.decisions.conventions import CONVENTIONS, convention, published
from ecg.methods.registry import find_methods
from ecg.model_folder.folder import load_model
from ecg.model_folder.model import ModelError
from ecg.model_folder.schema import convention_rows, parse

AF = "164889003"


@pytest.fixture
def folder(tmp_path):
    """The distilled model; its config is a dict to be changed, and `load` loads what it has become."""
    stored = json.loads((ROOT / "model" / "distilled" / "config.json").read_text())
    for path in (ROOT / "model" / "distilled").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def load():
        (tmp_path / "config.json").write_text(json.dumps(stored))
        return load_model(tmp_path, find_methods(), torch.device("cpu"))

    return stored, load


def test_the_shipped_models_hold_the_conventions_of_the_package():
    for name in ("model", "model/distilled"):
        stored = json.loads((ROOT / name / "config.json").read_text())
        assert stored["conventions"] == convention_rows()["conventions"]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_stored_convention_is_the_published_one(name):
    stored = json.loads(json.dumps(convention_rows()))["conventions"]
    config = json.loads((ROOT / "model" / "config.json").read_text()) | {"conventions": stored}
    found, expected = parse(config).read_conventions()[name], convention(name, tuple(config["classes"]))
    np.testing.assert_array_equal(found.priors, expected.priors)
    assert (found.share, found.limits, found.sinus, found.rhythms) == (
        expected.share, expected.limits, expected.sinus, expected.rhythms)  # fmt: skip
    rows = files("ecg.decisions").joinpath("data", f"{name}.csv").read_text().splitlines()
    assert len(published(name).prevalences) == len(rows) - 1


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_stored_convention_is_in_the_order_of_the_classes(name):
    config = json.loads((ROOT / "model" / "config.json").read_text())
    usual, turned = (parse(config | {"classes": each}) for each in (config["classes"], config["classes"][::-1]))
    first, second = (each.read_conventions()[name] for each in (usual, turned))
    np.testing.assert_array_equal(second.priors, first.priors[:, ::-1])
    of_classes = [
        {(found.classes[row.column], row.measured, row.above, row.below) for row in limits}
        for found, limits in ((usual, first.limits), (turned, second.limits))
    ]
    assert of_classes[0] == of_classes[1]
    for one, other in ((first.sinus, second.sinus), (first.rhythms, second.rhythms)):
        assert {usual.classes[k] for k in one} == {turned.classes[k] for k in other}


def test_the_folder_decides_and_without_a_convention_in_it_the_package(folder):
    stored, load = folder
    probabilities, features = np.full((1, 24), 0.2), np.full(5, np.nan, np.float32)
    column = stored["classes"].index(AF)
    usual = load().decide(probabilities, features)[1][column]
    stored["conventions"]["clinical"]["prevalences"][AF] = dict.fromkeys(
        stored["conventions"]["clinical"]["prevalences"][AF], 0.9
    )
    assert load().decide(probabilities, features)[1][column] > usual + 0.1
    del stored["conventions"]
    assert load().decide(probabilities, features)[1][column] == usual


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda table: table.update(share=1.5), "conventions.clinical.share|conventions"),
        (lambda table: table["prevalences"][AF].update(Georgia=-0.1), "conventions"),
        (lambda table: table["prevalences"][AF].pop("Georgia"), f"conventions.clinical.prevalences.{AF}"),
        (lambda table: table["limits"]["426177001"].update(measured="pulse"), "limits.426177001.measured"),
        (lambda table: table.pop("share"), "conventions"),
    ],
)
def test_a_table_that_is_none_is_named(folder, change, place):
    stored, load = folder
    change(stored["conventions"]["clinical"])
    with pytest.raises(ModelError, match=place):
        load()


def test_an_unknown_convention_is_named(folder):
    stored, load = folder
    stored["conventions"]["mayo"] = stored["conventions"]["clinical"]
    with pytest.raises(ModelError, match=r"conventions\.mayo"):
        load()
