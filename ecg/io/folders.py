"""Recordings in a folder, and the database that a record's name belongs to."""

import os
import re
from collections.abc import Iterator

from ecg.io.files import StrPath

# The letters that a record's name begins with: the database it comes from.
DATABASES: dict[str, str] = {"A": "CPSC", "Q": "CPSC-Extra", "I": "INCART", "S": "PTB", "HR": "PTB-XL", "E": "G12EC"}
DATABASES["JS"] = "Chapman-Ningbo"


def walk(folder: StrPath) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder from this one down with the names of its files, both sorted, a folder before those below it.

    What is hidden is skipped. Links to folders are followed, but each folder is entered once, so that loops end.
    """
    entered: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        status = os.stat(place)
        is_new = (status.st_dev, status.st_ino) not in entered
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if is_new and not name.startswith("."))
        if is_new:
            yield os.fspath(place), sorted(name for name in files if not name.startswith("."))


def _refuse(error: OSError) -> None:
    raise error


def is_header(path: StrPath) -> bool:
    """Whether a file is a Challenge (WFDB) header by its suffix, `.hea` or `.HEA`."""
    return os.fspath(path)[-4:].lower() == ".hea"


def find_headers(folder: StrPath) -> Iterator[str]:
    """Yield the paths of the headers in a folder and below, in the order of `walk`."""
    for place, names in walk(folder):
        for name in names:
            if is_header(name):
                yield os.path.join(place, name)


def find_challenge_files(data_directory: StrPath, recursive: bool = False) -> tuple[list[str], list[str]]:
    """Paths of the headers that have a recording (`.mat`, else `.dat`) of their name beside them, and of these.

    Suffixes may be in capitals. Sorted. One flat folder as in the Challenge; with `recursive` those below it too.
    """
    folder = os.fspath(data_directory)
    flat = (os.path.join(folder, name) for name in sorted(os.listdir(folder)) if is_header(name) and name[0] != ".")
    header_files, recording_files = [], []
    for header_file in find_headers(folder) if recursive else flat:
        root = header_file[: -len(".hea")]
        recordings = [root + suffix for suffix in (".mat", ".MAT", ".dat", ".DAT") if os.path.isfile(root + suffix)]
        if recordings and os.path.isfile(header_file):
            header_files.append(header_file)
            recording_files.append(recordings[0])
    return header_files, recording_files


def get_database(recording_id: str) -> str:
    """The database that a record's name belongs to ("HR00001": "PTB-XL"), or "unknown"."""
    match = re.match(r"([A-Z]+)\d", recording_id, re.ASCII)
    return DATABASES.get(match[1], "unknown") if match else "unknown"
