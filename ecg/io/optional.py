"""Packages that only some formats need, imported when such a file is met."""

from types import ModuleType

from ecg.io.errors import RecordingError
from ecg.runtime.extras import MissingPackageError, import_extra


def import_optional(name: str, source: object, what: str) -> ModuleType:
    """The module `name`, which reading or writing `what` needs; RecordingError about `source` where it is missing."""
    try:
        return import_extra(name, what)
    except MissingPackageError as error:
        raise RecordingError(f"{source}: {error}") from error
