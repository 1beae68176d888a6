"""ISHNE Holter files, written here byte by byte."""

import binascii
import struct
import tracemalloc

import numpy as np
import pytest

import helper_code
from ecg.io.errors import RecordingError
from ecg.io.readers.ishne import is_ishne, read_ishne

SIGNAL = np.random.default_rng(1).integers(-3000, 3000, (3, 1000)).astype(np.int16)


def ishne(
    samples=SIGNAL, leads=(6, 11, 15), resolution=(2500, 2500, 5000), rate=200, n_declared=None, block=b"notes", **f
):
    n_leads = len(samples)
    fill = [-9] * (12 - n_leads)
    head = struct.pack(
        "<4ih", len(block), samples.shape[1] if n_declared is None else n_declared, 522, 522 + len(block), 1
    )
    head += b"Eva".ljust(40, b"\0") + b"M\xfcller".ljust(40, b"\0") + b"ID-7".ljust(20, b"\0")
    head += struct.pack(
        "<2h3h3h3h3h", f.get("sex", 2), 1, 15, 6, 1960, 14, 6, 2020, 15, 6, 2020, *f.get("clock", (9, 5, 7))
    )
    head += struct.pack("<h12h12h12hh", f.get("n_leads", n_leads), *leads, *fill, *[0] * 12, *resolution, *fill, 0)
    head += b"Recorder 3".ljust(40, b"\0") + struct.pack("<h", rate) + b"".ljust(80) + b"".ljust(80) + b"".ljust(88)
    assert len(head) == 512
    head += block
    return b"ISHNE1.0" + struct.pack("<H", binascii.crc_hqx(head, 0xFFFF)) + head + samples.T.astype("<i2").tobytes()


def read(folder, data, **part):
    (folder / "x.ecg").write_bytes(data)
    return read_ishne(folder / "x.ecg", **part)


def test_samples_leads_and_units(tmp_path):
    stored = read(tmp_path, ishne())
    assert stored.header.leads == ("II", "V1", "V5")
    assert (stored.header.sampling_frequency, stored.header.adc_gains) == (200, (400, 400, 200))
    assert stored.samples.dtype == np.int16
    np.testing.assert_array_equal(stored.samples, SIGNAL)
    millivolts = helper_code.to_millivolts(stored.samples, stored.header)
    np.testing.assert_allclose(millivolts[[1, 6, 10]], SIGNAL * np.array([[2.5e-3], [2.5e-3], [5e-3]]), rtol=1e-6)


def test_patient_and_recorder(tmp_path):
    stored = read(tmp_path, ishne())
    assert (stored.header.age, stored.header.sex) == (59, "Female")
    assert (stored.device.model, str(stored.device.acquired)) == ("Recorder 3", "2020-06-14 09:05:07")
    assert (stored.identity.name, stored.identity.patient_id) == ("Eva Müller", "ID-7")
    assert str(stored.identity.birth_date) == "1960-06-15"
    assert not any(secret in repr(stored) for secret in ("Eva", "ID-7", "1960"))


def test_samples_of_all_leads_may_be_counted_together(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, ishne(n_declared=3000)).samples, SIGNAL)


def test_a_part_of_a_long_recording_is_read_alone(tmp_path):
    day = np.arange(24 * 3600 * 50, dtype=np.int64).astype(np.int16)[None]
    (tmp_path / "x.ecg").write_bytes(ishne(day, (6,), (2500,), rate=50))
    with pytest.raises(
        RecordingError, match=r"at most 30 minutes \(ask for a part .* start and stop\), found 1440.0 min"
    ):
        read_ishne(tmp_path / "x.ecg")
    tracemalloc.start()
    stored = read_ishne(tmp_path / "x.ecg", start=100_000, stop=100_500)
    assert tracemalloc.get_traced_memory()[1] < 200_000  # the file has 8.6 MB
    tracemalloc.stop()
    np.testing.assert_array_equal(stored.samples, day[:, 100_000:100_500])
    assert stored.header.n_samples == 500


def test_a_part_is_the_same_samples_of_every_lead(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, ishne(), start=301, stop=700).samples, SIGNAL[:, 301:700])
    np.testing.assert_array_equal(read(tmp_path, ishne(), start=301).samples, SIGNAL[:, 301:])


GOOD = ishne()
REFUSED = {
    "empty": (b"", "an ISHNE file, found an empty file"),
    "annotations": (b"ANN  1.0" + GOOD[8:], "an ISHNE file, found 'ANN  1.0'"),
    "cut header": (GOOD[:300], "a header of 522 bytes, found 300"),
    "flipped bit": (GOOD[:60] + bytes([GOOD[60] ^ 4]) + GOOD[61:], "checksum"),
    "cut samples": (GOOD[:-100], "1000 samples in each of 3 leads, found 983"),
    "no leads": (ishne(n_leads=0), "1 to 12 leads, found 0"),
    "many leads": (ishne(n_leads=999), "1 to 12 leads, found 999"),
    "no rate": (ishne(rate=0), "a sampling frequency of 50 to 5000 Hz"),
    "no resolution": (ishne(resolution=(2500, 0, 2500)), "a scale for lead V1"),
    "unknown leads": (ishne(leads=(1, 1, 0)), "some of the leads I, II, .* found 'ISHNE lead 1"),
    "short": (ishne(SIGNAL[:, :100]), "at least 1 s"),
    "far offset": (GOOD[:22] + struct.pack("<i", 2**31 - 1) + GOOD[26:], "a block of variable length"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_wrong_is_said(tmp_path, kind):
    with pytest.raises(RecordingError, match=f"x.ecg: expected .*{REFUSED[kind][1]}"):
        read(tmp_path, REFUSED[kind][0])


@pytest.mark.parametrize("part", [(-1, 500), (500, 400), (0, 1001)])
def test_a_part_must_lie_within(tmp_path, part):
    with pytest.raises(RecordingError, match="a part of the 1000 samples"):
        read(tmp_path, GOOD, start=part[0], stop=part[1])


def test_unknown_dates_and_times_are_none(tmp_path):
    stored = read(tmp_path, ishne(clock=(-9, 0, 0), sex=0))
    assert stored.device.acquired is None
    assert stored.header.sex == "Unknown"


def test_it_is_known_by_its_content():
    assert is_ishne(GOOD[:4096])
    assert not is_ishne(b"ANN  1.0")
    assert not is_ishne(b"")
