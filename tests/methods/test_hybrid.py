"""The default method: trees that say what scikit-learn's say, measurements as features, prior odds, targets."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

import team_code
from ecg.decisions.expected_score import adjust_odds
from ecg.examination.examine import Examination
from ecg.inference.predict import SOMEBODY
from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.measurements import measure
from ecg.measurements.features import FEATURES, SIZES, features_of
from ecg.methods import hybrid, robust
from ecg.methods.base import Batch
from ecg.networks import feature_network
from ecg.networks.boosted_trees import BoostedTrees
from ecg.networks.feature_network import FeatureNetwork, fit_feature_network
from ecg.signal.filtering import without_mains
from ecg.simulator.simulate import simulate_recording
from tiny import fit_boosted_trees

NSR, SB, STACH = "426783006", "426177001", "427084000"


def some_features(seed=0, count=300, missing=0.2):
    """Features of which some are missing, and three classes that depend on them, one of them hardly there."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 6)).astype(np.float32)
    score = features[:, 0] + features[:, 1] * features[:, 2]
    labels = np.stack([score > 0.5, features[:, 3] > 0, np.arange(count) < 2], axis=1)
    features[rng.random(features.shape) < missing] = np.nan
    features[:, 5] = np.nan  # never measurable
    return features, labels.astype(np.float32)


def test_the_trees_say_what_scikit_learns_say():
    features, targets = some_features()
    targets[:30, 1] = 0.5  # counts with either label
    trees = BoostedTrees(3, 20)
    fit_boosted_trees(trees, features, targets, seed=1)
    usable = np.where(np.isfinite(features).any(axis=0), features, 0)
    for k in (0, 1):
        reference = HistGradientBoostingClassifier(
            max_iter=20,
            early_stopping=False,
            random_state=1,
            learning_rate=0.08,
            max_depth=3,
            min_samples_leaf=20,
            l2_regularization=2.0,
            max_features=0.1,
        ).fit(np.concatenate([usable, usable]), np.concatenate([targets[:, k] > 0, targets[:, k] >= 1]))
        unseen, _ = some_features(seed=5)
        expected = reference.decision_function(np.where(np.isfinite(usable).any(axis=0), unseen, 0))
        found = trees(torch.from_numpy(unseen))[:, k].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_trees_that_ask_whether_something_was_measurable_are_finite():
    features, targets = some_features()
    targets[:, 0] = np.isnan(features[:, 4])
    trees = BoostedTrees(3, 60)
    fit_boosted_trees(trees, features, targets, seed=0)
    assert all(bool(torch.isfinite(value).all()) for value in trees.state_dict().values())
    found = trees(torch.from_numpy(features))[:, 0].numpy()
    assert found[targets[:, 0] > 0].mean() > found[targets[:, 0] == 0].mean() + 2


def test_a_class_with_two_recordings_gets_its_share_and_nothing_else():
    features, targets = some_features()
    trees = BoostedTrees(3, 5)
    fit_boosted_trees(trees, features, targets, seed=0)
    rare = trees(torch.from_numpy(features))[:, 2].sigmoid().numpy()
    np.testing.assert_allclose(rare, 4.5 / 601, rtol=1e-5)


def test_what_counts_half_is_neither_likely_nor_unlikely():
    features, targets = some_features(missing=0)
    targets[:, 1] = np.where(targets[:, 1] > 0, 0.5, 0)
    trees = BoostedTrees(3, 60)
    fit_boosted_trees(trees, features, targets, seed=0)
    found = trees(torch.from_numpy(features))[:, 1].sigmoid().numpy()
    assert np.abs(found[targets[:, 1] > 0] - 0.5).mean() < 0.1
    assert found[targets[:, 1] == 0].mean() < 0.1


def test_a_feature_network_learns_what_two_features_say_together():
    features, targets = some_features(count=800, missing=0.02)
    network = FeatureNetwork(6, 3)
    fit_feature_network(network, features, targets, seed=1)
    unseen, wanted = some_features(seed=5, missing=0)
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy(unseen)).numpy()
    for k in (0, 1):
        assert roc_auc_score(wanted[:, k], found[:, k]) > 0.85


def test_a_feature_network_is_the_same_for_the_same_seed_and_leaves_the_generator_alone():
    features, targets = some_features(count=100)
    states = []
    for seed in (3, 3, 4):
        network, before = FeatureNetwork(6, 3), torch.random.get_rng_state()
        fit_feature_network(network, features, targets, seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        states.append(network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["layers.1.weight"], states[2]["layers.1.weight"])


@pytest.mark.parametrize("count", [1, 2, 63, 65])
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_feature_network_is_finite_for_any_features(count, data):
    values = st.floats(-(2.0**60), 2.0**60, width=32) | st.just(float("nan"))
    rows = [data.draw(st.lists(values, min_size=3, max_size=3)) for _ in range(min(count, 4))]
    features = np.resize(np.array(rows, dtype=np.float32), (count, 3))
    network = FeatureNetwork(3, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_network, "_EPOCHS", 8)  # the first steps are the largest
        fit_feature_network(network, features, np.ones((count, 2), dtype=np.float32), seed=0)
    with torch.inference_mode():
        assert bool(network.eval()(torch.from_numpy(features)).isfinite().all())


def test_what_was_never_missing_in_training_counts_as_usual_when_it_is():
    features, targets = some_features(missing=0)
    network = FeatureNetwork(6, 3)
    fit_feature_network(network, features, targets, seed=0)
    usual, missing = torch.from_numpy(features.copy()), torch.from_numpy(features.copy())
    usual[:, 1], missing[:, 1] = float(np.median(features[:, 1])), float("nan")
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(missing), network(usual))


def test_a_feature_network_sees_what_is_missing_and_not_the_units():
    features, targets = some_features(count=250)
    targets[:, 0] = np.isnan(features[:, 4])
    scaled = features * np.float32([1, 1024, 1 / 1024, 1, 64, 1])  # powers of two are scaled without rounding
    shifted = features * np.float32([1, 1000, 0.001, 1, 50, 1]) + np.float32([0, 7, 0, 1e4, 3, 0])
    found = []
    for given_features in (features, scaled, shifted):
        network = FeatureNetwork(6, 3)
        fit_feature_network(network, given_features, targets, seed=0)
        with torch.inference_mode():
            found.append(network.eval()(torch.from_numpy(given_features)).numpy())
    assert roc_auc_score(targets[:, 0], found[0][:, 0]) > 0.95
    np.testing.assert_array_equal(found[1], found[0])
    # Rounding grows over the epochs, on each processor in its own way.
    np.testing.assert_allclose(expit(found[2]), expit(found[0]), atol=0.1)


def test_the_network_is_trained_alone_and_classifies_with_what_looks_at_features():
    method = hybrid.hybrid(width=0.25)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = method.build_network()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 5 + len(FEATURES))).astype(np.float32)
    targets = (features[:, :24] > 0).astype(np.float32)
    for fit in hybrid.fit_beside_network(network, features, targets, 0, lambda: iter(()))[
        ::6
    ]:  # four classes' trees and the network
        fit()
    batch = Batch(
        torch.from_numpy(rng.normal(0, 0.3, (40, 12, 600)).astype(np.float32)),
        torch.full((40,), 600),
        torch.from_numpy(features),
    )
    network.eval()
    alone = network.network.eval()
    with torch.inference_mode():
        found = method.forward(network, batch).sigmoid()
        signal_alone = hybrid.hybrid(width=0.25, measurements=False).forward(alone, batch).sigmoid()
        trees_alone = network.trees(batch.features).sigmoid()
        features_alone = network.feature_network(batch.features).sigmoid()
    np.testing.assert_allclose(found, (signal_alone + trees_alone + features_alone) / 3, atol=1e-5)
    assert trees_alone.std() > 0.01 and features_alone.std() > 0.01
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.Dropout):
            module.eval()
    with torch.inference_mode():
        np.testing.assert_allclose(method.forward(network, batch).sigmoid(), signal_alone, atol=1e-5)


def test_a_size_that_is_missing_does_not_become_the_sign_of_low_voltage():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 5 + len(FEATURES))).astype(np.float32)
    low = np.arange(300) < 40
    sizes = [5 + FEATURES.index(name) for name in SIZES]
    features[np.ix_(low[:300] & (np.arange(300) < 30), sizes)] = np.nan  # so low that the gain is taken for wrong
    features[low, sizes[0]] -= 5
    targets = np.zeros((300, 24), dtype=np.float32)
    voltage = CLASSES.index("251146004")
    targets[low, voltage] = 1
    network = hybrid.hybrid(width=0.25).build_network().eval()
    fits = hybrid.fit_beside_network(network, features, targets, 0, lambda: iter(()))
    for fit in (fits[voltage], fits[-1]):
        fit()
    other = torch.from_numpy(features[100:].copy())
    other[:, sizes] = float("nan")
    with torch.inference_mode():
        assert network.trees(other).sigmoid()[:, voltage].max() < 0.5
        assert network.feature_network(other).sigmoid()[:, voltage].max() < 0.5
        known = torch.from_numpy(features[30:40])
        assert network.trees(known).sigmoid()[:, voltage].mean() > 0.5


def test_where_no_size_is_known_all_recordings_are_learned_from():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 5 + len(FEATURES))).astype(np.float32)
    features[:, [5 + FEATURES.index(name) for name in SIZES]] = np.nan
    targets = (features[:, :24] > 0).astype(np.float32)
    network = hybrid.hybrid(width=0.25).build_network().eval()
    hybrid.fit_beside_network(network, features, targets, 0, lambda: iter(()))[0]()
    with torch.inference_mode():
        assert roc_auc_score(targets[:, 0], network.trees(torch.from_numpy(features))[:, 0].numpy()) > 0.8


# --- Features


@pytest.mark.parametrize("diagnosis", ["NSR", "AF", "PVC", "LBBB", "PR"])
def test_features_are_the_measurements_and_finite_where_those_are(diagnosis):
    made = simulate_recording(3, 1, diagnosis)
    measured = measure(made.signal.astype(np.float32), made.sampling_frequency)
    found = dict(zip(FEATURES, features_of(measured), strict=True))
    assert len(found) == len(FEATURES)
    assert not np.isinf(list(found.values())).any()
    kinds = measured.beats.kinds
    for name, value in (
        ("heart_rate_bpm", measured.heart_rate_bpm),
        ("qrs_ms", measured.qrs_ms),
        ("V1_r_mv", measured.amplitudes.r[6]),
        ("ectopic_share", kinds.count("ectopic") / len(kinds)),
    ):
        assert found[name] == pytest.approx(value, abs=0.00051)
    if diagnosis == "PR":
        assert found["paced_share"] > 0.5


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["flat", "noise", "missing", "short", "huge"]), st.integers(0, 5))
def test_any_signal_has_features(kind, seed):
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 0.1, (12, 3000)).astype(np.float32)
    if kind == "flat":
        signal[:] = 0
    elif kind == "missing":
        signal[rng.integers(0, 12, 9)] = np.nan
    elif kind == "short":
        signal = signal[:, :1]
    elif kind == "huge":
        signal *= 1e30
    found = features_of(measure(signal, 500.0))
    assert found.shape == (len(FEATURES),)
    assert found.dtype == np.float32
    assert not np.isinf(found).any()


def test_the_last_bits_of_a_signal_decide_nothing():
    signals = [simulate_recording(3, k).signal.astype(np.float32) for k in range(1, 9)]
    found = np.stack([features_of(measure(signal, 500.0)) for signal in signals])
    nearly = np.stack([features_of(measure(signal * np.float32(1 + 1e-7), 500.0)) for signal in signals])
    np.testing.assert_array_equal(found, found.astype(np.float64).round(3).astype(np.float32))
    same = (found == nearly) | (np.isnan(found) & np.isnan(nearly))
    assert same.mean() > 0.99


def test_the_rhythm_does_not_depend_on_the_sampling_frequency():
    made = simulate_recording(0, 1, "PAC", 500.0)
    fast = measure(made.signal.astype(np.float32), 500.0)
    slow = measure(made.signal[:, ::2].astype(np.float32), 250.0)
    rows = [k for k, name in enumerate(FEATURES) if name.startswith(("rr_s", "rr_l", "rr_m", "longest", "shortest"))]
    np.testing.assert_allclose(features_of(fast)[rows], features_of(slow)[rows], atol=0.03)


# --- Targets and prior odds


def test_sinus_rhythm_counts_half_where_hospitals_differ_about_it():
    def target(dx, rate):
        time = np.arange(2570) / 257
        beat = np.exp(-0.5 * (((time - 0.3) % (60 / rate) - 0.1) / 0.015) ** 2)
        found = hybrid.make_targets(dx, np.tile(beat, (12, 1)).astype(np.float32))
        return float(found[CLASSES.index(NSR)])

    assert target((NSR,), 75) == 1
    assert target((NSR, SB), 75) == 0.5
    assert target((NSR, STACH), 75) == 0.5
    assert target((NSR,), 52) == 0.5
    assert target((NSR,), 115) == 0.5
    assert target((SB,), 52) == 0


def test_prior_odds_go_a_quarter_of_the_way_to_those_of_the_stated_prevalences():
    rng = np.random.default_rng(0)
    probabilities = np.tile(rng.uniform(0.05, 0.6, 24), (10, 1))  # all recordings alike: the mean is the probability
    thresholds = hybrid.thresholds_of_prevalence(probabilities > 1, probabilities, np.eye(24))
    wanted = np.array([row.prevalence for row in CHALLENGE_2020.rows])
    wanted = np.clip(wanted, hybrid.RAREST, hybrid.COMMONEST)
    expected = 0.75 * logit(probabilities[0]) + 0.25 * logit(wanted)
    np.testing.assert_allclose(logit(adjust_odds(probabilities, thresholds)[0]), expected)


@pytest.mark.parametrize("mean", [0.0, 0.001, 0.002, 0.3, 0.98, 0.99, 1.0])
def test_a_class_whose_prevalence_is_not_stated_keeps_its_odds_and_no_prior_lies_beyond_the_bounds(mean):
    stated = ["", "0", "0.1", "0.2", "30", "98", "99", "100"]
    some = Diagnoses("some", ("code,prevalence_percent", *(f"c{k},{each}" for k, each in enumerate(stated))))
    spread = 0.1 * min(mean, 1 - mean)
    probabilities = np.array([[mean - spread], [mean + spread]]) * np.ones(len(stated))
    found = hybrid.thresholds_of_prevalence(probabilities > 0.5, probabilities, np.eye(len(stated)), some)
    here = logit(min(max(mean, 0.002), 0.98))
    there = [here, *(logit(min(max(float(each) / 100, 0.002), 0.98)) for each in stated[1:])]
    np.testing.assert_allclose(found, [expit(0.25 * (here - each)) for each in there], rtol=1e-9)


def test_scores_are_the_moved_probabilities_of_all_members():
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(size=(3, 5, 24))
    thresholds = rng.uniform(0.2, 0.8, (3, 24))
    labels, scores = hybrid.average(probabilities > 2, probabilities, thresholds)
    moved = np.mean([adjust_odds(p, t) for p, t in zip(probabilities, thresholds, strict=True)], axis=0)
    np.testing.assert_allclose(scores, moved)
    assert labels.any(axis=1).all()


@pytest.mark.parametrize("measurements", [True, False])
def test_settings_rebuild_the_method(measurements):
    method = hybrid.hybrid(width=0.25, measurements=measurements)
    again = team_code.METHODS["hybrid"](**method.settings)
    shapes = {key: value.shape for key, value in method.build_network().state_dict().items()}
    assert shapes == {key: value.shape for key, value in again.build_network().state_dict().items()}


# --- What a recorder does to a signal


def features_with_age_and_sex(signal):
    return Examination(replace(SOMEBODY, signal=signal), hybrid.hybrid().input).features


@pytest.mark.parametrize("octaves", [-1.1, 0.0, 1.1])  # low, usual and high voltage, all plausible
@pytest.mark.parametrize("gain", [4.88, 1 / 4.88])
def test_features_where_the_gain_must_be_wrong_are_those_of_any_other_wrong_gain(gain, octaves):
    made = simulate_recording(0, 2, "NSR")
    signal = made.signal.astype(np.float32)
    of_signal = robust.limb_lead_octaves(robust.preprocess(signal, made.sampling_frequency))
    signal *= np.float32(2.0 ** (octaves - of_signal))
    wrong, more = (features_with_age_and_sex(signal * np.float32(f)) for f in (gain, gain**1.5))
    np.testing.assert_allclose(wrong, more, rtol=2e-3, atol=2e-3)
    names = ("age", "known", "female", "male", "sex", *FEATURES)
    assert all(np.isnan(wrong[names.index(name)]) for name in ("limb_qrs_mv", "chest_qrs_mv"))
    right = features_with_age_and_sex(signal)
    assert np.isfinite(right[names.index("limb_qrs_mv")])
    for name in ("heart_rate_bpm", "pr_ms", "qrs_ms", "qrs_axis_deg"):
        assert wrong[names.index(name)] == pytest.approx(right[names.index(name)], rel=0.02)


@pytest.mark.parametrize("mains", [50, 60])
def test_powerline_interference_hardly_changes_a_feature(mains):
    made = simulate_recording(0, 2, "NSR")
    signal = made.signal.astype(np.float32)
    hum = 0.1 * np.sin(2 * np.pi * mains * np.arange(signal.shape[1]) / 500).astype(np.float32)
    quiet, loud = features_with_age_and_sex(signal), features_with_age_and_sex(signal + hum)
    assert np.array_equal(np.isnan(quiet), np.isnan(loud))
    known = np.isfinite(quiet)
    assert np.isclose(quiet[known], loud[known], rtol=0.05, atol=0.02).mean() > 0.97


def test_the_notches_leave_the_rest_alone():
    time = np.arange(5000) / 500
    for frequency, left in ((10, 1.0), (45, 1.0), (50, 0.0), (60, 0.0), (70, 1.0)):
        sine = np.sin(2 * np.pi * frequency * time).astype(np.float32)[np.newaxis]
        middle = without_mains(sine, 500)[0, 1500:3500]
        assert np.abs(middle).max() == pytest.approx(left, abs=0.05), frequency
    slow = np.ones((2, 50), np.float32)
    np.testing.assert_allclose(without_mains(slow, 100), slow, atol=1e-4)  # neither fits below half the frequency


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_certain_probabilities_and_thresholds_at_an_end_are_a_millionth_away_from_it(end):
    near = abs(end - 1e-6)
    for one, other in (((0.3, end), (0.3, near)), ((end, 0.3), (near, 0.3)), ((end, end), (0.5, 0.5))):
        found, expected = (adjust_odds(np.array([p]), np.array([t])) for p, t in (one, other))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


# --- Training items


def test_training_items_are_crops_of_random_length_from_any_place():
    recording = np.tile(np.arange(1.0, 5001, dtype=np.float32), (12, 1))
    lengths, firsts, lasts = [], [], []
    for seed in range(200):
        item = hybrid.augment(recording, np.random.default_rng(seed))
        lengths.append(item.shape[1])
        lead = item[int(item.any(axis=1).argmax())].astype(np.float64)
        step = np.polyfit(np.arange(len(lead)), lead, 1)  # its gain and its start, whatever the noise
        firsts.append(step[1] / step[0])
        lasts.append(firsts[-1] + len(lead))
    assert 1280 <= min(lengths) < 1300 and 2600 < max(lengths) <= robust.TRAINING_WINDOW
    assert np.mean(lengths) == pytest.approx((1280 + 2624) / 2, abs=80)
    assert min(firsts) < 100 and max(lasts) > 4900
    assert hybrid.augment(recording[:, :900], np.random.default_rng(0)).shape == (12, 900)
    assert hybrid.augment(recording[:, :50], np.random.default_rng(0)).shape == (12, robust.SHORTEST)
    assert (recording == np.arange(1.0, 5001)).all()


def test_half_of_the_training_items_have_other_gains_of_their_leads():
    recording = np.ones((12, 2624), dtype=np.float32)
    recording[:, ::2] = -1
    spreads = []
    for seed in range(400):
        item = hybrid.augment(recording, np.random.default_rng(seed))
        sizes = np.abs(item[item.any(axis=1)]).mean(axis=1)
        spreads.append(np.log(sizes).std())
    spreads = np.array(spreads)
    changed = spreads > 0.02
    assert changed.mean() == pytest.approx(0.5, abs=0.08)
    assert spreads[changed].mean() == pytest.approx(0.15, abs=0.02)


def test_noise_is_in_some_training_items_and_never_in_a_lead_that_is_off():
    time = np.arange(2624) / 257
    recording = np.tile(np.sin(2 * np.pi * time), (12, 1)).astype(np.float32)
    recording[4] = 0
    noises = []
    for seed in range(400):
        item = hybrid.augment(recording, np.random.default_rng(seed))
        assert not item[4].any()
        off = ~item.any(axis=1)
        assert not item[off].any()
        lead = item[~off][0]
        noises.append(np.diff(lead, 2).std() / np.sqrt(6) / item.std())
    noises = np.array(noises)
    noisy = noises > 0.003
    assert noisy.mean() == pytest.approx(0.3, abs=0.08)
    assert 0.1 < noises.max() < 0.16
    assert noises[noisy].mean() == pytest.approx(0.075, abs=0.02)
