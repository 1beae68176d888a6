"""What a user names as recordings, expanded: files, folders, patterns, and text files that list these."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from ecg.io.errors import problem, shown
from ecg.io.files import StrPath as StrPath
from ecg.io.files import read_file, read_text
from ecg.io.formats import find_recordings, format_of, is_recording, read
from ecg.io.recording import Recording

_LONGEST_LIST = 1 << 26  # bytes
_LIST_SUFFIXES = ("", ".txt", ".lst", ".list")
_MOST_NAMED = 10  # wrong inputs in one message

Paths = StrPath | Iterable[StrPath]


@dataclass(frozen=True)
class Found:
    """One recording that a user's inputs lead to."""

    path: str  # for `ecg.io.formats.read`
    name: str  # the path without suffix, with "/", relative to the deepest folder that holds all inputs


def as_recording(
    recording: Recording | StrPath | ArrayLike, sampling_frequency: float | None = None, unit: str = "mV"
) -> Recording:
    """A recording itself, read from a path, or made from an array as by `Recording.from_array`.

    Raises RecordingError also where an array comes without its sampling frequency, or anything else with one.
    """
    is_array = not isinstance(recording, (Recording, str, os.PathLike))
    if is_array != (sampling_frequency is not None):
        found = f"{type(recording).__name__} and sampling_frequency={sampling_frequency}"
        expected = "an array with its sampling_frequency in Hz, or a Recording or path without one"
        raise problem("recording", expected, found)
    if isinstance(recording, Recording):
        return recording
    if isinstance(recording, (str, os.PathLike)):
        return read(recording_path(recording))
    return Recording.from_array(recording, sampling_frequency or 0, unit=unit)


def expand_inputs(given: Paths) -> Iterator[Found]:
    """The recordings that one or several inputs lead to, each file once, in the order given.

    Each input is one of: a file in any format; the signal file of a Challenge recording (`.mat`, `.dat`) or its name
    without suffix, both for its header; a folder, with the folders below it (`find_recordings`); a pattern such as
    ``data/*.dcm`` or ``data/**/*.xml``; a text file (`.txt`, `.lst`, `.list`, or without suffix as WFDB's ``RECORDS``)
    with one of these per line. Paths in a list are relative to the list's folder; empty lines and lines that begin with
    "#" are skipped.

    Explicitly named files are not opened: reading one says what is wrong with it. Raises ValueError at once where an
    input leads nowhere (with the list and the line that it stands in); from the iterator where the inputs hold no
    recording.
    """
    paths = [os.fspath(each) for each in ([given] if isinstance(given, (str, os.PathLike)) else given)]
    roots: list[str] = []
    wrong: list[str] = []
    for place, entry in (each for path in paths for each in _entries(path)):
        found = _resolve(entry)
        roots += found
        if not found:
            expected = "a recording, or a folder, pattern or list of recordings"
            wrong.append(f"{place}{entry}: expected {expected}, found none")
    if wrong:
        more = [f"and {len(wrong) - _MOST_NAMED} more"] if len(wrong) > _MOST_NAMED else []
        raise ValueError("\n".join(wrong[:_MOST_NAMED] + more))
    return _recordings(roots, ", ".join(paths))


def _recordings(roots: list[str], given: str) -> Iterator[Found]:
    folders = [os.path.abspath(root if os.path.isdir(root) else os.path.dirname(root)) for root in roots]
    base = os.path.commonpath(folders) if folders else ""
    seen: set[str] = set()
    for root in roots:
        for path in find_recordings(root) if os.path.isdir(root) else [root]:
            absolute = os.path.abspath(path)
            if absolute not in seen:
                seen.add(absolute)
                yield Found(path, Path(absolute).relative_to(base).with_suffix("").as_posix())
    if not seen:
        raise ValueError(f"{shown(given)}: expected recordings, found none")


def _entries(path: str) -> Iterator[tuple[str, str]]:
    """An input, or the inputs that it lists, each after the place that a message names."""
    lines = _lines(path)
    if lines is None:
        yield "", path
        return
    for number, line in lines:
        yield f"{path}, line {number}: ", os.path.join(os.path.dirname(path), line)


def _lines(path: str) -> list[tuple[int, str]] | None:
    """The numbered entries of a text file that lists inputs; None where the file is something else."""
    may_be = os.path.splitext(path)[1].lower() in _LIST_SUFFIXES and os.path.isfile(path)
    if not may_be or b"\0" in read_file(path, 4096):
        return None
    stripped = ((number, line.strip()) for number, line in enumerate(read_text(path, _LONGEST_LIST).splitlines(), 1))
    lines = [(number, line) for number, line in stripped if line and not line.startswith("#")]
    # Names such as WFDB's "100" look like samples; a table of samples does not begin with the name of a file.
    is_list = format_of(path) is None or (lines and _resolve(os.path.join(os.path.dirname(path), lines[0][1])))
    return lines if is_list else None


def _resolve(entry: str) -> list[str]:
    """The files and folders that an entry stands for."""
    path = recording_path(entry)
    if os.path.exists(entry) or path != entry:
        return [path]
    matches = [(match, recording_path(match)) for match in sorted(glob.glob(entry, recursive=True))]
    return [path for match, path in matches if path != match or os.path.isdir(path) or is_recording(path)]


def recording_path(path: StrPath) -> str:
    """The header of a Challenge recording for its signal file or its name; any other path as it is."""
    path = os.fspath(path)
    if not os.path.exists(path):
        return f"{path}.hea" if os.path.isfile(f"{path}.hea") else path
    stem, suffix = os.path.splitext(path)
    if suffix.lower() not in (".mat", ".dat"):
        return path
    header = next((stem + each for each in (".hea", ".HEA") if os.path.isfile(stem + each)), None)
    return header or (f"{stem}.hea" if format_of(path) is None else path)
