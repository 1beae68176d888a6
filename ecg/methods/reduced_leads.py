"""Methods on fewer than twelve leads, as the 2021 Challenge asks for: 12, 6, 4, 3 and 2."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ecg.arrays import Signal
from ecg.examination.examine import Examination
from ecg.io.errors import RecordingError
from ecg.io.recording import Recording
from ecg.leads import LEAD_SETS, LEADS
from ecg.methods.base import Features, Input, Method

MASKED_SHARE = 0.5  # of the training items, where a method is trained for any of the sets
# With I and II the other limb leads are known: 6 and 2 leads say the same, and so do 4 and 3.
MASKED_SETS = (LEAD_SETS[6], LEAD_SETS[4])


def without_chest_leads(signal: Signal, leads: tuple[str, ...], value: float = np.nan) -> Signal:
    """The signal, (12, n_samples), with all chest leads but these missing, or at another value."""
    kept = signal.copy()
    kept[6:][~np.isin(LEADS[6:], leads)] = value
    return kept


def _lacking(signal: Signal, leads: tuple[str, ...], most: int = 0) -> str:
    """A sentence where a recording lacks more than so many of these leads; two limb leads stand for all six."""
    there = np.asarray(~np.isnan(signal).all(axis=1))
    known = there | ((np.arange(12) < 6) & (there[:6].sum() >= 2))
    lacking = [lead for lead in leads if not known[LEADS.index(lead)]]
    if len(lacking) <= most:
        return ""
    found = ", ".join(lead for lead, is_there in zip(LEADS, there, strict=True) if is_there)
    if leads == LEADS:
        return f"expected {f'at least {12 - most} of the' if most else 'all'} twelve leads, found {found}"
    return f"expected the leads {', '.join(leads)}, found {found} (not {', '.join(lacking)})"


def lead_problem(method: Method, signal: Signal) -> str:
    """A sentence where a recording, (12, n_samples), lacks leads that a method has not learned to do without."""
    if method.leads is not None:
        return _lacking(signal, method.leads)
    if method.training.masked_leads:
        return _lacking(signal, LEAD_SETS[2])
    return _lacking(signal, LEADS, method.training.missing_leads)


def has_learned(method: Method, leads: tuple[str, ...]) -> bool:
    """Whether a method takes recordings of these leads by itself."""
    return not lead_problem(method, np.where(np.isin(LEADS, leads), np.float32(0), np.float32(np.nan))[:, np.newaxis])


def check_leads(method: Method, signal: Signal) -> None:
    """RecordingError with the sentence of `lead_problem`."""
    if sentence := lead_problem(method, signal):
        raise RecordingError(f"recording: {sentence}")


def keep_leads(signal: Signal, leads: tuple[str, ...]) -> Signal:
    """The recording with these leads alone, (12, n_samples), float32, mV; NaN in the others.

    Two limb leads stand for all six (Einthoven, Goldberger), as in `ecg.leads.fill_missing`. Raises RecordingError if
    it lacks one of them.
    """
    if sentence := _lacking(signal, leads):
        raise RecordingError(f"recording: {sentence}")
    kept = signal.copy()
    wanted = np.isin(LEADS, leads)
    limbs = ~np.isnan(signal[:6]).all(axis=1) & wanted[:6]
    if limbs.sum() >= min(2, wanted[:6].sum()):  # or else the others are needed to derive those wanted
        kept[:6][~wanted[:6]] = np.nan
    kept[6:][~wanted[6:]] = np.nan
    return kept


@dataclass(frozen=True)
class OnLeads:
    """`Input.preprocess` of some leads alone."""

    preprocess: Callable[[Signal, float], Signal]
    leads: tuple[str, ...]

    def __call__(self, signal: Signal, sampling_frequency: float) -> Signal:
        return self.preprocess(keep_leads(signal, self.leads), sampling_frequency)


@dataclass(frozen=True)
class FeaturesOnLeads:
    """`Input.features` of some leads alone."""

    features: Features
    leads: tuple[str, ...]

    def __call__(self, examination: Examination) -> Signal:
        recording = examination.recording
        kept = replace(recording, signal=keep_leads(recording.signal, self.leads))
        return self.features(Examination(kept, examination.network_input))


@dataclass(frozen=True)
class MaskLeads:
    """`Training.augment` that takes chest leads off half of the items, as one of `MASKED_SETS` lacks them."""

    augment: Callable[[Signal, np.random.Generator], Signal]

    def __call__(self, recording: Signal, rng: np.random.Generator) -> Signal:
        item = self.augment(recording, rng)
        if rng.random() < MASKED_SHARE:
            return without_chest_leads(item, MASKED_SETS[int(rng.integers(len(MASKED_SETS)))], 0)
        return item


def masked_features(recording: Recording, network_input: Input, sets: Sequence[tuple[str, ...]]) -> Signal:
    """What `Input.features` gives where only the leads of a set were recorded, (n_sets, n_features), float32."""
    fewer = (replace(recording, signal=without_chest_leads(recording.signal, leads)) for leads in sets)
    found = [network_input.features(Examination(each, network_input)) for each in fewer]
    return np.stack(found) if found else np.empty((0, 0), np.float32)


def on_leads(method: Method, leads: tuple[str, ...] | None) -> Method:
    """A method that looks at some leads alone, and asks for them; as it is for None.

    Raises ValueError if it needs others.
    """
    if leads is None or leads == method.leads:
        return method
    if method.leads is not None:
        if has_learned(method, leads):
            return method
        needed, found = ", ".join(method.leads), ", ".join(leads)
        raise ValueError(f"expected the leads that the model was trained for, {needed}, found {found}")
    preprocess, features = OnLeads(method.input.preprocess, leads), FeaturesOnLeads(method.input.features, leads)
    return replace(method, leads=leads, input=replace(method.input, preprocess=preprocess, features=features))


def with_masked_leads(method: Method) -> Method:
    """A method that learns to do without the leads that smaller sets lack; as it is if it does."""
    if method.training.masked_leads:
        return method
    masked = MaskLeads(method.training.augment)
    return replace(method, training=replace(method.training, augment=masked, masked_leads=MASKED_SETS))
