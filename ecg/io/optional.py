"""Packages that only some formats need."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from ecg.header import problem


def import_for(path: str | os.PathLike[str], package: str) -> ModuleType:
    """The package, without which this file can't be read; RecordingError where it is missing says how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise problem(
            path, f"the package {package} for such files (pip install .[formats])", f"none ({error})"
        ) from error
