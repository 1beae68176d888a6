"""Damaged files of the formats, thousands of them: each is read, or refused with a clear error, in little memory.

A hundred or two a format as part of the tests; `FUZZ_CASES=10000 pytest -s tests/io/test_fuzz_formats.py` for more,
which says what the slowest case took and how far memory went up.
"""

from __future__ import annotations

import binascii
import io
import json
import os
import re
import resource
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import test_edf
import test_ishne
from scipy.io import savemat

import format_files
import helper_code
import more_format_files
import scp_writer
from ecg.io.errors import RecordingError
from ecg.io.formats import FORMATS as FORMATS_OF_ECG
from ecg.io.formats import read_challenge
from ecg.io.readers.aecg import is_aecg, read_aecg
from ecg.io.readers.dicom import DEFLATED, EXPLICIT, IMPLICIT, is_dicom, read_dicom
from ecg.io.readers.edf import is_edf, read_edf
from ecg.io.readers.ishne import is_ishne, read_ishne
from ecg.io.readers.muse import is_muse, read_muse
from ecg.io.readers.philips import is_philips, read_philips
from ecg.io.readers.scp_ecg import is_scp_ecg, read_scp_ecg
from ecg.io.readers.tables import is_table, read_table
from ecg.leads import LEADS
from more_format_files import FILES

CASES = int(os.environ.get("FUZZ_CASES", "150"))
MOST_MEGABYTES = 200
NUMBERS = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63, 2**64 - 1]
TEXTS = [
    b"-1",
    b"99999999",
    b"1e308",
    b"nan",
    b"inf",
    b"\xff",
    b"\0",
    b"[" * 3000,
    b"(" * 3000,
    b'{"a":' * 3000,
    b"9" * 3000,
]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Between one and four changes, half of them near the start, where the headers are."""
    for _ in range(rng.integers(1, 5)):
        reach = len(data) if rng.random() < 0.5 else min(len(data), 700)
        place, other = (int(x) for x in rng.integers(0, reach + 1, 2))
        length = int(rng.integers(1, 9))
        match rng.integers(0, 8):
            case 0:
                data = (
                    data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]
                    if place < len(data)
                    else b""
                )
            case 1:
                data = data[:place]
            case 2:
                number = NUMBERS[rng.integers(len(NUMBERS))] & (1 << 8 * length) - 1
                data = (
                    data[:place] + number.to_bytes(length, ("little", "big")[rng.integers(2)]) + data[place + length :]
                )
            case 3:
                text = TEXTS[rng.integers(len(TEXTS))]
                data = data[:place] + text + data[place + len(text) * int(rng.integers(2)) :]
            case 4:
                data = data[:place] + rng.bytes(length) + data[place + length :]
            case 5:
                data = data[: min(place, other)] + data[max(place, other) :]
            case 6:
                data = data[:place] + data[min(place, other) : min(place, other) + 64] + data[place:]
            case 7:
                data = (
                    re.sub(rb"\d", lambda m: b"%d" % rng.integers(10) if rng.random() < 0.1 else m[0], data[:700])
                    + data[700:]
                )
    return data


def scp_files() -> list[bytes]:
    rng = np.random.default_rng(1)
    leads = {lead: np.cumsum(rng.integers(-30, 31, 600)) for lead in LEADS}
    beat = {lead: rng.integers(-300, 300, 150) for lead in LEADS}
    beats = [scp_writer.Beat(0, 101, 150, 220, 131, 170), scp_writer.Beat(0, 351, 400, 470, 381, 420)]
    packed = {"beats": beats, "reference": beat, "fiducial": 60}
    said = bytes(8) + b"\1" + struct.pack("<BH", 1, 6) + b"Sinus\0"
    others = {1: struct.pack("<BH", 0, 4) + b"Eva\0" + b"\xff\0\0", 7: bytes(40), 8: said, 11: said}
    recordings = [
        scp_writer.Recording(leads, tables=None, order=0, others=others),
        scp_writer.Recording(leads),
        scp_writer.Recording(leads, tables=scp_writer.SWITCHING, order=1),
        scp_writer.Recording(leads, **packed, is_subtracted=True, others=others),
        scp_writer.Recording(leads, **packed, is_subtracted=True, factor=4),
    ]
    return [recording.to_bytes() for recording in recordings]


def seal_ishne(data: bytes) -> bytes:
    if len(data) < 522:
        return data
    offset = max(522, min(struct.unpack_from("<i", data, 22)[0], len(data)))
    return data[:8] + struct.pack("<H", binascii.crc_hqx(data[10:offset], 0xFFFF)) + data[10:]


def table_files() -> list[bytes]:
    samples = np.round(np.random.default_rng(1).normal(size=(12, 300)), 3)
    files = []
    for save in (np.save, np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, samples)
        files.append(file.getvalue())
    rows = "\n".join(",".join(map(str, row)) for row in samples.T)
    files.append(f"{','.join(f'{lead} (mV)' for lead in LEADS)}\n{rows}\n".encode())
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return files
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(zip(LEADS, samples, strict=True))), file)
    return [*files, file.getvalue()]


def dicom_files() -> list[bytes]:
    samples = format_files.integers(400, 1, 100)
    median = format_files.dicom_group(samples[:, :60], fs=100, originality="DERIVED", label="MEDIAN BEAT")
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for syntax in (IMPLICIT, EXPLICIT, DEFLATED):
            path = Path(folder, "a.dcm")
            format_files.dicom_file(path, median, format_files.dicom_group(samples, fs=100), syntax=syntax)
            files.append(path.read_bytes())
    return files


def muse_files() -> list[bytes]:
    samples = format_files.integers(400, 1, 100, format_files.STORED)
    encodings = ("ISO-8859-1", "UTF-8", "UTF-16")
    # Without checksums, so that damage gets past them.
    return [format_files.muse_xml(samples, fs=100, encoding=encoding, crc=lambda _: "") for encoding in encodings]


def philips_files() -> list[bytes]:
    samples = format_files.integers(200, 1, 100)
    kinds = (("1.04", "XLI", "utf-16"), ("1.03", "XLI", "utf-8"), ("1.04", "Uncompressed", "utf-8"))
    return [
        format_files.philips_xml(samples, fs=100, version=version, compression=compression, encoding=encoding)
        for version, compression, encoding in kinds
    ]


SIDECAR = json.dumps({"sampling_frequency": 100, "unit": "mV", "leads": LEADS, "age": 61, "sex": "Female"}).encode()


TEXT_TABLES = [
    "\n".join(
        f"{clock:.3f}\t{a}\t{b}".replace(".", ",")
        for clock, a, b in zip(
            np.arange(300) / 100, *np.random.default_rng(1).normal(size=(2, 300)).round(3), strict=True
        )
    )
    .join(["time\tI (mV)\tII (mV)\n", "\n"])
    .encode(),
    b"# x\n'time','DI','V1'\n's','mV','mV'\n"
    + b"".join(b"'0:%06.3f',%d,%d\n" % (i / 100, i % 7, i % 5) for i in range(300)),
    "I;II\n".encode("utf-16") + "".join(f"{i % 7},5;{i % 5},25\n" for i in range(300)).encode("utf-16-le"),
]


def more_files(name: str) -> list[bytes]:
    samples = format_files.integers(200, 1, 300)
    make = {"GE CardioSoft XML": more_format_files.cardiosoft_xml, "Schiller XML": more_format_files.schiller_xml,
            "Mortara ELI XML": more_format_files.mortara_xml, "MFER": more_format_files.mfer_file}  # fmt: skip
    if name == "MFER":
        return [make[name](samples, fs=250, order=order, block=block) for order in "<>" for block in (1, 300)]
    return [make[name](samples, fs=300)] if name in make else [more_format_files.kardia_json(samples[:6])]


CHALLENGE = np.random.default_rng(1).integers(-2000, 2000, (12, 300)).astype("<i2")
WFDB = ("16", "16x5")


def challenge_header(format_: str = "16+24", name: str = "x.mat") -> bytes:
    frames = int((re.search(r"x(\d+)", format_) or [0, 1])[1])
    lines = [f"{name} {format_} 1000(0)/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    comments = ["#Age: 61", "#Sex: Female", "#Dx: 426783006,164889003", "# Statement: Sinus rhythm"]
    return "\n".join([f"x 12 {100 / frames:g} {300 // frames}", *lines, *comments]).encode()


def matlab_files() -> list[bytes]:
    files = []
    for options in ({"format": "4"}, {}, {"do_compression": True}):
        file = io.BytesIO()
        savemat(file, {"val": CHALLENGE}, **options)
        files.append(file.getvalue())
    return files


def read_challenge_as(suffix: str) -> Callable[[Path], object]:
    """Reads a file as the header, or the signal file, of a recording whose other files are good."""

    def read(path: Path) -> object:
        path.with_suffix(".mat").write_bytes(matlab_files()[0])
        path.with_suffix(".dat").write_bytes(CHALLENGE.T.tobytes())
        path.with_suffix(".hea").write_bytes(challenge_header())
        path.with_suffix(suffix).write_bytes(path.read_bytes())
        return read_challenge(path.with_suffix(".hea"))

    return read


@dataclass(frozen=True)
class Format:
    files: Callable[[], list[bytes]]
    recognise: Callable[[bytes], bool]
    read: Callable[[Path], object]
    seal: Callable[[bytes], bytes] = bytes  # puts checksums right, so that damage gets past them


FORMATS = {
    "scp": Format(scp_files, is_scp_ecg, read_scp_ecg, scp_writer.seal),
    "edf": Format(
        lambda: [
            test_edf.edf("ECG II", "V1"),
            test_edf.edf("I", "II", kind="EDF+C"),
            test_edf.fields([test_edf.LEAD | {"label": "I"}], version=b"\xffBIOSEMI") + bytes(3000),
        ],
        is_edf,
        read_edf,
    ),
    "ishne": Format(lambda: [test_ishne.ishne()], is_ishne, read_ishne, seal_ishne),
    "table": Format(table_files, is_table, read_table),
    "dicom": Format(dicom_files, is_dicom, read_dicom),
    "aecg": Format(
        lambda: [format_files.aecg_xml(format_files.integers(400, 1, 100), increment=("0.01", "s"))], is_aecg, read_aecg
    ),
    "muse": Format(muse_files, is_muse, read_muse),
    "philips": Format(philips_files, is_philips, read_philips),
    "text": Format(lambda: TEXT_TABLES, is_table, read_table),
    "wrapped": Format(lambda: [dicom_files()[0][132:], dicom_files()[1][132:]], is_dicom, read_dicom),
    "header": Format(
        lambda: [challenge_header(), *(challenge_header(format_, "x.dat") for format_ in WFDB)],
        lambda start: True,
        read_challenge_as(".hea"),
    ),
    "matlab": Format(matlab_files, lambda start: True, read_challenge_as(".mat")),
    "mended": Format(lambda: [test_edf.MENDED["both"]], is_edf, read_edf),
    **{
        name: Format(
            lambda name=name: more_files(name),
            *next((one.is_it, one.read) for one in FORMATS_OF_ECG if one.name == name),
        )
        for name in FILES
    },
}


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_read_or_refused(tmp_path, name):
    kind = FORMATS[name]
    files = kind.files()
    path = tmp_path / "x.bin"
    sidecar = SIDECAR if name != "text" else b'{"sampling_frequency": 100, "unit": "mV"}'
    path.with_suffix(".json").write_bytes(sidecar)
    for file in files:  # all that a good file loads before the count begins
        path.write_bytes(file)
        kind.read(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = {"read": 0, "refused": 0}
    slowest = (0.0, -1)
    for case in range(CASES):
        rng = np.random.default_rng(case)
        data = damaged(files[case % len(files)], rng)
        data = kind.seal(data) if rng.random() < 0.8 else data
        path.write_bytes(data)
        if name in ("table", "text"):
            path.with_suffix(".json").write_bytes(sidecar if rng.random() < 0.8 else damaged(sidecar, rng))
        assert kind.recognise(data[:4096]) in (True, False)
        begun = time.perf_counter()
        try:
            stored = kind.read(path)
            millivolts = helper_code.to_millivolts(stored.samples, stored.header, path)
            assert millivolts.shape == (12, stored.header.n_samples), case
            outcomes["read"] += 1
        except RecordingError as error:
            assert str(error).startswith(f"{tmp_path}{os.sep}"), (case, error)
            assert re.search(r": .*expected .*, found ", str(error), re.DOTALL), (case, error)
            outcomes["refused"] += 1
        slowest = max(slowest, (time.perf_counter() - begun, case))
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"\n{name}: {outcomes}, slowest {1000 * slowest[0]:.0f} ms (case {slowest[1]}), memory up by {megabytes:.0f} MB"
    )
    assert megabytes < MOST_MEGABYTES
    assert outcomes["refused"] > CASES / 10
    assert outcomes["read"] > CASES / 50  # else the damage never gets past the first checks
