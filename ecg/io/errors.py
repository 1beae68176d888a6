"""The error that bad recordings raise, with its message in one form."""

from types import ModuleType

from ecg.runtime.extras import MissingPackageError, import_extra


class RecordingError(ValueError):
    """A header or recording that can't be used; the message names the file, what was expected, what was found.

    Examples
    --------
    >>> import ecg
    >>> ecg.read("nowhere.dcm")
    Traceback (most recent call last):
    ecg.io.errors.RecordingError: nowhere.dcm: expected a file, found none
    """


def problem(source: object, expected: str, found: object) -> RecordingError:
    """The error with its message in the one form that all of them have."""
    return RecordingError(f"{source}: expected {expected}, found {found}")


def shown(text: str) -> str:
    """Text from a file, quoted and short enough for a message."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def import_optional(name: str, source: object, what: str) -> ModuleType:
    """The module `name`, which reading or writing `what` needs; RecordingError about `source` where it is missing."""
    try:
        return import_extra(name, what)
    except MissingPackageError as error:
        raise RecordingError(f"{source}: {error}") from error
