"""Packages that only some formats need: imported when such a file is met, with a sentence where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from ecg.io.errors import problem


def import_optional(name: str, source: object, what: str) -> Any:
    """The module `name`, which reading or writing `what` needs; RecordingError about `source` where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        needed = f"the package {package} for {what} (pip install .[formats])"
        raise problem(source, needed, "it missing") from error
