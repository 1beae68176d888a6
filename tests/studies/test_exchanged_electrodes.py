"""Exchanged limb electrodes from their potentials, and fits that find what they were made from."""

import json
import re

import numpy as np
import pytest
from scipy.optimize import minimize

from ecg.leads import twelve_leads
from ecg.measurements import lead_reversal as reversal
from ecg.measurements.types import MedianBeat, WaveMarks
from ecg.studies import lead_reversal as study

ELECTRODES = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")


def leads_of(potentials):
    """Twelve leads of the potentials of nine electrodes, as Einthoven, Goldberger and Wilson define them."""
    right, left, leg = (potentials[name] for name in ELECTRODES[:3])
    centre = (right + left + leg) / 3
    limbs = [left - right, leg - right, leg - left]
    limbs += [right - (left + leg) / 2, left - (right + leg) / 2, leg - (right + left) / 2]
    return np.stack([*limbs, *(potentials[name] - centre for name in ELECTRODES[3:])])


@pytest.mark.parametrize("name", ["RA-LA", "RA-LL", "LA-LL", "RA-RL"])
def test_an_exchange_shows_what_the_electrodes_record_in_each_others_places(name):
    rng = np.random.default_rng(1)
    potentials = {each: rng.normal(size=50) for each in ELECTRODES}
    potentials["RL"] = potentials["LL"]  # the legs have the same potential
    one, other = name.split("-")
    exchanged = potentials | {one: potentials[other], other: potentials[one]}
    found = study.exchange(leads_of(potentials).astype(np.float32), name)
    np.testing.assert_allclose(found, leads_of(exchanged), atol=1e-5)


def beat_of(rng, coefficients):
    """A median beat whose limb leads are these combinations of its chest leads, others for each wave."""
    marks = WaveMarks(5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0)
    chest, frontal = rng.normal(size=(6, 100)), np.zeros((2, 100))
    for (first, last), of_wave in zip(((0, 18), (18, 41), (41, 100)), coefficients, strict=True):
        frontal[:, first:last] = of_wave @ chest[:, first:last]
    lead_i, vertical = frontal
    lead_ii = (np.sqrt(3) * vertical + lead_i) / 2
    signal = twelve_leads(np.stack([lead_i, lead_ii, *chest]).astype(np.float32))
    return MedianBeat(signal, 250.0, 9, marks, (marks,) * 12, 30.0)


def test_the_fit_finds_the_combinations_of_chest_leads_that_limb_leads_were_made_from():
    rng = np.random.default_rng(2)
    coefficients = rng.normal(0, 0.5, (3, 2, 6))
    found = study.fit_from_chest([beat_of(rng, coefficients) for _ in range(12)])
    assert np.abs(found - coefficients).max() < 0.03


def test_each_beat_has_the_same_weight_however_large_it_is():
    rng = np.random.default_rng(3)
    one, other = (rng.normal(0, 0.5, (3, 2, 6)) for _ in range(2))
    beats = [beat_of(rng, one) for _ in range(6)] + [beat_of(rng, other) for _ in range(6)]
    large = [MedianBeat(100 * each.signal, *[getattr(each, name) for name in (
        "sampling_frequency", "n_beats", "marks", "lead_marks", "r_peak")]) for each in beats[:6]]  # fmt: skip
    np.testing.assert_allclose(study.fit_from_chest([*large, *beats[6:]]), study.fit_from_chest(beats), atol=0.01)


def loss(weights, features):
    """Minus the mean log probability of the arrangement as named, and the ridge on features of unit variance."""
    scores = np.einsum("nawf,wf->na", features, weights)
    named = scores[:, reversal.AS_NAMED] - np.log(np.exp(scores).sum(axis=1))
    scale = features.reshape(-1, *features.shape[2:]).std(axis=0)
    return -named.mean() + 1e-3 * np.square(weights * scale).sum()


def test_weights_are_the_best_of_the_conditional_logistic_regression():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(60, 6, 3, 5)) * rng.uniform(0.5, 2, (3, 5))
    features[:, reversal.AS_NAMED, 1, 2] += 1
    found = study.fit_weights(features)
    assert found[1, 2] > 0.3
    for wave in range(3):
        for k in range(5):
            for step in (-0.02, 0.02):
                moved = found.copy()
                moved[wave, k] += step
                assert loss(moved, features) > loss(found, features)


def test_the_penalty_is_the_same_for_features_of_any_size():
    rng = np.random.default_rng(6)
    sizes = rng.uniform(0.5, 5, (3, 5))
    features = rng.normal(size=(20, 6, 3, 5))
    features[:, reversal.AS_NAMED] += 0.5
    expected = minimize(lambda each: loss(each.reshape(3, 5), features), np.zeros(15), tol=1e-10).x.reshape(3, 5)
    np.testing.assert_allclose(study.fit_weights(features * sizes) * sizes, expected, atol=0.01)


def test_margins_leave_their_share_of_recordings_below(monkeypatch):
    rng = np.random.default_rng(5)
    coefficients = rng.normal(0, 0.5, (3, 2, 6))
    beats = [None, *(beat_of(rng, coefficients + rng.normal(0, 0.3, (3, 2, 6))) for _ in range(40))]
    monkeypatch.setattr(reversal, "FROM_CHEST", reversal.FROM_CHEST.copy())
    monkeypatch.setattr(study, "_SHARES", {"RA-LA": 0.5, "RA-LL": 0.9, "LA-LL": 0.1})
    given = iter(beats)
    monkeypatch.setattr(study, "read_recording", lambda path: (type("Header", (), {"sampling_frequency": 250}), path))
    monkeypatch.setattr(study, "measure", lambda path, rate: type("Measured", (), {"median_beat": next(given)}))
    said = study.fit(list(range(41)))
    assert said.startswith("40 recordings\nFROM_CHEST = [[[")
    weights, margins = said.replace("'", '"').split("WEIGHTS = ")[1].split("MARGINS = ")
    weights, margins = np.array(json.loads(re.sub(r"\.(?=[,\]])", ".0", weights))), json.loads(margins)
    features = np.stack([reversal.features_of(beat) for beat in beats[1:]])
    scores = np.einsum("nawf,wf->na", features, weights)
    for name, share in (("RA-LA", 0.5), ("RA-LL", 0.9), ("LA-LL", 0.1)):
        below = scores[:, reversal.EXCHANGES[name]] - scores[:, reversal.AS_NAMED] < margins[name]
        assert below.mean() == pytest.approx(share, abs=0.06)
