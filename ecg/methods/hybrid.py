"""The default method: networks on the signal beside trees and networks on measurements.

What goes into the networks is that of `robust`. Where the differences come from is in docs/history/experiments.md.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor, nn

from ecg.arrays import Bools, Floats, Floats32
from ecg.decisions.calibration import log_odds
from ecg.decisions.conventions import COMMONEST, RAREST, Convention
from ecg.decisions.expected_score import highest_expected_score, mean_of_moved
from ecg.examination.examine import Examination
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import LEADS
from ecg.measurements.features import FEATURES, SIZES, features_of
from ecg.measurements.heart_rate import heart_rate
from ecg.measurements.measure import measure_for_classifier
from ecg.methods import robust
from ecg.methods.base import Batch, Method, Signals, demographic_features
from ecg.networks.boosted_trees import BoostedTrees
from ecg.networks.feature_network import FeatureNetwork, fit_feature_network
from ecg.networks.random_convolutions import RandomConvolutions, fit_random_convolutions
from ecg.networks.se_resnet import SEResNet
from ecg.networks.tree_fitting import fit_trees_of_class

N_DEMOGRAPHICS = 5
N_TREES = 100  # of each class
# Sinus rhythm is written beside these in PTB-XL, and hardly ever in other databases.
NOT_BESIDE_SINUS_RHYTHM = ("426177001", "427084000", "427393009", "284470004")  # SB, STach, SA, PAC
NORMAL_RATES = (60.0, 100.0)  # beats per minute
# Of the way from the training data's prior log-odds to those of the set's prevalences: the mean of the shares that a
# class has of PTB-XL (21,837 recordings) and of Georgia (10,344; Perez Alday et al. 2020, published counts), large
# databases of everyday recordings, with conventions far apart.
PRIOR_SHIFT = 0.25
# Around the typical amplitude: half of the 2.3 octaves by which headers of Georgia's recordings were wrong (4880 per mV
# for 1000). So an amplitude can't look plausible with both gains. All but 3 % of PTB-XL.
PLAUSIBLE_OCTAVES = 0.5 * math.log2(4.88)
_IN_MV = np.array([k for k, name in enumerate(FEATURES) if name.endswith("_mv")])
_TOO_SMALL = np.float32(2.0**-6)  # six octaves, so that no gain of training makes it plausible
# What has a place for each class, the trees' buffers so many for each.
_BY_CLASS = ("network.fc.", "trees.", "feature_network.layers.9.", "convolutions.weight", "convolutions.bias")


class SignalAndMeasurements(nn.Module):
    """A network on the signal, trees and a network on features; in evaluation the mean of their probabilities.

    In training mode it is the network on the signal alone: the others are fitted before, each by itself.

    `of_log_odds`: whether the mean is that of the log-odds. `convolutions`: whether random convolutions of the signal
    have a part in it too.
    """

    def __init__(
        self, width: float, n_classes: int = 24, of_log_odds: bool = False, convolutions: bool = False
    ) -> None:
        super().__init__()
        self.of_log_odds = of_log_odds
        self.network = SEResNet(n_classes=n_classes, n_features=N_DEMOGRAPHICS + 3, width=width)
        self.trees = BoostedTrees(n_classes, N_TREES)
        self.feature_network = FeatureNetwork(N_DEMOGRAPHICS + len(FEATURES), n_classes)
        self.convolutions = RandomConvolutions(len(LEADS), n_classes) if convolutions else None

    def forward(self, signal: Tensor, beside: Tensor, lengths: Tensor, features: Tensor) -> Tensor:
        """Logits, (n_items, n_classes).

        `signal`, (n_items, 12, n_samples), float32: standardised. `beside`, (n_items, 8), float32: age and sex, and the
        amplitudes. `lengths`: (n_items,), int64. `features`, (n_items, n_features), float32: age and sex, and the
        measurements.
        """
        logits: Tensor = self.network(signal, beside, lengths)
        if self.training:
            return logits
        of_parts = [logits.float(), self.trees(features), self.feature_network(features).float()]
        if self.convolutions is not None:
            of_parts.append(self.convolutions(signal, lengths).float())
        each = torch.stack(of_parts)
        return each.mean(dim=0) if self.of_log_odds else torch.logit(each.sigmoid().mean(dim=0), eps=1e-6)


# Chosen on folds 7 and 8 of PTB-XL, see docs/history/experiments.md.
EPOCHS, MIXING = 40, 0.4
STAGE = replace(robust.ONE_CYCLE_STAGE, epochs=EPOCHS, make_loss=robust.fit_cross_entropy)
_SHORTEST_CROP = 1280  # samples, 5 s; the longest is that of `robust`
_GAIN_SPREAD, _GAIN_SHARE = 0.15, 0.5  # standard deviation of the log of each lead's gain, and of how many items
_NOISE, _NOISE_SHARE = 0.15, 0.3  # the most noise, in standard deviations of the item, and of how many


def augment(recording: Floats32, rng: np.random.Generator) -> Floats32:
    """A training item: as of `robust`, but a crop of random length, often with other gains of its leads, and noise.

    `recording`: (12, n_samples), float32, mV. Returns (12, n <= 2624), float32, mV.
    """
    length = int(rng.integers(_SHORTEST_CROP, robust.TRAINING_WINDOW + 1))
    start = int(rng.integers(0, max(recording.shape[1] - length, 0) + 1))
    item = robust.augment(recording[:, start : start + length], rng)
    if rng.random() < _GAIN_SHARE:
        item *= np.exp(rng.normal(0, _GAIN_SPREAD, (len(item), 1))).astype(np.float32)
    if rng.random() < _NOISE_SHARE:
        noise = item.std() * np.float32(rng.uniform(0, _NOISE)) * rng.standard_normal(item.shape, np.float32)
        item += noise * item.any(axis=1, keepdims=True)  # a lead that is off stays so
    return item


def measured_features(examination: Examination) -> Floats32:
    """Age and sex, and then the measurements, float32 (5 + n,), for `Input.features`; NaN where not measurable.

    What a hospital's recorder does to a signal must not decide: where the amplitude is so unlikely that the header's
    gain must be wrong, the signal is brought to the typical amplitude and its size is missing.
    """
    recording, octaves = examination.recording, robust.limb_lead_octaves(examination.prepared)
    is_plausible = abs(octaves) <= PLAUSIBLE_OCTAVES or not np.isfinite(octaves)
    if is_plausible and examination.is_measured:
        values = features_of(examination.measurements)
    else:
        signal = recording.signal if is_plausible else recording.signal * np.float32(2.0**-octaves)
        values = features_of(measure_for_classifier(signal, recording.sampling_frequency))
    if not is_plausible:
        values[[FEATURES.index(name) for name in SIZES]] = np.nan
    return np.concatenate([demographic_features(examination), values])


def forward(network: nn.Module, batch: Batch, measurements: bool = True, averaged: int = 1) -> Tensor:
    """Logits, (n_items, n_classes), of a network, with what looks at features where `measurements` is true."""
    signal, amplitudes = robust.standardise(batch.signal, batch.lengths)
    beside = torch.cat([batch.features[:, :N_DEMOGRAPHICS], amplitudes], dim=1)
    more = (batch.features,) if measurements else ()
    logits: Tensor = network(_means(signal, averaged), beside, batch.lengths // averaged, *more)
    return logits


def _means(signal: Tensor, n: int) -> Tensor:
    """Means of each `n` neighbouring samples, as `avg_pool1d` gives them in ten times as long on a CPU."""
    whole = signal.shape[2] // n * n
    return sum((signal[..., k:whole:n] for k in range(1, n)), signal[..., :whole:n]) / n


def fit_beside_network(
    network: nn.Module, features: Floats32, targets: Floats32, seed: int, signals: Signals, averaged: int = 1
) -> list[Callable[[], None]]:
    """What fits the parts of a `SignalAndMeasurements` beside its network, for `Training.prepare`.

    To measurements, recordings of an amplitude that is taken for a wrong gain are left out, unless all are: most have
    low QRS voltage, and a size that is missing, as behind every wrong gain, would be learned as the sign of it. Where
    all amplitudes are missing the size is not known, and such recordings take part.
    """
    assert isinstance(network, SignalAndMeasurements)
    _, measured = np.split(features, [N_DEMOGRAPHICS], axis=1)
    usable = np.isfinite(measured[:, FEATURES.index(SIZES[0])]) | ~np.isfinite(measured[:, _IN_MV]).any(axis=1)
    usable |= not usable.any()
    given = features[usable], targets[usable], seed
    of_classes = [partial(fit_trees_of_class, network.trees, k, *given) for k in range(targets.shape[1])]
    fits: list[Callable[[], None]] = [*of_classes, partial(fit_feature_network, network.feature_network, *given)]
    if network.convolutions is not None:
        standardised = partial(_standardised, signals, averaged)
        fits.append(partial(fit_random_convolutions, network.convolutions, standardised, targets, seed))
    return fits


def _standardised(signals: Signals, averaged: int) -> Iterator[Tensor]:
    """The first window of each recording as the network takes it, (1, 12, n_samples)."""
    for recording in signals():
        window = torch.from_numpy(robust.cut_windows(recording)[0].copy())[None]  # what is mapped can't be written
        signal, _ = robust.standardise(window, torch.tensor([window.shape[2]]))
        yield _means(signal, averaged)


def make_targets(codes: tuple[str, ...], recording: Floats32, diagnoses: Diagnoses = CHALLENGE_2020) -> Floats32:
    """Training targets as those of `robust`, sinus rhythm counting half where hospitals differ about it.

    `codes`: of the recording. `recording`: (12, n_samples), float32, mV at 257 Hz. Returns (n_classes,), float32.
    """
    targets = robust.make_targets(codes, recording, diagnoses)
    normal = diagnoses.column_of.get(robust.SINUS_RHYTHM)
    if normal is not None and targets[normal] > 0:
        slowest, fastest = NORMAL_RATES
        rate = heart_rate(recording, robust.SAMPLING_FREQUENCY)
        if rate < slowest or rate > fastest or any(code in codes for code in NOT_BESIDE_SINUS_RHYTHM):
            targets[normal] = 0.5
    return targets


def without_size(signal: Floats32, features: Floats32) -> tuple[Floats32, Floats32]:
    """For `Training.without_size`: a signal that no network takes for the true size, and no amplitude measured."""
    missing = features.copy()
    missing[N_DEMOGRAPHICS + _IN_MV] = np.nan
    return signal * _TOO_SMALL, missing


def select_classes(state: Mapping[str, Tensor], columns: Sequence[int]) -> dict[str, Tensor]:
    """For `Training.select_classes`, of a `SignalAndMeasurements`."""
    n_classes, wanted = len(state["trees.baseline"]), torch.as_tensor(columns)

    def of_wanted(value: Tensor) -> Tensor:
        return value.reshape(n_classes, -1, *value.shape[1:])[wanted].flatten(0, 1)

    return {key: of_wanted(value) if key.startswith(_BY_CLASS) else value for key, value in state.items()}


def thresholds_of_prevalence(
    labels: Bools, probabilities: Floats, weights: Floats | None, diagnoses: Diagnoses = CHALLENGE_2020
) -> Floats:
    """Thresholds, (n_classes,), that move probabilities part of the way to the prior odds of the set's prevalences.

    The odds of a class change by the ratio of its prior odds (Bayes' rule; Saerens et al. 2002, eq. 4). What a class
    has in training is taken from the mean of its probabilities on the validation recordings, as rare classes need.
    """
    here = np.clip(probabilities.mean(axis=0), RAREST, COMMONEST)
    known = [row.prevalence for row in diagnoses.rows]
    there = np.where(np.isnan(known), here, np.clip(known, RAREST, COMMONEST))
    moved: Floats = expit(PRIOR_SHIFT * (logit(here) - logit(there)))
    return moved


def average(
    labels: Bools, probabilities: Floats, thresholds: Floats, weights: Floats | None = CHALLENGE_2020.weights
) -> tuple[Bools, Floats]:
    """As `robust.average`, but the scores are the probabilities that decide: moved to the stated prevalences."""
    moved = mean_of_moved(probabilities, thresholds)
    return highest_expected_score(moved, weights), moved


def by_convention(
    probabilities: Floats, thresholds: Floats, features: Floats32, convention: Convention
) -> tuple[Bools, Floats]:
    """Labels and scores of one recording as hospitals of a convention give them, for `Decision.by_convention`."""
    there = np.clip([row.prevalence for row in CHALLENGE_2020.rows], RAREST, COMMONEST)
    priors = expit(log_odds(there) + log_odds(thresholds) / PRIOR_SHIFT)  # undoes `thresholds_of_prevalence`
    measured = dict(zip(FEATURES, features[N_DEMOGRAPHICS:].tolist(), strict=False))  # none of the network alone
    weights = CHALLENGE_2020.weights
    assert weights is not None
    return convention.decide(probabilities, priors, measured, weights)


def signal_part(
    width: float, averaged: int, diagnoses: Diagnoses, networks: Sequence[nn.Module]
) -> tuple[Method, list[nn.Module]]:
    """What looks at the signal alone, for `Method.signal_part`."""
    parts: list[nn.Module] = [network.network for network in networks if isinstance(network, SignalAndMeasurements)]
    return hybrid(width, False, averaged, diagnoses=diagnoses), parts


def hybrid(
    width: float = 0.4375,
    measurements: bool = True,
    averaged: int = 2,
    convolutions: bool = False,
    diagnoses: Diagnoses = CHALLENGE_2020,
) -> Method:
    """The default method: networks on the signal, each with trees and a network on measurements beside it.

    `width`: channels of the networks, relative to the published SE-ResNet. `measurements`: false for the network alone,
    which needs nothing but the signal, age and sex: what a distilled model is. `averaged`: neighbouring samples of the
    signal whose mean is one for the network: with 2 it takes half of the time. `convolutions`: random convolutions of
    the signal beside the rest, for sets without reward weights; with them the Challenge's metric gains nothing.
    `diagnoses`: without reward weights thresholds are those of the highest F1 on the validation recordings, and the
    parts' log-odds are averaged, which ranks better; the expected score is higher with their probabilities. Raises
    ValueError if a setting is out of range.
    """
    if averaged < 1:
        raise ValueError(f"averaged {averaged}: expected a whole number from 1 up")
    base, weights, n_classes = robust.robust(diagnoses), diagnoses.weights, len(diagnoses.classes)
    convolutions = convolutions and measurements and weights is None
    network: Callable[[], nn.Module]
    if measurements:
        network = partial(SignalAndMeasurements, width, n_classes, weights is None, convolutions)
    else:
        network = partial(SEResNet, n_classes=n_classes, n_features=8, width=width)
    decision = base.decision
    if weights is not None:
        search = partial(thresholds_of_prevalence, diagnoses=diagnoses)
        combine = partial(average, weights=weights)
        decision = replace(decision, search_thresholds=search, combine=combine, moves_scores=True)
    if diagnoses == CHALLENGE_2020:  # conventions are known of its classes
        decision = replace(decision, by_convention=by_convention)
    return replace(
        base,
        signal_part=partial(signal_part, width, averaged, diagnoses) if measurements else None,
        name="hybrid",
        settings={
            "width": width,
            "measurements": measurements,
            "averaged": averaged,
            "convolutions": convolutions,
        },
        build_network=network,
        forward=partial(forward, measurements=measurements, averaged=averaged),
        input=replace(base.input, features=measured_features) if measurements else base.input,
        training=replace(
            base.training,
            n_members=3,
            stages=(STAGE,),
            augment=augment,
            mixing=MIXING,
            make_targets=partial(make_targets, diagnoses=diagnoses),
            prepare=partial(fit_beside_network, averaged=averaged) if measurements else None,
            without_size=without_size if measurements else None,
            select_classes=select_classes if measurements else None,
        ),
        decision=decision,
    )
