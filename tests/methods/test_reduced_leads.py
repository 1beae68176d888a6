"""Methods on fewer leads: kept leads, missing leads, and leads masked in training."""

import numpy as np
import pytest
import torch

from ecg.io.errors import RecordingError
from ecg.leads import LEAD_SETS, LEADS, fill_missing, parse_leads
from ecg.methods.reduced_leads import MaskLeads, keep_leads, on_leads, with_masked_leads
from ecg.model_folder.folder import load_model, save_model
from ecg.model_folder.model import ModelError
from ecg.training.member import train_member
from ecg.training.options import MemberOptions
from tiny import heart_like, random_dataset, tiny

CPU = torch.device("cpu")
SIGNAL = heart_like(2).astype(np.float32)


def only(*leads):
    signal = SIGNAL.copy()
    signal[~np.isin(LEADS, leads)] = np.nan
    return signal


@pytest.mark.parametrize("leads", LEAD_SETS.values(), ids=LEAD_SETS)
def test_what_is_kept_is_what_a_recording_of_these_leads_holds(leads):
    expected = fill_missing(only(*leads))
    assert np.array_equal(fill_missing(keep_leads(SIGNAL, leads)), expected)
    assert np.array_equal(fill_missing(keep_leads(only(*leads), leads)), expected)
    np.testing.assert_allclose(expected[:6], SIGNAL[:6], atol=1e-5)  # limb leads follow from I and II


def test_limb_leads_follow_from_two_others():
    kept = fill_missing(keep_leads(only("III", "aVF", "V2"), LEAD_SETS[3]))
    np.testing.assert_allclose(kept[:6], SIGNAL[:6], atol=1e-4)


@pytest.mark.parametrize(
    ("there", "lacking"), [(("I", "II"), "V2"), (("I", "V2"), "II"), (("V1", "V2"), "I, II"), (LEADS[:7], "V2")]
)
def test_a_recording_that_lacks_a_lead_gets_a_sentence(there, lacking):
    with pytest.raises(RecordingError, match=rf"expected the leads I, II, V2, found .* \(not {lacking}\)"):
        keep_leads(only(*there), LEAD_SETS[3])


def test_leads_by_number_and_by_name():
    assert parse_leads("2") == ("I", "II") and parse_leads("12") == LEADS
    assert parse_leads("v2, II,I") == ("I", "II", "V2")
    for wrong in ("5", "", "I,I", "I,V7", "two"):
        with pytest.raises(ValueError, match="expected one of 12, 6, 4, 3, 2, or different names"):
            parse_leads(wrong)


def test_a_method_on_leads_asks_for_them_and_for_no_others():
    method = on_leads(tiny(), LEAD_SETS[4])
    assert on_leads(method, LEADS) is method  # the others are not looked at
    with pytest.raises(
        ValueError, match="expected the leads that the model was trained for, I, II, III, V2, found I, II"
    ):
        on_leads(method, LEAD_SETS[2])
    changed = SIGNAL.copy()
    changed[[6, 8, 9, 10, 11]] = 5
    assert np.array_equal(method.input.preprocess(SIGNAL, 500.0), method.input.preprocess(changed, 500.0))
    with pytest.raises(RecordingError, match="expected the leads I, II, III, V2"):
        method.input.preprocess(only("I", "II"), 500.0)


def test_masking_leaves_chest_leads_out_as_the_smaller_sets_do():
    mask, rng = MaskLeads(lambda recording, rng: recording), np.random.default_rng(0)
    kept = {tuple((mask(SIGNAL, rng) != 0).any(axis=1)) for _ in range(60)}
    limbs = (True,) * 6
    assert kept == {limbs + (True,) * 6, limbs + (False,) * 6, (*limbs, False, True, False, False, False, False)}
    assert SIGNAL[6:].any()
    assert with_masked_leads(tiny()).leads is None


def test_the_model_folder_says_which_leads(tmp_path):
    rows, dataset = np.arange(30), random_dataset()
    method = on_leads(tiny(), LEAD_SETS[2])
    member = train_member(method, dataset, rows[:20], rows[20:], MemberOptions(epochs=1, seed=0, number=0, device=CPU))
    save_model(tmp_path, method, [member], {}, [{}])
    model = load_model(tmp_path, {"tiny": tiny}, CPU)
    assert model.method.leads == ("I", "II") == model.on_leads(LEADS).method.leads
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"leads": [\n  "I",\n  "II"\n ]', '"leads": ["II", "I"]'))
    with pytest.raises(ModelError, match=r"expected leads out of I, .* in this order, found"):
        load_model(tmp_path, {"tiny": tiny}, CPU)
