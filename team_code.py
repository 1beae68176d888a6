"""The entry: the system of Zhao et al. (Computing in Cardiology 2020, paper 112), the registry of methods, and the
hooks that the Challenge calls.

    python train_model.py data model
    python driver.py model input output

In this order: constants, preprocessing, thresholds and voting, the method, the registry, the hooks. Where the published
code is wrong it is corrected here, with a comment "Corrected:" and the reason. "Not in the paper:" marks steps of the
published code or our own. Both lists are in docs/methods.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from ecg.decisions.thresholds import coordinate_ascent, f1_thresholds, shared_threshold
from ecg.examination.examine import Examination
from ecg.inference import predict
from ecg.io.header import parse_header
from ecg.io.recording import Recording, to_millivolts
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses
from ecg.leads import LEADS, fill_missing
from ecg.methods import registry
from ecg.methods.base import (
    Batch,
    Decision,
    Input,
    Loss,
    Method,
    MethodBuilder,
    Stage,
    Training,
    as_scored,
    demographic_features,
    has_scored_class,
    mean_of_windows,
)
from ecg.methods.butteam import CHALLENGE_STAGE
from ecg.methods.reduced_leads import check_leads
from ecg.model_folder import folder
from ecg.model_folder.model import Model
from ecg.networks import losses
from ecg.networks.se_resnet import SEResNet
from ecg.runtime.device import pick_device
from ecg.scoring.challenge import compute_challenge_metric
from ecg.signal.resampling import resample
from ecg.signal.windows import even_windows, pad_right

SAMPLING_FREQUENCY = 257.0  # Hz, the lowest among the Challenge's databases (paper, section 2.1)
WINDOW = 4096  # samples, 15.94 s
MIN_OVERLAP = 256  # samples between neighbouring windows at prediction
MICROVOLTS_PER_MILLIVOLT = 1000.0
CLASSES = CHALLENGE_2020.classes


# --- Preprocessing ------------------------------------------------------------------------------------------------


def preprocess(recording: NDArray[np.float32], sampling_frequency: float) -> NDArray[np.float32]:
    """A recording as the network takes it: microvolts at 257 Hz.

    Parameters
    ----------
    recording : ndarray, shape (12, n_samples), float32, mV
        NaN where missing.
    sampling_frequency : float
        Hz.

    Returns
    -------
    ndarray, shape (12, n), float32, uV at 257 Hz
        Finite.
    """
    # Corrected: the published code feeds ADC integers whatever the header's gain says. Every database it was trained
    # on has 1000 ADC units per mV, so microvolts are the same numbers there and the right ones elsewhere.
    # Corrected: it interpolates linearly on a grid with the wrong step, N/(N-1)/fs, and without an anti-alias filter:
    # a 200 Hz tone came through at 0.63 of its size. Here the grid starts at 0 with step 1/fs, behind a filter.
    resampled = resample(fill_missing(recording), sampling_frequency, SAMPLING_FREQUENCY)
    return resampled * np.float32(MICROVOLTS_PER_MILLIVOLT)


def crop_or_pad(recording: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A training window: a random crop of a long recording, a random place for a short one (paper, section 2.1).

    Parameters
    ----------
    recording : ndarray, shape (12, n_samples), float32
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (12, 4096), float32
    """
    n_samples = recording.shape[1]
    if n_samples >= WINDOW:
        start = int(rng.integers(0, n_samples - WINDOW + 1))
        return recording[:, start : start + WINDOW]
    left = int(rng.integers(0, WINDOW - n_samples + 1))
    return np.pad(recording, ((0, 0), (left, WINDOW - n_samples - left)))


def cut_windows(recording: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Windows for prediction: evenly spread over a long recording, a short one padded on the right.

    Parameters
    ----------
    recording : ndarray, shape (12, n_samples), float32

    Returns
    -------
    list of ndarray, each of shape (12, 4096), float32
    """
    # Corrected: the published code's first "window" is the whole recording, which its pooling layer silently accepts.
    # Not in the paper: the even spread, which is the published code's; the paper has an overlap of 256 samples and only
    # the last one adaptive.
    padded = pad_right(recording, WINDOW)
    return [padded[:, window] for window in even_windows(padded.shape[1], WINDOW, MIN_OVERLAP)]


# --- The network --------------------------------------------------------------------------------------------------


def _forward(network: nn.Module, batch: Batch) -> Tensor:
    logits: Tensor = network(batch.signal, batch.features)
    return logits


# --- Thresholds and voting ----------------------------------------------------------------------------------------


def decide(probabilities: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Classes at or above their threshold, and always the most probable one.

    Parameters
    ----------
    probabilities : ndarray, shape (n_recordings, n_classes), float64
    thresholds : ndarray, shape (n_classes,), float64

    Returns
    -------
    ndarray, shape (n_recordings, n_classes), bool
    """
    outputs = probabilities >= thresholds
    # Not in the paper: the published code's. On a labelled recording any label earns more than none.
    outputs[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return outputs


def constrained_grid_search(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    weights: NDArray[np.float64],
    diagnoses: Diagnoses = CHALLENGE_2020,
) -> NDArray[np.float64]:
    """Thresholds that maximise the challenge metric (paper, section 2.4).

    First one threshold for all classes on a grid of 0.1, then one pass over the classes in steps of 0.01 with the
    others fixed.

    Parameters
    ----------
    labels : ndarray, shape (n_recordings, n_classes), bool
    probabilities : ndarray, shape (n_recordings, n_classes), float64
    weights : ndarray, shape (n_classes, n_classes), float64
        Of the challenge metric.
    diagnoses : Diagnoses, optional
        The set whose classes are the columns.

    Returns
    -------
    ndarray, shape (n_classes,), float64
    """

    def score(labels: NDArray[np.bool_], outputs: NDArray[np.bool_]) -> float:
        return compute_challenge_metric(weights, labels, outputs, diagnoses.classes, str(diagnoses.normal))

    shared, _ = shared_threshold(labels, probabilities, score, decide, np.arange(11) / 10)
    start = np.full(labels.shape[1], shared)
    return coordinate_ascent(labels, probabilities, weights, decide, start, candidates=np.arange(101) / 100)


def vote(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels that at least half of the members give, and always the one with most votes; scores by their mean.

    Parameters
    ----------
    labels : ndarray, shape (n_members, n_recordings, n_classes), bool
    probabilities : ndarray, shape (n_members, n_recordings, n_classes), float64
    thresholds : ndarray, shape (n_members, n_classes), float64
        Have played their part in `labels`.

    Returns
    -------
    tuple of ndarray, shapes (n_recordings, n_classes)
    """
    share, scores = labels.mean(axis=0), probabilities.mean(axis=0)
    combined = share >= 0.5
    # Equal votes go to the more probable class; scores stay below 1, votes are whole.
    most = (labels.sum(axis=0) + scores / 2).argmax(axis=1)
    combined[np.arange(len(combined)), most] = True
    return combined, scores


# --- The method ---------------------------------------------------------------------------------------------------


def _steps_at_40_and_80_percent(progress: float) -> float:
    return 1.0 if progress < 0.4 else 0.1 if progress < 0.8 else 0.01


def _adam(parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    # Not in the paper: the weight decay, which is the published code's.
    return optim.Adam(parameters, lr=3e-3, weight_decay=1e-5)


def _bce(labels: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> Loss:
    return losses.binary_cross_entropy


# Not in the paper: keeping the best epoch by validation score. The published code does so at one fixed threshold, here
# it is the best shared one.
BCE_STAGE = Stage("bce", epochs=50, make_loss=_bce, make_optimizer=_adam, learning_rate=_steps_at_40_and_80_percent)


def zhao(age_mask: bool = True, challenge_stage: bool = False, diagnoses: Diagnoses = CHALLENGE_2020) -> Method:
    """The method of Zhao et al. (paper 112), corrected.

    Parameters
    ----------
    age_mask : bool
        False for networks that were trained by the published code, see `demographic_features`.
    challenge_stage : bool
        Whether the second system's stage with the challenge-metric loss follows: not part of the paper, and kept since
        stored models name it.
    diagnoses : Diagnoses, optional
        Without reward weights thresholds are those of the highest F1.
    """
    search = f1_thresholds if diagnoses.weights is None else partial(constrained_grid_search, diagnoses=diagnoses)
    return Method(
        name="zhao",
        settings={"age_mask": age_mask, "challenge_stage": challenge_stage},
        diagnoses=diagnoses,
        build_network=partial(SEResNet, n_classes=len(diagnoses.classes)),
        forward=_forward,
        input=Input(
            sampling_frequency=SAMPLING_FREQUENCY,
            window=WINDOW,
            units="uV",
            preprocess=preprocess,
            features=partial(demographic_features, age_mask=age_mask),
            windows=cut_windows,
        ),
        training=Training(
            n_folds=5,
            n_members=5,
            batch_size=64,
            stages=(BCE_STAGE, CHALLENGE_STAGE) if challenge_stage else (BCE_STAGE,),
            make_targets=partial(as_scored, diagnoses=diagnoses),
            use_for_training=has_scored_class,
            augment=crop_or_pad,
        ),
        decision=Decision(merge=mean_of_windows, search_thresholds=search, decide=decide, combine=vote),
    )


# --- The registry -------------------------------------------------------------------------------------------------


METHODS: dict[str, MethodBuilder] = {**registry.METHODS, "zhao": zhao}
DEFAULT_METHOD = registry.DEFAULT_METHOD


# --- The hooks ----------------------------------------------------------------------------------------------------


def training_code(
    data_directory: str | os.PathLike[str], model_directory: str | os.PathLike[str], **settings: Any
) -> None:
    """Train a model on every recording of a folder and store it; the hook of the Challenge's ``train_model.py``.

    Parameters
    ----------
    data_directory, model_directory : path
    **settings
        The keyword arguments of `ecg.training.train_folder.train_folder` but the last two.
    """
    # Corrected: the published entry copies shipped checkpoints over whatever was trained and picks one by the score in
    # its file name, so that retraining changes nothing. Here the model folder holds what this call has trained.
    # Here: prediction has no use for what training brings along (scikit-learn, the simulator).
    from ecg.training.train_folder import train_folder

    train_folder(data_directory, model_directory, methods=METHODS, default_method=DEFAULT_METHOD, **settings)


def load_model(
    model_directory: str | os.PathLike[str], leads: Sequence[str] | None = None, *, device: str = "auto"
) -> Model:
    """Load a trained model; the hook of the Challenge's ``test_model.py``.

    Parameters
    ----------
    model_directory : path
    leads : sequence of str, optional
        Which leads the recordings will have; the model looks at these alone.
    device : str
        "auto", "cpu", "cuda" or "cuda:<number>".

    Returns
    -------
    Model

    Raises
    ------
    ecg.model_folder.model.ModelError
        If the folder holds no usable model.
    """
    # Corrected: thresholds come with the weights they were searched for, not from files of another training.
    model = folder.load_model(model_directory, METHODS, pick_device(device))
    known = tuple(lead for lead in LEADS if leads is None or lead in leads)
    return model if known in (LEADS, ()) else model.on_leads(known)


def run_model(
    model: Model, header: str, recording: NDArray[np.generic]
) -> tuple[list[str], NDArray[np.int_], NDArray[np.float64]]:
    """Classify one recording; the hook of the Challenge's ``test_model.py``.

    Parameters
    ----------
    model : Model
        From `load_model`.
    header : str
        The header's text.
    recording : ndarray, shape (n_signals, n_samples)
        The raw array as stored, ADC units, rows in the header's order.

    Returns
    -------
    classes : list of str
        SNOMED CT codes.
    labels : ndarray, shape (n_classes,), int
        0 or 1.
    probabilities : ndarray, shape (n_classes,), float64

    Raises
    ------
    RecordingError
        If the header can't be read or does not describe the recording, or leads are missing that the model needs.
    """
    parsed = parse_header(header)
    millivolts = to_millivolts(np.asarray(recording), parsed)
    method = model.method
    given = Recording(millivolts, parsed.sampling_frequency, parsed.recording_id, parsed.age, parsed.sex)
    check_leads(method, millivolts)
    examined = Examination(given, method.input)
    item = predict.Item(given.name, examined.prepared, examined.features)
    [(_, probabilities)] = predict.predict(method, model.networks, [item], model.device, deterministic=True)
    labels, scores = model.decide(probabilities, item.features)
    return list(method.classes), labels.astype(int), scores
