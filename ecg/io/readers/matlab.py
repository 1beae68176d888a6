"""The raw samples of MATLAB files of levels 4 to 7.2."""

import math
import os
import re
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ecg.io.errors import problem, shown
from ecg.io.files import open_file
from ecg.io.header import Header


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
        take: Callable[[int], bytes] = partial(_read_there, file)
        if kind == 15:  # compressed
            take = _inflating(take(n_bytes), path)
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


def _read_there(file: BinaryIO, n_bytes: int) -> bytes:
    """The next bytes, no more than there are: `file.read` would make room for all that are asked for."""
    return file.read(max(0, min(n_bytes, os.fstat(file.fileno()).st_size - file.tell())))


def _inflating(compressed: bytes, path: Path) -> Callable[[int], bytes]:
    """A function that inflates and returns the next n bytes, and no more."""
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
    """Refuse any shape but the header's (n_signals, n_samples) and, if unambiguous, its transpose."""
    if len(shape) != 2 or min(shape) < 1:
        raise problem(path, "a matrix of signals x samples", f"shape {shape}")
    if header is None:
        return
    n_signals, n_samples = len(header.leads), header.n_samples
    as_described = [size for size, other in (shape, shape[::-1]) if other == n_signals]
    if not any(n_samples in (None, size) for size in as_described):
        raise problem(path, f"{n_signals} signals x {n_samples or 'any number of'} samples", f"{shape[0]} x {shape[1]}")
