"""How far an exported file is from PyTorch on recordings, and whether a label changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Floats
from ecg.examination.examine import Examination
from ecg.inference.predict import Item, predict
from ecg.io.formats import read
from ecg.leads import fill_missing
from ecg.model_folder.model import Model


@dataclass(frozen=True)
class Agreement:
    """What `compare` has found."""

    # `n_recordings`, `n_left_out`: left out are, with raw signals, recordings at another sampling frequency and those
    # longer than a window.
    n_recordings: int
    n_left_out: int
    probability: float  # the largest difference of any class's probability
    n_labels: int  # `n_labels`, `n_changed`: labels (recordings times classes), and those that are not the same
    n_changed: int

    def __str__(self) -> str:
        left_out = (
            f" ({self.n_left_out} left out: too long or at another sampling frequency)" if self.n_left_out else ""
        )
        return (
            f"{self.n_recordings} recordings{left_out}: probabilities differ from PyTorch's by at most "
            f"{self.probability:.1e}, {self.n_changed} of {self.n_labels} labels are others"
        )


def compare(data: bytes, model: Model, sampling_frequency: float | None, paths: Iterable[str]) -> Agreement:
    """Run recordings through an exported file with onnxruntime and through PyTorch in float32, one by one.

    `data`: what `export_onnx` has returned for this model and frequency. `paths`: recordings in any format that
    `ecg.read` reads. Raises RecordingError if a recording can't be read; ValueError if there is none to compare.
    """
    import onnxruntime

    method = model.method
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    wanted = {each.name for each in session.get_inputs()}

    def run(**inputs: NDArray[Any]) -> Floats:
        given = {name: value[np.newaxis] for name, value in inputs.items() if name in wanted}
        members: NDArray[np.float32] = session.run(["member_probabilities"], given)[0][0]
        return members.astype(np.float64)

    differences, changed, left_out = [], 0, 0
    for path in paths:
        recording = read(path)
        examined = Examination(recording, method.input)
        prepared, demographics = examined.prepared, examined.features
        if sampling_frequency is None:
            windows = [
                run(signal=window, lengths=np.array(window.shape[1]), demographics=demographics)
                for window in method.input.windows(prepared)
            ]
            found = np.stack([method.decision.merge(each) for each in np.stack(windows, axis=1)])
        elif recording.sampling_frequency == sampling_frequency and prepared.shape[1] <= method.input.window:
            found = run(signal=fill_missing(recording.signal), demographics=demographics)
        else:
            left_out += 1
            continue
        item = Item(None, prepared, demographics)
        [(_, expected)] = predict(method, model.networks, [item], model.device, deterministic=True)
        differences.append(np.abs(found - expected).max())
        changed += int((model.decide(found)[0] != model.decide(expected)[0]).sum())
    if not differences:
        raise ValueError(f"expected recordings to compare on, found none ({left_out} left out)")
    n_labels = len(differences) * len(method.classes)
    return Agreement(len(differences), left_out, float(np.max(differences)), n_labels, changed)
