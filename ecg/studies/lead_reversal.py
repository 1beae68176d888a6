"""Electrodes exchanged on purpose: fit `ecg.measurements.lead_reversal`, and count what it finds.

    ecg benchmark fit-lead-reversal DATA
    ecg benchmark lead-reversal DATA [--folds 9]

DATA is a folder of recordings with a `folds.csv` (record, database, fold); without one the test takes all recordings.
Their electrodes are taken to be where they should, though some may not be.

The fit uses folds 1 to 8 of PTB-XL and prints the constants. First the limb leads are regressed on the chest leads wave
by wave, each beat with the same weight. Then the arrangement as named has to win against the five others: a conditional
logistic regression (McFadden 1974) on the features of each arrangement, with a small ridge penalty.

The test measures every recording as it is, and with its limb leads as each exchange would record them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ecg.arrays import Floats, Floats32
from ecg.io.recording import read_recording
from ecg.labels.classes import SCORED_CLASSES
from ecg.leads import LEADS, fill_missing, twelve_leads
from ecg.measurements import lead_reversal as reversal
from ecg.measurements import measure
from ecg.measurements.types import MedianBeat
from ecg.runtime.progress import progress, say
from ecg.studies.markdown_tables import table

_RIDGE = 1e-3  # both penalties: relative to the mean energy of a chest lead, and to features scaled to unit variance
# Of the recordings that stay below each margin; higher for the exchanges with the leg, which change less.
_SHARES = {"RA-LA": 0.9985, "RA-LL": 0.9995, "LA-LL": 0.9995}
_SUBSETS = ("AF", "AFL", "PR", "LAD", "RAD", "LBBB", "CRBBB", "LAnFB", "QAb", "LQRSV")


def fit_from_chest(beats: Sequence[MedianBeat]) -> Floats:
    """Coefficients of V1..V6 for the frontal plane, shape (3 waves, 2, 6)."""
    squares, products = np.zeros((3, 6, 6)), np.zeros((3, 2, 6))
    for beat in beats:
        moments = reversal.moments_of(beat)
        if moments is None:
            continue
        for k, of_wave in enumerate(moments[1]):
            frontal = reversal.PLANES[reversal.AS_NAMED] @ of_wave[:2]
            energy = np.trace(frontal[:, :2] @ reversal.PLANES[reversal.AS_NAMED].T) + np.trace(of_wave[2:, 2:]) + 1e-9
            squares[k] += of_wave[2:, 2:] / energy
            products[k] += frontal[:, 2:] / energy
    ridge = _RIDGE * np.trace(squares, axis1=1, axis2=2)[:, None, None] / 6 * np.eye(6)
    return np.stack([np.linalg.solve(s, p.T).T for s, p in zip(squares + ridge, products, strict=True)])


def fit_weights(features: Floats) -> Floats:
    """Weights, shape (3, 5), of features, shape (n, 6, 3, 5), with which the arrangement as named wins."""
    flat = features.reshape(len(features), len(reversal.ARRANGEMENTS), -1)
    scale = flat.reshape(-1, flat.shape[2]).std(axis=0)
    flat = flat / scale

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = flat @ weights
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        slope = np.einsum("na,naf->nf", shares, flat) - flat[:, reversal.AS_NAMED]
        value = -np.log(shares[:, reversal.AS_NAMED]).mean() + _RIDGE * weights @ weights
        return float(value), slope.mean(axis=0) + 2 * _RIDGE * weights

    found = minimize(loss, np.zeros(flat.shape[2]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x / scale).reshape(features.shape[2:])


def exchange(signal: Floats32, name: str) -> Floats32:
    """What the recorder would show with two limb electrodes exchanged.

    `signal`, (12, n_samples), float32, mV: without NaN in the limb leads. `name`: one of `EXCHANGES`, or "RA-RL", for
    which both legs are taken to have the same potential. Returns (12, n_samples), float32, mV.
    """
    zero, left, leg = np.zeros_like(signal[0]), signal[LEADS.index("I")], signal[LEADS.index("II")]  # RA is 0
    order = (2, 1, 2) if name == "RA-RL" else reversal.ARRANGEMENTS[reversal.EXCHANGES[name]]
    limbs = [(zero, left, leg)[k] for k in order]
    i, ii = limbs[1] - limbs[0], limbs[2] - limbs[0]
    chest = signal[6:] + ((zero + left + leg) - (limbs[0] + limbs[1] + limbs[2])) / 3  # Wilson's central terminal
    return twelve_leads(np.stack([i, ii, *chest]))


def test(paths: Sequence[Path]) -> str:
    """A Markdown table of sensitivity and specificity."""
    labels: list[tuple[str, ...]] = []
    as_recorded: list[str] = []
    found: dict[str, list[str]] = {name: [] for name in (*reversal.EXCHANGES, "RA-RL")}
    for path in progress(paths, len(paths), "Measuring"):
        header, signal = read_recording(path)
        signal = fill_missing(signal)
        labels.append(header.labels)
        as_recorded.append(_suspected(signal, header.sampling_frequency))
        if as_recorded[-1]:
            say(f"{path.stem}: {as_recorded[-1]} suspected as recorded")
        for name, answers in found.items():
            answers.append(_suspected(exchange(signal, name), header.sampling_frequency))
    exchanged = []
    for name, answers in found.items():
        right, any_ = ([answer == name for answer in answers], [answer != "" for answer in answers])
        exchanged.append([name, len(answers), _percent(right), _percent(any_)])
    recorded = []
    for name in ("all", *_SUBSETS):
        codes = {code for code, (abbreviation, _) in SCORED_CLASSES.items() if abbreviation == name}
        chosen = [k for k, of_recording in enumerate(labels) if name == "all" or codes & set(of_recording)]
        if chosen:
            silent, not_arms = ([as_recorded[k] == "" for k in chosen], [as_recorded[k] != "RA-LA" for k in chosen])
            arms = [found["RA-LA"][k] == "RA-LA" for k in chosen]
            recorded.append([name, len(chosen), _percent(silent), _percent(not_arms), _percent(arms)])
    columns = ["as recorded", "n", "nothing suspected", "RA-LA not suspected", "RA-LA recognised when exchanged"]
    first = table(["exchanged", "n", "recognised as such", "suspected at all"], exchanged, "--:")
    return "\n\n".join([first, table(columns, recorded, "--:")])


def _percent(answers: Sequence[bool]) -> str:
    return f"{100 * np.mean(answers):.1f} %"


def _suspected(signal: Floats32, sampling_frequency: float) -> str:
    beat = measure(signal, sampling_frequency).median_beat
    return "" if beat is None else reversal.suspected_swap(beat)


def fit(paths: Sequence[Path]) -> str:
    """The constants as text."""
    beats = []
    for path in progress(paths, len(paths), "Measuring"):
        header, signal = read_recording(path)
        beats.append(measure(signal, header.sampling_frequency).median_beat)
    known = [beat for beat in beats if beat is not None]
    from_chest = fit_from_chest(known).round(3)
    reversal.FROM_CHEST[:] = from_chest  # the features depend on it
    features = np.stack([each for each in map(reversal.features_of, known) if each is not None])
    weights = fit_weights(features).round(3)
    scores = np.einsum("nawf,wf->na", features, weights)
    ahead = {name: scores[:, k] - scores[:, reversal.AS_NAMED] for name, k in reversal.EXCHANGES.items()}
    margins = {name: round(float(np.quantile(values, _SHARES[name])), 2) for name, values in ahead.items()}
    chest, each = (np.array2string(array, separator=", ") for array in (from_chest, weights))
    return f"{len(features)} recordings\nFROM_CHEST = {chest}\nWEIGHTS = {each}\nMARGINS = {margins}"
