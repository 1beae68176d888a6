"""Methods on fewer leads: kept leads, missing leads, and leads masked in training."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from ecg.examination.examine import Examination
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.interface import simulate
from ecg.io.errors import RecordingError
from ecg.io.recording import Recording
from ecg.leads import LEAD_SETS, LEADS, fill_missing, parse_leads
from ecg.methods.base import build_method
from ecg.methods.reduced_leads import (
    MASKED_SETS,
    MaskLeads,
    check_leads,
    has_learned,
    keep_leads,
    lead_problem,
    masked_features,
    on_leads,
    with_masked_leads,
)
from ecg.methods.registry import METHODS
from ecg.model_folder.folder import load_model, save_model
from ecg.model_folder.model import ModelError
from ecg.training.dataset import build_dataset
from ecg.training.member import train_member
from ecg.training.options import MemberOptions
from tiny import heart_like, random_dataset, tiny, write_recording

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
    assert on_leads(method, LEAD_SETS[3]) is method  # III follows
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


@pytest.mark.parametrize(
    ("method", "there", "expected"),
    [
        (tiny(), LEADS[:11], "expected all twelve leads, found I, .*, V5$"),
        (tiny(missing_leads=2), LEADS[:9], "expected at least 10 of the twelve leads, found I, .*, V3$"),
        (tiny(missing_leads=5), ("II", *LEADS[6:11]), "expected at least 7 of the twelve leads, found II, V1, "),
        (on_leads(tiny(), LEAD_SETS[3]), ("I", "II"), r"expected the leads I, II, V2, found I, II \(not V2\)"),
        (with_masked_leads(tiny()), ("II", "V2"), r"expected the leads I, II, found II, V2 \(not I\)"),
    ],
)
def test_a_method_refuses_recordings_without_leads_that_it_needs(method, there, expected):
    assert re.search(expected, lead_problem(method, only(*there)))
    with pytest.raises(RecordingError, match=expected):
        check_leads(method, only(*there))


@pytest.mark.parametrize(
    ("method", "there"),
    [
        (tiny(), ("II", "aVF", *LEADS[6:])),  # the other limb leads follow
        (tiny(missing_leads=2), LEADS[:10]),
        (on_leads(tiny(), LEAD_SETS[3]), ("II", "III", "V2")),
        (with_masked_leads(tiny()), ("I", "II")),
    ],
)
def test_a_method_takes_what_it_has_learned_to_do_with(method, there):
    assert lead_problem(method, only(*there)) == ""
    assert has_learned(method, there)


def test_a_lead_of_zeros_is_there():
    signal = SIGNAL.copy()
    signal[8] = 0
    assert lead_problem(tiny(), signal) == ""


def test_features_of_fewer_leads_know_nothing_of_the_others():
    recording = Recording(np.float32(simulate("NSR", seed=1).signal), 500.0, "a", 60.0, "Female")
    changed = replace(recording, signal=recording.signal.copy())
    changed.signal[6:] = np.flip(changed.signal[6:], axis=1)
    network_input = build_method("hybrid", METHODS).input
    first, second = (masked_features(each, network_input, MASKED_SETS) for each in (recording, changed))
    assert np.array_equal(first[0], second[0], equal_nan=True) and np.isfinite(first[0]).any()
    assert not np.array_equal(first[1], second[1], equal_nan=True)  # V2 is left
    kept = replace(recording, signal=keep_leads(recording.signal, LEAD_SETS[2]))
    of_two = network_input.features(Examination(kept, network_input))
    np.testing.assert_allclose(first[0], of_two, rtol=1e-4, atol=1e-3)  # III and the others follow from I and II


def test_what_looks_at_measurements_is_fitted_to_those_of_fewer_leads_too(tmp_path):
    seen = []
    method = with_masked_leads(
        tiny(
            features=lambda examination: np.full(
                5, np.isnan(examination.recording.signal).all(axis=1).sum(), np.float32
            ),
            prepare=lambda network, features, targets, seed, signals: (
                seen.append((features[:, 0], targets.argmax(axis=1), list(signals()))) or []
            ),
        )
    )
    for k in range(8):
        write_recording(tmp_path / "data", f"R{k}", heart_like(2, seed=k), dx=("426783006", "164889003")[k % 2])
    dataset, _ = build_dataset(method, tmp_path / "data", tmp_path / "cache", workers=1)
    again, _ = build_dataset(method, tmp_path / "data", tmp_path / "cache", workers=1)
    rows = np.arange(8)
    for each in (dataset, again):
        train_member(method, each, rows[:6], rows[6:], MemberOptions(epochs=1, seed=0, number=0, device=CPU))
    for missing, kinds, signals in seen:
        assert missing.tolist() == [0, 6, 5] * 6  # all leads, six limb leads, those and V2
        assert [int((signal == 0).all(axis=1).sum()) for signal in signals] == [0, 6, 5] * 6
        assert np.array_equal(kinds, np.repeat(kinds[::3], 3)) and len(set(kinds)) == 2
    assert dataset.features(7).tolist() == [0] * 5
    plain, _ = build_dataset(tiny(), tmp_path / "data", tmp_path / "cache", workers=1)
    assert plain.masked_features(0).shape == (0, 5)


def test_a_model_trained_with_masked_leads_says_so_and_takes_two_leads(tmp_path):
    rows, dataset, method = np.arange(30), random_dataset(), with_masked_leads(tiny())
    member = train_member(tiny(), dataset, rows[:20], rows[20:], MemberOptions(epochs=1, seed=0, number=0, device=CPU))
    write_recording(tmp_path / "in", "two", SIGNAL, leads=("I", "II"))
    write_recording(tmp_path / "in", "twelve", SIGNAL)
    for name, trained in (("masked", method), ("plain", tiny())):
        save_model(tmp_path / name, trained, [member], {}, [{}])
        model = load_model(tmp_path / name, {"tiny": tiny}, CPU)
        assert bool(model.method.training.masked_leads) is (name == "masked")
        outcome = run_folder(model, tmp_path / "in", tmp_path / f"out-{name}", ClassifyOptions(workers=1))
        assert outcome.classified == 2 - len(outcome.problems)
        if name == "plain":
            (sentence,) = outcome.problems
            assert sentence == f"{tmp_path / 'in' / 'two.hea'}: expected all twelve leads, found I, II"
            assert set((tmp_path / "out-plain" / "two.csv").read_text().splitlines()[2]) == {"0", ","}
        else:
            assert not outcome.problems
    config = (tmp_path / "masked" / "config.json").read_text()
    (tmp_path / "masked" / "config.json").write_text(config.replace('"masked_leads": true', '"masked_leads": "yes"'))
    with pytest.raises(ModelError, match=r"masked_leads: expected .bool., found"):
        load_model(tmp_path / "masked", {"tiny": tiny}, CPU)


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
