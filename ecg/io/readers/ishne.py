"""ISHNE Holter files (Badilini 1998, The ISHNE Holter standard output file format, ANE 3(3):263-266)."""

import binascii
import os
import struct

import numpy as np

from ecg.io.errors import problem, shown
from ecg.io.files import StrPath, open_file
from ecg.io.readers.dates import day_or_none, moment_or_none
from ecg.io.stored import DeviceReport, Identity, Stored, check_frequency, check_length, make_stored
from ecg.leads import LEADS

_MAGIC = b"ISHNE1.0"
_FIXED = 522  # bytes up to the block of variable length
_LONGEST_VARIABLE = 1 << 20  # bytes
# Codes of leads; 0 and 1 are unknown and bipolar ones.
_LEADS = dict(enumerate(("X", "Y", "Z", *LEADS, "ES", "AS", "AI"), start=2))


def is_ishne(start: bytes) -> bool:
    """Whether these first bytes of a file are those of an ISHNE ECG file."""
    return start.startswith(_MAGIC)


def read_ishne(path: StrPath, start: int = 0, stop: int | None = None) -> Stored:
    """Read an ISHNE file, or a part of one: of a long recording no more is loaded than what is asked for.

    `start` and `stop` are the first sample, and the one after the last (None: to the end). What lies between must be
    from 1 s to `stored.LONGEST_MINUTES`: which part of a day stands for it is not for a reader to choose. Samples are
    int16. Raises RecordingError for everything wrong with the file or the part.
    """
    with open_file(path) as file:
        head = file.read(_FIXED)
        if not is_ishne(head):
            raise problem(path, "an ISHNE file", shown(head[:8].decode("latin-1")) if head else "an empty file")
        if len(head) < _FIXED:
            raise problem(path, f"a header of {_FIXED} bytes", len(head))
        n_variable, n_declared, _, offset = struct.unpack_from("<4i", head, 10)
        size = os.fstat(file.fileno()).st_size
        if n_variable < 0 or not _FIXED + n_variable <= offset <= min(size, _FIXED + _LONGEST_VARIABLE):
            found = f"{n_variable} bytes, and samples from byte {offset} of {size} on"
            raise problem(path, f"a block of variable length of at most {_LONGEST_VARIABLE} bytes", found)
        (checksum,) = struct.unpack_from("<H", head, 8)
        computed = binascii.crc_hqx(head[10:] + file.read(offset - _FIXED), 0xFFFF)
        if computed != checksum:
            raise problem(path, f"the header's checksum (CRC-CCITT) {checksum}", computed)
        n_leads, *numbers = struct.unpack_from("<h12h12h12h", head, 156)
        (rate,) = struct.unpack_from("<h", head, 272)
        if not 1 <= n_leads <= 12:
            raise problem(path, "1 to 12 leads", n_leads)
        check_frequency(path, rate)
        n_samples = (size - offset) // (2 * n_leads)
        # Some writers count the samples of all leads together.
        if n_declared not in (n_samples, n_samples * n_leads):
            raise problem(path, f"{n_declared} samples in each of {n_leads} leads", n_samples)
        stop = n_samples if stop is None else stop
        if not 0 <= start <= stop <= n_samples:
            raise problem(path, f"a part of the {n_samples} samples", f"{start} to {stop}")
        mend = f" (ask for a part of the {n_samples} samples with start and stop)"
        check_length(path, stop - start, rate, mend)
        file.seek(offset + 2 * n_leads * start)
        raw = file.read(2 * n_leads * (stop - start))
    samples = np.frombuffer(raw, "<i2").reshape(-1, n_leads).T.astype(np.int16)
    leads = [_LEADS.get(number, f"ISHNE lead {number}") for number in numbers[:n_leads]]
    # Resolutions are in nV; what is none (-9: no such lead) makes no gain.
    gains = [1e6 / resolution if resolution > 0 else 0.0 for resolution in numbers[24 : 24 + n_leads]]
    code, _, *dates = struct.unpack_from("<2h12h", head, 128)
    sex = {1: "Male", 2: "Female"}.get(code, "Unknown")
    acquired = moment_or_none(day_or_none(*reversed(dates[3:6])), dates[9:12])
    device = DeviceReport(model=_text(head[232:272]), acquired=acquired)
    name = " ".join(filter(None, (_text(head[28:68]), _text(head[68:108]))))
    identity = Identity(name, _text(head[108:128]), day_or_none(*reversed(dates[0:3])))
    return make_stored(path, leads, rate, samples, gains, None, device, identity, sex=sex)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("latin-1").strip()
