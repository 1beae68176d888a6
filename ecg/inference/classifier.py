"""A trained model that classifies recordings one by one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from numpy.typing import ArrayLike

from ecg.examination.examine import Examination
from ecg.inference.predict import Item, predict
from ecg.io.inputs import StrPath, as_recording
from ecg.io.recording import Recording
from ecg.labels.diagnoses import Diagnoses
from ecg.methods.reduced_leads import check_leads
from ecg.methods.registry import find_methods
from ecg.model_folder import folder
from ecg.model_folder.model import Model
from ecg.resources import resource
from ecg.runtime.device import pick_device


@dataclass(frozen=True)
class Classification:
    """What a model says of a recording.

    Attributes
    ----------
    labels : tuple of str
        SNOMED CT codes of the diagnoses that the model gives, as the Challenge scores them.
    probabilities : mapping of str to float
        Of every diagnosis that the model knows, by code: calibrated where the model has a calibration and its scores
        are no probabilities already.
    diagnoses : Diagnoses
        Their set: names and words by code.

    Examples
    --------
    >>> import ecg
    >>> result = ecg.load_model().classify(ecg.simulate("AF", seed=7))
    >>> "164889003" in result.labels, max(result.probabilities, key=result.probabilities.get)
    (True, '164889003')
    >>> result.names["164889003"]
    'AF'
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    diagnoses: Diagnoses

    @property
    def names(self) -> dict[str, str]:
        """Abbreviations of the labels, by code."""
        return {code: self.diagnoses[code].abbreviation for code in self.labels}


class Classifier(Model):
    """A trained model with the method `classify`; `load_model` makes one.

    Examples
    --------
    >>> import ecg
    >>> model = ecg.load_model()
    >>> model.method.name, len(model.networks)
    ('hybrid', 3)
    """

    def classify(
        self, recording: Recording | StrPath | ArrayLike, sampling_frequency: float | None = None, *, unit: str = "mV"
    ) -> Classification:
        """Classify one recording, in float32; the result is the same every time.

        Parameters
        ----------
        recording : Recording, path, or array_like of shape (12, n_samples)
            An array has the leads I, II, III, aVR, aVL, aVF, V1 to V6, with NaN where a sample or a lead is missing. It
            comes without age and sex; `Recording.from_array` takes these.
        sampling_frequency : float
            Hz; of an array, and of nothing else.
        unit : {"mV", "uV"}
            Of an array.

        Returns
        -------
        Classification

        Raises
        ------
        RecordingError
            Where a file can't be read, an array or its sampling frequency or unit can't be used, or leads are missing
            that the model needs.
        """
        given = as_recording(recording, sampling_frequency, unit)
        method = self.method
        check_leads(method, given.signal)
        examined = Examination(given, method.input)
        item = Item(given.name, examined.prepared, examined.features)
        [(_, members)] = predict(method, self.networks, [item], self.device, deterministic=True)
        labels, scores = self.decide(members, item.features)
        if self.calibration is not None and self.adaptation is None and not method.decision.moves_scores:
            scores = self.calibration.apply(scores)
        codes = method.classes
        return Classification(
            tuple(code for code, is_given in zip(codes, labels, strict=True) if is_given),
            dict(zip(codes, scores.tolist(), strict=True)),
            method.diagnoses,
        )


def load_model(model: str | os.PathLike[str] | None = None, *, device: str = "auto") -> Classifier:
    """Load a trained model.

    Parameters
    ----------
    model : path, optional
        The folder of a trained model; the shipped one if left out.
    device : str
        "auto", "cpu", "cuda" or "cuda:<number>".

    Returns
    -------
    Classifier

    Raises
    ------
    ModelError
        Where the folder holds no usable model.
    ValueError
        Where there is no such device.

    Examples
    --------
    >>> import ecg
    >>> model = ecg.load_model()
    >>> result = model.classify(ecg.simulate("SB", seed=3))
    >>> "426177001" in result.labels
    True
    """
    path = resource("model") if model is None else model
    loaded = folder.load_model(path, find_methods(), pick_device(device))
    return Classifier(**{each.name: getattr(loaded, each.name) for each in fields(loaded)})
