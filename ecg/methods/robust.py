"""The method `robust`: the SE-ResNet of Zhao et al. on inputs that vary less between hospitals.

The signal does not depend on gain, offset, baseline or powerline interference, and no threshold is fitted to how often
diagnoses occur in one hospital. Where this comes from is in docs/history/experiments.md.
"""

import math
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn, optim

from ecg.arrays import Bools, Floats, Floats32
from ecg.decisions.expected_score import adjust_odds, highest_expected_score, mean_of_moved
from ecg.decisions.thresholds import f1_thresholds
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import fill_missing, through_independent
from ecg.measurements.heart_rate import heart_rate
from ecg.methods import base
from ecg.networks import losses
from ecg.networks.masking import position_mask
from ecg.networks.se_resnet import SEResNet
from ecg.signal.filtering import band_pass
from ecg.signal.resampling import resample
from ecg.signal.windows import even_windows, pad_right

SAMPLING_FREQUENCY = 257.0  # Hz, as Zhao et al.
BAND = (1.0, 45.0)  # Hz: no baseline wander, no powerline interference
SHORTEST = 128  # samples
WINDOW = 4096  # samples, 15.94 s: the longest input at prediction
MIN_OVERLAP = 256  # samples between neighbouring windows
LARGEST = 20.0  # standard deviations: a spike is cut there
TRAINING_WINDOW = 2624  # samples, 10.2 s: nearly all recordings are whole in it, and cost 0.64 of 4096
TYPICAL_LIMB_LEAD = 0.108  # mV, median over PTB-XL of the limb leads' median standard deviation after the filter
PLAUSIBLE_OCTAVES = 1.5  # around it: all but 1 % of PTB-XL; a gain that is wrong by 4.88 is 2.3 octaves off
LEAD_OFF = 0.05  # probability of each lead in training
# Without two the challenge metric is lower by 0.025, without three by 0.049 (docs/diagnoses.md); training takes two or
# more off 12 % of its items.
MISSING_LEADS = 2
UNSCORED = {"164884008": "427172004"}  # premature ventricular complexes: the score ignores one code of the two
SINUS_RHYTHM, SINUS_BRADYCARDIA = "426783006", "426177001"
SLOW = 60.0  # beats per minute: below it most hospitals call sinus rhythm bradycardia, by convention


def preprocess(recording: Floats32, sampling_frequency: float) -> Floats32:
    """A recording without baseline wander and powerline interference: mV at 257 Hz, 1 to 45 Hz.

    `recording`, (12, n_samples), float32, mV: NaN where missing. `sampling_frequency`: Hz. Returns (12, n), float32, mV
    at 257 Hz: finite.
    """

    def filtered(leads: Floats32) -> Floats32:
        return band_pass(resample(leads, sampling_frequency, SAMPLING_FREQUENCY), *BAND, SAMPLING_FREQUENCY)

    return through_independent(fill_missing(recording), filtered)


def make_targets(codes: tuple[str, ...], recording: Floats32, diagnoses: Diagnoses = CHALLENGE_2020) -> Floats32:
    """Training targets that several hospitals' conventions share, float32 (n_classes,).

    Premature ventricular complexes count under either of their codes. Sinus rhythm below 60 beats per minute is called
    bradycardia by convention, but PTB-XL does so below 50 only: the target is one half.

    `codes`: of the recording. `recording`: (12, n_samples), float32, mV at 257 Hz. `diagnoses`: what is said of a
    SNOMED CT code holds for the sets that have it.
    """
    columns = diagnoses.column_of
    known = (code if code in columns else UNSCORED.get(code, code) for code in codes)
    targets = base.as_scored(tuple(known), recording, diagnoses)
    normal, bradycardia = columns.get(SINUS_RHYTHM), columns.get(SINUS_BRADYCARDIA)
    if normal is not None and bradycardia is not None and targets[normal] > 0:
        slow = heart_rate(recording, SAMPLING_FREQUENCY) < SLOW
        targets[bradycardia] = max(targets[bradycardia], 0.5 * slow)
    return targets


def augment(recording: Floats32, rng: np.random.Generator) -> Floats32:
    """A training item: a random crop of a long recording, some leads off, sometimes at a gain that is wrong.

    `recording`: (12, n_samples), float32, mV. Returns (12, n <= 2624), float32, mV.
    """
    start = int(rng.integers(0, max(recording.shape[1] - TRAINING_WINDOW, 0) + 1))
    item = recording[:, start : start + TRAINING_WINDOW].copy()
    if rng.random() < 0.3:
        item *= np.float32(10 ** rng.uniform(-1, 1))
    item[rng.random(12) < LEAD_OFF] = 0
    return pad_right(item, SHORTEST)


def cut_windows(recording: Floats32) -> list[Floats32]:
    """Windows for prediction: evenly spread over a long recording, a short one as it is.

    From (12, n_samples), float32, to a list of (12, n <= 4096), float32.
    """
    padded = pad_right(recording, SHORTEST)
    return [padded[:, window] for window in even_windows(padded.shape[1], WINDOW, MIN_OVERLAP)]


def standardise(signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Each lead with mean 0 and standard deviation 1 over its own samples, and the removed amplitude.

    `signal`, (n_items, 12, n_samples), float32, mV: zero-padded on the right. `lengths`: (n_items,), int64. Returns
    `standardised`, (n_items, 12, n_samples), float32: padding is zero again. A lead that is off stays at about zero;
    `amplitudes`, (n_items, 3), float32: octaves between the limb leads and their typical amplitude, the same of the
    chest leads, and 1; three zeros where the limb leads' amplitude is so unlikely that the header's gain must be wrong.
    """
    inside = position_mask(lengths, signal.shape[2])
    count = lengths[:, None, None]
    centred = (signal - signal.sum(dim=2, keepdim=True) / count) * inside
    deviation = (centred.square().sum(dim=2, keepdim=True) / count).sqrt()  # (B, 12, 1), mV
    # A lead at a twentieth of the others shows noise, which must not be blown up.
    floor = deviation.quantile(0.75, dim=1, keepdim=True) / 20
    standardised = (centred / deviation.maximum(floor).clamp(min=1e-6)).clamp(-LARGEST, LARGEST)
    # The median, of six the lower of the two middle ones; by sorting, as ONNX has no operator for it.
    octaves = deviation.reshape(-1, 2, 6).sort(dim=2).values[:, :, 2]  # (B, 2): limb leads, chest leads
    octaves = (octaves / TYPICAL_LIMB_LEAD).clamp(min=1e-6).log2()
    plausible = (octaves[:, :1].abs() <= PLAUSIBLE_OCTAVES).float()
    return standardised, torch.cat([octaves.clamp(-4, 4), torch.ones_like(plausible)], dim=1) * plausible


def limb_lead_octaves(recording: Floats32) -> float:
    """Octaves between the limb leads and their typical amplitude, as in `standardise`; -inf without a signal.

    `recording`, (6 or more, n_samples), float32, mV at 257 Hz: preprocessed; the limb leads come first, the others have
    no part in it.
    """
    middle = np.sort(recording[:6].std(axis=1))[2]
    return float(np.log2(middle / TYPICAL_LIMB_LEAD)) if middle > 0 else -math.inf


def forward(network: nn.Module, batch: base.Batch) -> Tensor:
    """Logits, (n_items, n_classes), from the standardised signal and, beside age and sex, its amplitudes."""
    signal, amplitudes = standardise(batch.signal, batch.lengths)
    logits: Tensor = network(signal, torch.cat([batch.features, amplitudes], dim=1), batch.lengths)
    return logits


def _one_cycle(progress: float) -> float:
    """Up to the full rate over a quarter of the stage, then down along a cosine (Smith & Topin 2019)."""
    if progress < 0.25:
        return 0.04 + 0.96 * progress / 0.25
    return 0.5 * (1 + math.cos(math.pi * (progress - 0.25) / 0.75))


def _adamw(parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    return optim.AdamW(parameters, lr=2e-3, weight_decay=1e-2)


def fit_cross_entropy(labels: Bools, weights: Floats | None) -> base.Loss:
    """Binary cross-entropy, for `Stage.make_loss`."""
    return losses.binary_cross_entropy


def _fit_cross_entropy_with_challenge_metric(labels: Bools, weights: Floats | None) -> base.Loss:
    if weights is None:
        return losses.binary_cross_entropy
    rewards = torch.from_numpy(weights.astype(np.float32))

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return losses.cross_entropy_with_challenge_metric(logits, targets, rewards.to(logits.device), 0.25)

    return loss


ONE_CYCLE_STAGE = base.Stage(
    "one-cycle", 16, _fit_cross_entropy_with_challenge_metric, _adamw, _one_cycle, select="last"
)


def decide(probabilities: Floats, thresholds: Floats, weights: Floats | None = CHALLENGE_2020.weights) -> Bools:
    """The labels of highest expected score where a probability at its threshold counts as one half."""
    return highest_expected_score(adjust_odds(probabilities, thresholds), weights)


def fixed_half(labels: Bools, probabilities: Floats, weights: Floats | None) -> Floats:
    """One half for every class, (n_classes,), whatever the validation recordings are.

    Every search that was tried, of 24 thresholds or of one, follows how often diagnoses occur where the validation
    recordings are from: better there, worse elsewhere (docs/history/experiments.md).
    """
    return np.full(labels.shape[1], 0.5)


def average(
    labels: Bools, probabilities: Floats, thresholds: Floats, weights: Floats | None = CHALLENGE_2020.weights
) -> tuple[Bools, Floats]:
    """One decision from the mean of the members' probabilities.

    `labels`, (n_members, n_recordings, n_classes), bool, are not used: probabilities are averaged, not votes.
    `probabilities`: (n_members, n_recordings, n_classes), float64. `thresholds`, (n_members, n_classes), float64: each
    member's are taken into account before the mean. `weights`, (n_classes, n_classes), float64, are reward weights;
    without them a class is given from one half up. Returns labels, and mean probabilities as the networks gave them.
    """
    moved = mean_of_moved(probabilities, thresholds)
    return highest_expected_score(moved, weights), probabilities.mean(axis=0)


def robust(diagnoses: Diagnoses = CHALLENGE_2020) -> base.Method:
    """The method `robust`: inputs that do not depend on gain, offset, baseline wander and powerline interference."""
    weights = diagnoses.weights
    return base.Method(
        name="robust",
        settings={},
        diagnoses=diagnoses,
        build_network=partial(SEResNet, n_classes=len(diagnoses.classes), n_features=8),
        forward=forward,
        input=base.Input(
            SAMPLING_FREQUENCY, WINDOW, "mV, 1 to 45 Hz", preprocess, base.demographic_features, cut_windows, band=BAND
        ),
        training=base.Training(
            n_folds=10,
            n_members=2,
            batch_size=64,
            stages=(ONE_CYCLE_STAGE,),
            make_targets=partial(make_targets, diagnoses=diagnoses),
            use_for_training=base.has_scored_class,
            augment=augment,
            missing_leads=MISSING_LEADS,
            # The simulator's labels are those of the Challenge 2020: of other sets they say nothing.
            simulated_share=0.3 if set(CHALLENGE_2020.column_of) <= set(diagnoses.column_of) else 0.0,
        ),
        decision=base.Decision(
            merge=base.mean_of_windows,
            search_thresholds=f1_thresholds if weights is None else fixed_half,
            decide=partial(decide, weights=weights),
            combine=partial(average, weights=weights),
        ),
    )
