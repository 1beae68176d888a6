"""The raw samples of WFDB signal files, in any format."""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ecg.io.errors import problem
from ecg.io.files import open_file
from ecg.io.header import parse_header, parse_signal_line, samples_per_frame, split_header
from ecg.leads import LEADS

# What wfdb raises, by trial with random bytes, when a file is not what it says it is.
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RuntimeError)


def load_dat(text: str, source: str, files: Mapping[str, Path]) -> np.ndarray:
    """The signals of WFDB files, int32 (n_signals, n_samples), by wfdb; `files` has the path for each name.

    wfdb gets a header written here, without what it refuses in Challenge headers (dates, names with dots), and links to
    the signal files beside it. It is not told the length, so that it finds out how many samples there are. A signal
    with fewer samples in a frame than the leads, which is none of them, holds each sample for as long as it lasts.
    """
    import wfdb

    header = parse_header(text, source)
    paths = list(dict.fromkeys(files.values()))
    for path in paths:
        with open_file(path) as file:
            if not file.read(1):
                raise problem(path, "samples", "an empty file")
    is_flac = header.formats[0].startswith("5")  # the length can't be seen in the size of a compressed file
    counts = [samples_per_frame(format_) for format_ in header.formats]
    per_frame = max([count for count, lead in zip(counts, header.leads, strict=True) if lead in LEADS], default=1)
    n_frames = header.n_samples // per_frame if header.n_samples and is_flac else ""
    lines = [f"record {len(header.leads)} {header.sampling_frequency / per_frame} {n_frames}"]
    for line in split_header(text, source)[1]:
        signal = parse_signal_line(line, source)
        path = files[signal.file_name]
        # The offset of the data in a MATLAB file is not that in the plain signal file that stands in for it.
        is_own = path.name == signal.file_name.rpartition("/")[2]
        format_ = signal.format if is_own else signal.format.split("+")[0]
        lines.append(" ".join((f"signals{paths.index(path)}", format_, "200", *signal.numbers)))
    with tempfile.TemporaryDirectory() as folder:
        for i, path in enumerate(paths):
            os.symlink(path.absolute(), os.path.join(folder, f"signals{i}"))
        Path(folder, "record.hea").write_text("\n".join(lines) + "\n")
        try:
            apart = max(counts) > 1  # else wfdb would give the mean of each frame
            place = os.path.join(folder, "record")
            record = wfdb.rdrecord(place, physical=False, return_res=32, smooth_frames=not apart)
            stored = _together(record.e_d_signal, record.sig_len * per_frame) if apart else record.d_signal.T
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


def _together(signals: list[np.ndarray], n_samples: int) -> np.ndarray:
    """Signals of one or several rates as one array of this length."""
    together = np.empty((len(signals), n_samples), dtype=np.int32)
    for row, signal in zip(together, signals, strict=True):
        row[:] = signal if signal.size == n_samples else signal[np.arange(n_samples) * signal.size // n_samples]
    return together
