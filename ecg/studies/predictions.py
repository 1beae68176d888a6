"""Predictions of a method on labelled recordings, in memory and as a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg.arrays import Array, Bools, Floats
from ecg.io.files import write_file


@dataclass(frozen=True)
class Predictions:
    """What a method says of recordings that it was not trained on, with the reference labels."""

    records: NDArray[np.str_]  # `records`, `databases`: (n_recordings,)
    databases: NDArray[np.str_]
    # (n_recordings,), bool: whether the network was trained on other recordings of this database.
    in_database: Bools
    labels: Bools  # `labels`, `outputs`: (n_recordings, n_classes), bool: reference and decisions
    probabilities: Floats  # (n_recordings, n_classes), float64
    outputs: Bools
    classes: tuple[str, ...]  # SNOMED CT codes of the columns

    def save(self, path: Path) -> None:
        """Write a .npz file, whole or not at all."""
        save_arrays(path, {**vars(self), "classes": np.array(self.classes)})

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what `save` has written; ValueError, which names the file, for anything else."""
        try:
            arrays = dict(np.load(path, allow_pickle=False))
            return cls(**{**arrays, "classes": tuple(map(str, arrays["classes"]))})
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{path}: expected predictions of `ecg validate`, found others ({error})") from error


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays to a .npz file, whole or not at all."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_file(path, content.getbuffer())
