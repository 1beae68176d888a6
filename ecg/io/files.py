"""Files read with errors that name them, and written whole or not at all."""

import codecs
import contextlib
import csv
import errno
import io
import os
import re
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ecg.io.errors import problem

StrPath = str | os.PathLike[str]


@contextmanager
def open_file(path: StrPath) -> Iterator[BinaryIO]:
    """Open for reading; what the system has against it becomes RecordingError. Folders, pipes, devices are refused."""
    try:
        if not Path(path).is_file():
            raise problem(path, "a file", _instead_of_a_file(path))
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise problem(path, "a readable file", error.strerror or error) from error


def _instead_of_a_file(path: StrPath) -> str:
    if is_dangling(path):
        return "a link to something that is not there"
    return "something else" if os.path.lexists(path) else "none"


def is_dangling(path: StrPath) -> bool:
    """Whether a path is a link that leads nowhere, as git-annex leaves them for content that was not fetched."""
    return os.path.islink(path) and not os.path.exists(path)


def read_file(path: StrPath, most: int = 1 << 30, whole: str = "") -> bytes:
    """The first bytes of a file, all if there are no more than `most`; errors as of `open_file`.

    For the many small files of the scorer, which takes three quarters of its time with it. Where `whole` says in words
    what a file of at most so many bytes is, a larger one is refused.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe does not keep it waiting
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise problem(path, "a file", "something else")
            if whole and status.st_size > most:
                raise problem(path, whole, "more")
            data, left = b"", min(status.st_size, most)
            while left and (part := os.read(descriptor, left)):  # nearly always once
                data, left = data + part, left - len(part)
            return data
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise problem(path, "a file", _instead_of_a_file(path)) from None
        raise problem(path, "a readable file", error.strerror or error) from error


def read_text(path: StrPath, most: int) -> str:
    """The text of a file of at most `most` bytes: UTF-8, else Latin-1, without byte order mark; errors as above."""
    return decoded(read_file(path, most, f"a text of at most {most} bytes").removeprefix(codecs.BOM_UTF8))


def decoded(data: bytes) -> str:
    """Text in UTF-8, else in Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_rows(path: StrPath, most: int) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and rows of a CSV file with headings, of at most `most` bytes; errors as of `read_text`."""
    reader = csv.DictReader(io.StringIO(read_text(path, most), newline=""))
    try:
        reader.fieldnames = [field.strip() for field in reader.fieldnames or ()]
        return list(reader.fieldnames), list(reader)
    except csv.Error as error:
        raise problem(path, "a CSV file", error) from error


def as_csv(rows: Iterable[Iterable[object]]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_file(path: StrPath, data: str | bytes | memoryview) -> None:
    """Write a file whole or not at all, as `whole_file`. Text as UTF-8."""
    with whole_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def whole_file(path: StrPath) -> Iterator[BinaryIO]:
    """A file to write into that is at `path` when the block ends, and nowhere if it fails.

    It is a temporary file in the same folder, to the disk, renamed. Raises OSError, which names the file itself and not
    the temporary one.
    """
    # Not tempfile.mkstemp: nobody else can read its files, and the outputs are for others to read.
    temporary = Path(path).with_name(f".{uuid.uuid4().hex}.part")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        # A folder that has become read-only would raise here, over the error that says so.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError) or error.filename not in (None, os.fspath(temporary)):
            raise  # about another file that the block deals with
        raise OSError(error.errno, f"can't be written: {error.strerror}", os.fspath(path)) from error


def is_same_file(one: StrPath, other: StrPath) -> bool:
    """Whether both paths lead to one existing file."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def remove_leftovers(folder: StrPath) -> None:
    """Remove temporary files of `whole_file` that a kill left in a folder; those of the last minute may live."""
    for file in Path(folder).glob(".*.part"):
        with contextlib.suppress(FileNotFoundError):  # another process that writes here has just renamed it
            if re.fullmatch(r"\.[0-9a-f]{32}\.part", file.name) and time.time() - file.stat().st_mtime > 60:
                file.unlink()
