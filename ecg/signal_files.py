"""The raw samples of a recording from MATLAB files (levels 4 to 7.2) and WFDB signal files (any format)."""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ecg.header import Header, parse_header, parse_signal_line, problem, shown, split_header

# What wfdb raises, by trial with random bytes, when a file is not what it says it is.
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RuntimeError)


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open for reading; what the system has against it becomes RecordingError. Folders, pipes, devices are refused."""
    try:
        if not Path(path).is_file():
            raise problem(path, "a file", "something else" if os.path.lexists(path) else "none")
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise problem(path, "a readable file", error.strerror or error) from error


def read_file(path: str | os.PathLike[str], most: int = 1 << 30) -> bytes:
    """The first bytes of a file, all if there are no more than `most`; errors as of `open_file`.

    For the many small files of the scorer, which takes three quarters of its time with it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe does not keep it waiting
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise problem(path, "a file", "something else")
            data, left = b"", min(status.st_size, most)
            while left and (part := os.read(descriptor, left)):  # nearly always once
                data, left = data + part, left - len(part)
            return data
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise problem(path, "a file", "something else" if os.path.lexists(path) else "none") from None
        raise problem(path, "a readable file", error.strerror or error) from error


def load_mat(path: Path, header: Header | None, key: str = "val") -> np.ndarray:
    """The matrix `key` of a MATLAB file, (n_signals, n_samples), checked against the header before it is loaded.

    Levels 4 to 7.2 are read here, as far as matrices of real numbers go (MathWorks, MAT-File Format), and not by scipy:
    on damaged files scipy 1.17.1 loops for ever (level 4) or crashes the process (level 5).
    """
    with open_file(path) as file:
        start = file.read(4)
        file.seek(0)
        if len(start) < 4:
            raise problem(path, "a MATLAB file", f"{len(start)} bytes")
        # A zero among the first four bytes is how MATLAB tells level 4 from level 5.
        shape, values = (_read_mat4 if 0 in start else _read_mat5)(file, path, header, key)
    stored = values.astype(values.dtype.newbyteorder("="), copy=False).reshape(shape, order="F")
    return stored.T if header is not None and shape[0] != len(header.leads) else stored


def _read_mat4(file: BinaryIO, path: Path, header: Header | None, key: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and values, column by column, of a matrix in a file of level 4."""
    size = os.fstat(file.fileno()).st_size
    while len(head := file.read(20)) == 20:
        order = "<" if 0 <= int.from_bytes(head[:4], "little", signed=True) < 5000 else ">"
        kind, n_rows, n_columns, is_complex, name_length = struct.unpack(f"{order}5i", head)
        digits = f"{kind:04d}"  # byte order, 0, type of number, kind of matrix
        if not re.fullmatch("[01]0[0-5][0-2]", digits) or min(n_rows, n_columns) < 0 or not 1 <= name_length <= 256:
            break
        name = file.read(name_length).rstrip(b"\0").decode("latin-1")
        dtype = np.dtype(order + ("f8", "f4", "i4", "i2", "u2", "u1")[int(digits[2])])
        n_bytes = n_rows * n_columns * dtype.itemsize * (2 if is_complex else 1)
        if n_bytes > size - file.tell():
            raise problem(path, f"{n_bytes} bytes for {n_rows} x {n_columns} samples", max(size - file.tell(), 0))
        if name == key:
            if is_complex or digits[3] != "0":
                raise problem(path, f"a matrix {key!r} of real numbers", "a complex, text or sparse one")
            _check_shape((n_rows, n_columns), header, path)
            return (n_rows, n_columns), np.fromfile(file, dtype, count=n_rows * n_columns)
        file.seek(n_bytes, os.SEEK_CUR)
    raise problem(path, f"a MATLAB file with a matrix {key!r}", "none")


def _read_mat5(file: BinaryIO, path: Path, header: Header | None, key: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and values, column by column, of a matrix in a file of level 5, compressed (level 7) or not."""
    head = file.read(128)
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(head[124:])
    if order is None:
        raise problem(path, "a MATLAB file of level 4 to 7.2", shown(head[:20].decode("latin-1")))
    while len(tag := file.read(8)) == 8:
        kind, n_bytes = struct.unpack(f"{order}2I", tag)
        end = file.tell() + n_bytes
        take: Callable[[int], bytes] = file.read
        if kind == 15:  # compressed
            take = _inflating(file.read(n_bytes), path)
            kind, _ = struct.unpack(f"{order}2I", take(8).ljust(8))
        if kind != 14:  # no matrix
            break
        flags, dimensions, name = (_read_element(take, order, path)[1] for _ in range(3))
        if name.decode("latin-1") == key:
            (marks,) = struct.unpack(f"{order}I", flags[:4].ljust(4))
            if not 6 <= marks & 0xFF <= 15 or marks & 0xA00:  # double to uint64; neither complex nor logical
                others = {1: "cells", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse one"}
                found = others.get(marks & 0xFF, "complex or logical ones")
                raise problem(path, f"a matrix {key!r} of real numbers", found)
            n_dimensions = len(dimensions) // 4
            shape = struct.unpack(f"{order}{n_dimensions}i", dimensions[: 4 * n_dimensions])
            _check_shape(shape, header, path)
            # Numbers may be stored in a smaller type than the matrix has in MATLAB.
            kind, values = _read_element(take, order, path, 8 * math.prod(shape))
            types = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
            if kind not in types or len(values) != math.prod(shape) * int(types[kind][1]):
                raise problem(path, f"{shape[0]} x {shape[1]} samples", f"{len(values)} bytes of type {kind}")
            return shape, np.frombuffer(values, order + types[kind])
        file.seek(end)
    raise problem(path, f"a MATLAB file with a matrix {key!r}", "none")


def _inflating(compressed: bytes, path: Path) -> Callable[[int], bytes]:
    """A function that gives the next n bytes of what is compressed, and inflates no more than that."""
    inflater = zlib.decompressobj()
    rest = compressed

    def take(n: int) -> bytes:
        nonlocal rest
        try:
            data = inflater.decompress(rest, n) if n else b""
        except zlib.error as error:
            raise problem(path, "compressed data", f"damage ({error})") from error
        rest = inflater.unconsumed_tail
        return data

    return take


def _read_element(take: Callable[[int], bytes], order: str, path: Path, most: int = 256) -> tuple[int, bytes]:
    """Type and content of one data element of level 5, of `most` bytes at the most."""
    tag = take(8).ljust(8, b"\0")
    kind, n_bytes = struct.unpack(f"{order}2I", tag)
    if kind >> 16:  # small: size, type and content in eight bytes
        return kind & 0xFFFF, tag[4 : 4 + (kind >> 16)]
    content = take(n_bytes) if n_bytes <= most else b""
    if len(content) != n_bytes:
        raise problem(path, f"{n_bytes} bytes of data (and at most {most})", len(content))
    take(-n_bytes % 8)  # filled up to a multiple of eight
    return kind, content


def _check_shape(shape: tuple[int, ...], header: Header | None, path: Path) -> None:
    """Refuse what is neither the header's (n_signals, n_samples) nor, where that is unambiguous, its transpose."""
    if len(shape) != 2 or min(shape) < 1:
        raise problem(path, "a matrix of signals x samples", f"shape {shape}")
    if header is None:
        return
    n_signals, n_samples = len(header.leads), header.n_samples
    as_described = [size for size, other in (shape, shape[::-1]) if other == n_signals]
    if not any(n_samples in (None, size) for size in as_described):
        raise problem(path, f"{n_signals} signals x {n_samples or 'any number of'} samples", f"{shape[0]} x {shape[1]}")


def load_dat(text: str, source: str, files: Mapping[str, Path]) -> np.ndarray:
    """The signals of WFDB files, int32 (n_signals, n_samples), by wfdb; `files` has the path for each name.

    wfdb gets a header written here, without what it refuses in Challenge headers (dates, names with dots), and links to
    the signal files beside it. It is not told the length, so that it finds out how many samples there are.
    """
    import wfdb

    header = parse_header(text, source)
    paths = list(dict.fromkeys(files.values()))
    for path in paths:
        with open_file(path) as file:
            if not file.read(1):
                raise problem(path, "samples", "an empty file")
    is_flac = header.formats[0].startswith("5")  # the length can't be seen in the size of a compressed file
    lines = [f"record {len(header.leads)} {header.sampling_frequency} {header.n_samples or '' if is_flac else ''}"]
    for line in split_header(text, source)[1]:
        signal = parse_signal_line(line, source)
        path = files[signal.file_name]
        # The offset of the data in a MATLAB file is not that in the plain signal file that stands in for it.
        format_ = signal.format if path.name == signal.file_name else signal.format.split("+")[0]
        lines.append(" ".join((f"signals{paths.index(path)}", format_, "200", *signal.numbers)))
    with tempfile.TemporaryDirectory() as folder:
        for i, path in enumerate(paths):
            os.symlink(path.absolute(), os.path.join(folder, f"signals{i}"))
        Path(folder, "record.hea").write_text("\n".join(lines) + "\n")
        try:
            stored: np.ndarray = wfdb.rdrecord(os.path.join(folder, "record"), physical=False, return_res=32).d_signal.T
        except _UNREADABLE as error:
            found = f"{type(error).__name__} ({error})"
            raise problem(paths[0], f"samples in WFDB format {header.formats[0]}", found) from error
    n_samples = header.n_samples or stored.shape[1]
    # Formats that pack several samples together may fill up the last group, which looks like one more sample.
    if stored.shape[1] == n_samples + 1 and re.match("212|31[01]", header.formats[0]):
        stored = stored[:, :n_samples]
    if stored.shape[1] != n_samples:
        raise problem(paths[0], f"{n_samples} samples as in the header", stored.shape[1])
    return stored
