"""All files that a recording is made of, and a stamp that changes when one of them does."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ecg.io.errors import RecordingError
from ecg.io.files import StrPath
from ecg.io.formats import SUFFIXES
from ecg.io.header import load_header, parse_header
from ecg.io.recording import signal_files

_SIBLINGS = (".hea", *SUFFIXES, *map(str.upper, SUFFIXES))


@dataclass(frozen=True)
class Source:
    """What a recording is read from."""

    path: Path  # the file that names the recording, as of `find_recordings`
    # Every file that reading it may open or look for, absent ones too: one that appears changes what is read.
    files: tuple[Path, ...]
    stamp: str  # changes whenever one of `files` appears, disappears, or gets other content, size or times


def files_of(path: StrPath) -> Source:
    """The files of a recording, whose path is one that `find_recordings` gives; it need not be readable.

    Of Challenge files: the header, every signal file that it names, and the signal files that stand in for an absent
    one. Of other formats: the file, a table's sidecar (``<stem>.json``), and the files beside it that would give a
    recording of the same name, for which `read_any` refuses it.
    """
    path = Path(path)
    if path.suffix.lower() == ".hea":
        beside = [*_named_in(path), path.with_suffix(".mat"), path.with_suffix(".dat")]
    else:
        beside = [path.with_suffix(".json"), *(path.with_name(path.stem + suffix) for suffix in _SIBLINGS)]
    files = tuple(dict.fromkeys([path, *beside]))
    return Source(path, files, stamp_of(files))


def stamp_of(files: Iterable[Path]) -> str:
    """A digest of the names, sizes and times of files; an absent one has none.

    The time of the last change of the inode is among them: a file that another one replaces may keep its size and the
    time of its content.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.name) + b"\0")
        try:
            status = os.stat(file)
        except OSError:
            continue
        digest.update(f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n".encode())
    return digest.hexdigest()


def _named_in(header_file: Path) -> list[Path]:
    """The signal files that a header names: where the name says, beside the header, and where reading finds them."""
    try:
        header = parse_header(load_header(header_file), str(header_file))
        found = signal_files(header_file, header).values()
    except (RecordingError, OSError):  # reading it says what is wrong
        return []
    folder = header_file.parent
    names = dict.fromkeys(header.file_names)
    return [*(folder / name for name in names), *(folder / Path(name).name for name in names), *found]
