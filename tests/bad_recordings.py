"""Every kind of recording that is not as it should be, made from a good one: what is wrong, and what is said of it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import savemat

import helper_code
from helper_code import LEADS
from tiny import heart_like, write_recording

UNREADABLE = "unreadable"  # file modes don't bind root: the driver is started without root's right to pass over them


def _good(folder: Path, name: str) -> Path:
    return write_recording(folder, name, heart_like(2, seed=1))


def _edit(old: str, new: str, count: int = -1) -> Callable[[Path], None]:
    def change(header: Path) -> None:
        text = header.read_text()
        assert old in text
        header.write_text(text.replace(old, new, count))

    return change


def _bytes(suffix: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(header: Path) -> None:
        file = header.with_suffix(suffix)
        file.write_bytes(change(file.read_bytes()))

    return write


def _matrix(make: Callable[[np.ndarray], object], **options: object) -> Callable[[Path], None]:
    """Another variable `val` in the place of the good one's (12, 1000)."""

    def write(header: Path) -> None:
        file = io.BytesIO()
        savemat(file, {"val": make(helper_code.load_recording(header.with_suffix(".mat")))}, **options)
        header.with_suffix(".mat").write_bytes(file.getvalue())

    return write


def _samples(n_samples: int) -> Callable[[Path], None]:
    def write(header: Path) -> None:
        _edit(" 500 1000", f" 500 {n_samples}", 1)(header)
        _matrix(lambda good: good[:, :n_samples], format="4")(header)

    return write


def _leads(leads: tuple[str, ...], rows: list[int]) -> Callable[[Path], None]:
    def write(header: Path) -> None:
        record, *signals = header.read_text().splitlines()
        head = signals[0].removesuffix(" I")
        lines = [record.replace(" 12 ", f" {len(leads)} "), *(f"{head} {lead}" for lead in leads), *signals[12:]]
        header.write_text("\n".join(lines) + "\n")
        _matrix(lambda good: good[rows], format="4")(header)

    return write


def _unlink(suffix: str) -> Callable[[Path], None]:
    return lambda header: header.with_suffix(suffix).unlink()


def _forbid(suffix: str) -> Callable[[Path], None]:
    return lambda header: header.with_suffix(suffix).chmod(0)


def _loop(suffix: str) -> Callable[[Path], None]:
    def write(header: Path) -> None:
        file = header.with_suffix(suffix)
        file.unlink()
        file.symlink_to(file.name)

    return write


def _pipe(suffix: str) -> Callable[[Path], None]:
    def write(header: Path) -> None:
        header.with_suffix(suffix).unlink()
        os.mkfifo(header.with_suffix(suffix))  # opening one would wait for ever

    return write


_RANDOM = np.random.default_rng(7).bytes(3000)

# Name: (what is done to a good recording, what is said of it after the file's name). These can't be classified.
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no_mat": (_unlink(".mat"), r"\.mat: expected a file, found none"),
    "no_hea": (_unlink(".hea"), r"\.hea: expected a file, found none"),
    "empty_hea": (_bytes(".hea", lambda _: b""), r"\.hea: expected a record line, found none"),
    "empty_mat": (_bytes(".mat", lambda _: b""), r"\.mat: expected a MATLAB file, found 0 bytes"),
    "cut_hea": (_bytes(".hea", lambda data: data[:300]), r"\.hea: expected 12 signal lines, found \d"),
    "cut_mat": (_bytes(".mat", lambda data: data[:9999]), r"\.mat: expected 24000 bytes for 12 x 1000 samples, "),
    "random_hea": (_bytes(".hea", lambda _: _RANDOM), r"\.hea: expected a record line .*, found "),
    "random_mat": (_bytes(".mat", lambda _: _RANDOM), r"\.mat: expected a MATLAB file of level 4 to 7.2, found "),
    "text_for_numbers": (_edit(" 12 500 ", " twelve many "), r"\.hea: expected a record line .*, found '.*twelve"),
    "text_for_mat": (_bytes(".mat", lambda _: b"see page 2\n"), r"\.mat: expected a MATLAB file .*, found 'see page 2"),
    "eight_signals": (_matrix(lambda good: good[:8]), r"\.mat: expected 12 signals x 1000 samples, found 8 x 1000"),
    "eight_lines": (_edit(" 12 500 ", " 8 500 ", 1), r"\.hea: expected 8 signal lines, found 12"),
    "more_samples": (_edit(" 500 1000", " 500 1001", 1), r"\.mat: expected 12 signals x 1001 samples, found 12 x 1000"),
    "zero_gain": (_edit(" 1000/mV", " 0/mV", 1), r"\.hea: expected a non-zero gain .* for lead I, found '0/mV'"),
    "zero_samples": (_matrix(lambda good: good[:, :0]), r"\.mat: expected a matrix .*, found shape \(12, 0\)"),
    "one_sample": (_samples(1), r"\.mat: expected at least 1 s \(500 samples\), found 1 samples"),
    "all_zero": (_matrix(np.zeros_like), r"\.mat: expected a signal, found no lead that"),
    "all_nan": (_matrix(lambda good: np.full(good.shape, np.nan)), r"\.mat: expected a signal, found no lead that"),
    "all_missing": (_matrix(lambda good: np.full_like(good, -32768)), r"\.mat: expected a signal, found no lead that"),
    "all_clipped": (_matrix(lambda good: np.full_like(good, 32767)), r"\.mat: expected a signal, found no lead that"),
    "other_leads": (_leads(("X", "Y", "Z"), [0, 1, 2]), r"\.hea: expected some of the leads I, .*, found 'X, Y, Z'"),
    "lead_twice": (_leads(("I", "I"), [0, 1]), r"\.hea: expected lead I once, found it twice with different samples"),
    "fs_0": (_edit(" 12 500 ", " 12 0 ", 1), r"\.hea: expected a sampling frequency of 50 to 5000 Hz .*, found 0 Hz"),
    "fs_1e9": (_edit(" 12 500 ", " 12 1e9 ", 1), r"\.hea: expected a sampling frequency of .*, found 1e\+09 Hz"),
    "ten_hours": (_edit(" 500 1000", " 500 18000000", 1), r"\.mat: expected 12 signals x 18000000 samples, found 12 x"),
    "traversal": (_edit("traversal.mat", "../../x.mat"), r"\.hea: expected a signal file name that stays in .* found"),
    "loop_hea": (_loop(".hea"), r"\.hea: expected a file, found a link to something that is not there"),
    "loop_mat": (_loop(".mat"), r"\.mat: expected a file, found a link to something that is not there"),
    "pipe_hea": (_pipe(".hea"), r"\.hea: expected a file, found something else"),
    "pipe_mat": (_pipe(".mat"), r"\.mat: expected a file, found something else"),
    "objects": (_matrix(lambda _: np.array([[1, "a"]], dtype=object)), r"\.mat: expected a matrix .*, found cells"),
    "bomb": (_matrix(lambda _: np.zeros((12, 10**6)), do_compression=True), r"\.mat: expected 12 signals x 1000"),
    f"{UNREADABLE}_hea": (_forbid(".hea"), r"\.hea: expected a readable file, found Permission denied"),
    f"{UNREADABLE}_mat": (_forbid(".mat"), r"\.mat: expected a readable file, found Permission denied"),
}  # fmt: skip

# These look odd and can be classified all the same.
CLASSIFIED: dict[str, Callable[[Path], None]] = {
    "eight_leads": _leads((*LEADS[:2], *LEADS[6:]), [0, 1, *range(6, 12)]),
    "fifteen_leads": _leads((*LEADS, "X", "Y", "Z"), [*range(12), 0, 1, 2]),
    "same_lead_twice": _leads((*LEADS, "I"), [*range(12), 0]),
    "partly_nan": _matrix(lambda good: np.where(np.arange(good.shape[1]) < 100, np.nan, good)),
    "one_flat_lead": _matrix(lambda good: good * (np.arange(12) != 5)[:, None]),
    "name with spaces": lambda header: None,
    "Zoë_心电图": lambda header: None,
    "comma, and 'quotes\"": lambda header: None,
    "line\nend": lambda header: None,
    os.fsdecode(b"not_utf8_\xff"): lambda header: None,
}


def write_refused(folder: Path, kinds: list[str] | None = None) -> list[str]:
    """The recordings that can't be classified; returns their names."""
    names = list(REFUSED) if kinds is None else kinds
    for name in names:
        REFUSED[name][0](_good(folder, name))
    return names


def write_classified(folder: Path) -> list[str]:
    """Odd recordings that can be classified; returns their names."""
    for name, change in CLASSIFIED.items():
        header = _good(folder, "renamed")
        change(header)
        for suffix in (".hea", ".mat"):
            header.with_suffix(suffix).rename(folder / f"{name}{suffix}")
    return list(CLASSIFIED)
