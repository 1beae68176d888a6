"""SCP-ECG: every way to pack samples, written by tests/scp_writer.py, and a real file where it is there."""

import re
import struct
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import helper_code
from ecg.io.errors import RecordingError
from ecg.io.readers import scp_compression as packing
from ecg.io.readers.scp_compression import Code, Table, decode_huffman, default_table
from ecg.io.readers.scp_ecg import is_scp_ecg, read_scp_ecg
from ecg.leads import LEADS
from scp_writer import STANDARD, SWITCHING, Beat, Recording, assemble, encode, seal

SHARED = Path(__file__).resolve().parents[3] / "shared" / "formats"
RNG = np.random.default_rng(5)
BEATS = [Beat(0, 201, 250, 300, 231, 270), Beat(1, 0, 500, 0, 481, 519), Beat(0, 701, 750, 800, 731, 770)]


def signal(n_samples: int = 1000, n_leads: int = 12) -> dict[str, np.ndarray]:
    steps = RNG.integers(-60, 61, (n_leads, n_samples)) * (RNG.random((n_leads, n_samples)) < 0.3)
    return dict(zip(LEADS, np.cumsum(steps, axis=1), strict=False))


def read(folder: Path, recording: Recording):
    (folder / "x.scp").write_bytes(recording.to_bytes())
    return read_scp_ecg(folder / "x.scp")


def assert_same(stored, leads: dict[str, np.ndarray]) -> None:
    assert stored.header.leads == tuple(leads)
    np.testing.assert_array_equal(stored.samples, np.array(list(leads.values())))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    "tables",
    [None, "standard", [STANDARD], SWITCHING, [STANDARD] * 16],
    ids=["raw", "standard", "own", "switching", "as many as may be"],
)
def test_samples_come_back_from_every_coding(tmp_path, tables, order):
    leads = signal()
    stored = read(tmp_path, Recording(leads, tables=tables, order=order))
    assert_same(stored, leads)
    assert stored.samples.dtype == np.int16
    assert stored.header.sampling_frequency == 500
    np.testing.assert_allclose(
        helper_code.to_millivolts(stored.samples, stored.header), np.array(list(leads.values())) * 0.0025, rtol=1e-6
    )


def test_the_standard_table_has_these_bits():
    bits = "01001011100111111110111111111100000100111111111111111111100111000"
    data = int(bits.ljust(72, "0"), 2).to_bytes(9, "big")
    values = decode_huffman(data, [Table(default_table())], 7)
    assert values.tolist() == [0, 1, -1, 2, -8, 9, -200]
    assert encode(values.tolist(), [STANDARD]) == data


@given(
    values=st.lists(st.integers(-32768, 32767), min_size=1, max_size=60),
    tables=st.sampled_from([[STANDARD], SWITCHING]),
)
def test_any_values_come_back_from_huffman_codes(values, tables):
    rows = [
        [Code(p, raw, base if to is None else to, to is not None) for p, raw, base, to in table] for table in tables
    ]
    assert decode_huffman(encode(values, tables), list(map(Table, rows)), len(values)).tolist() == values


def test_codes_of_which_one_begins_another_are_refused_in_any_order():
    prefixes = ["0", "1", "00", "01", "10", "000", "011"]
    for chosen in (one for n in (2, 3) for one in permutations(prefixes, n)):
        clashes = any(other.startswith(one) for one, other in permutations(chosen, 2))
        try:
            Table([Code(prefix) for prefix in chosen])
        except ValueError as error:
            one, other = re.fullmatch("the code ([01]+), with which the code ([01]+) begins", str(error)).groups()
            assert clashes and {one, other} < {*chosen, "-"} and other.startswith(one)
        else:
            assert not clashes, chosen
    with pytest.raises(ValueError, match="the code 1, with which the code 1 begins"):
        Table([Code("1"), Code("0"), Code("1")])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (Code("1" * 16), None),
        (Code("1" * 17), "a code with a prefix of 17 bits and 0 more"),
        (Code(""), "a code with a prefix of 0 bits and 0 more"),
        (Code("1", n_raw=16), None),
        (Code("1", n_raw=17), "a code with a prefix of 1 bits and 17 more"),
        (Code("1", n_raw=-1), "a code with a prefix of 1 bits and -1 more"),
        (Code("1", n_raw=4, value=1), "a code with both raw bits and a base value"),
        (Code("1", n_raw=4, value=1, switches=True), "a code with both raw bits and a base value"),
        (Code("1", value=0, switches=True), "a switch to table 0"),
        (Code("1", value=1, switches=True), None),
        (Code("1", value=255, switches=True), None),
        (Code("1", value=256, switches=True), "a switch to table 256"),
        (Code("1", value=-300), None),
    ],
)
def test_what_a_code_may_be(code, said):
    if said is None:
        assert Table([Code("0"), code]).codes[1] == code
        return
    with pytest.raises(ValueError, match=f"^{said}$"):
        Table([Code("0"), code])


@pytest.mark.parametrize("version", [10, 13, 20, 30])
def test_subtracted_reference_beats_are_added(tmp_path, version):
    leads = signal()
    reference = signal(300)
    stored = read(
        tmp_path, Recording(leads, beats=BEATS, reference=reference, fiducial=120, is_subtracted=True, version=version)
    )
    assert_same(stored, leads)


@pytest.mark.parametrize(("unit", "reference_unit", "common"), [(1250, 3750, 1250), (2000, 5000, 1000)])
def test_the_reference_beat_may_have_a_coarser_unit(tmp_path, unit, reference_unit, common):
    leads, reference = signal(), {lead: 2 * samples for lead, samples in signal(300).items()}
    packing = {"beats": BEATS, "reference": reference, "fiducial": 120, "is_subtracted": True}
    stored = read(tmp_path, Recording(leads, unit=unit, reference_unit=reference_unit, **packing))
    assert_same(stored, {lead: samples * (unit // common) for lead, samples in leads.items()})
    assert set(stored.header.adc_gains) == {1e6 / common}


@pytest.mark.parametrize("is_subtracted", [False, True])
def test_protected_zones_and_level_stretches_come_back_exactly_from_bimodal_compression(tmp_path, is_subtracted):
    leads = {lead: np.full(1000, RNG.integers(-500, 500)) for lead in LEADS}
    reference = signal(300)
    for lead, samples in leads.items():
        for beat in BEATS:
            samples[beat.keep - 1 : beat.keep_end] = RNG.integers(-900, 900, beat.keep_end - beat.keep + 1)
            if beat.kind == 0 and is_subtracted:  # what is left without the reference beat must be level
                for place in range(beat.begin, beat.end + 1):
                    samples[place - 1] += reference[lead][120 - 1 + place - beat.fiducial]
    recording = Recording(leads, beats=BEATS, reference=reference, fiducial=120, is_subtracted=is_subtracted, factor=4)
    assert len(recording.stored("I")) < 450
    stored = read(tmp_path, recording)
    assert stored.header.sampling_frequency == 500
    # The mean of three mixes a zone's first and last sample into its neighbours outside.
    mixed = [place for beat in BEATS for place in (beat.keep - 2, beat.keep_end)]
    expected = {lead: np.delete(samples, mixed) for lead, samples in leads.items()}
    np.testing.assert_array_equal(np.delete(stored.samples, mixed, axis=1), np.array(list(expected.values())))


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("version", [10, 11, 20])
def test_bimodal_decompression_is_the_plain_loop(tmp_path, factor, version):
    leads = signal(997)
    beats = BEATS if version == 20 else [replace(beat, keep=beat.begin, keep_end=beat.end) for beat in BEATS]
    recording = Recording(leads, beats=beats, reference=signal(300), fiducial=120, factor=factor, version=version)
    stored = read(tmp_path, recording)
    for lead, samples in zip(leads, stored.samples, strict=True):
        assert samples.tolist() == plainly_undone(recording, lead, len(leads[lead]))


@pytest.mark.parametrize(
    ("subtracted", "reference_start", "expected"),
    [
        (range(2, 8), 1, [0, 0, 2, 3, 0, 0, 0, 0]),
        (range(2, 8), -2, [0, 0, 0, 0, 1, 2, 3, 0]),
        (range(-1, 3), 0, [2, 3, 0, 0, 0, 0, 0, 0]),
        (range(-1, 3), -2, [0, 1, 2, 0, 0, 0, 0, 0]),
        (range(6, 12), 0, [0, 0, 0, 0, 0, 0, 1, 2]),
        (range(-9, -5), 0, [0, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_reference_beat_is_added_as_far_as_it_and_the_lead_reach(subtracted, reference_start, expected):
    beat = packing.Beat(subtracted, reference_start, range(0))
    assert packing.add_reference_beats(np.zeros(8, np.int64), np.array([1, 2, 3]), [beat]).tolist() == expected


def plainly_undone(recording: Recording, lead: str, n_samples: int) -> list[int]:
    """Sample by sample, with lists."""
    packed, d, out = recording.stored(lead).tolist(), recording.factor, []
    kept = {i - 1 for beat in recording.beats for i in range(beat.keep, beat.keep_end + 1)}
    gaps, i = [], 0
    while i < n_samples:
        if i in kept:
            out.append(packed.pop(0))
            i += 1
            continue
        end = next((j for j in range(i, n_samples) if j in kept), n_samples)
        means = [packed.pop(0) for _ in range((end - i) // d)]
        line = [means[0]] * (d // 2) if means else []
        for a, b in pairwise(means):
            line += [int(np.rint(a + (b - a) * j / d)) for j in range(d)]
        line += [means[-1]] * (d - d // 2) if means else []
        out += [*line, *(packed.pop(0) for _ in range((end - i) % d))]
        gaps.append((i, end))
        i = end
    assert packed == []
    smooth = out.copy()
    breaks = {edge for b in recording.beats if b.kind == 0 for edge in (b.begin - 1, b.end)}  # a stretch starts here
    for start, end in gaps:
        for i in range(max(start, 1), min(end, n_samples - 1)):
            if i not in breaks and i + 1 not in breaks:
                total = sum(out[i - 1 : i + 2])
                smooth[i] = (total + 1) // 3 if total >= 0 else -((-total + 1) // 3)
    return smooth


def test_leads_of_different_times_keep_their_places(tmp_path):
    leads = signal(1500)
    starts = {lead: 1 + 1500 * (i // 3) for i, lead in enumerate(LEADS)}
    stored = read(tmp_path, Recording(leads, starts=starts))
    assert stored.samples.shape == (12, 6000)
    for i, lead in enumerate(LEADS):
        np.testing.assert_array_equal(stored.samples[i, starts[lead] - 1 : starts[lead] + 1499], leads[lead])
    millivolts = helper_code.to_millivolts(stored.samples, stored.header)
    assert np.isnan(millivolts).sum() == 12 * 4500


def test_samples_may_be_counted_from_zero(tmp_path):
    leads = signal()
    assert_same(read(tmp_path, Recording(leads, starts=dict.fromkeys(leads, 0))), leads)


def test_eight_leads_stay_eight(tmp_path):
    leads = {lead: x for lead, x in signal().items() if lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")}
    assert_same(read(tmp_path, Recording(leads)), leads)


def test_large_samples_become_int32(tmp_path):
    leads = {"I": np.repeat([30000, 30100, 40000], 300)}
    stored = read(tmp_path, Recording(leads, order=1))
    assert_same(stored, leads)
    assert stored.samples.dtype == np.int32


def tag(number: int, value: bytes) -> bytes:
    return struct.pack("<BH", number, len(value)) + value


DEVICE = (
    struct.pack("<HHHBB6sBBBBB16xB", 0, 0, 0, 1, 8, b"E250\0\0", 20, 0, 0, 0, 0, 3) + b"r1\0ser\0sw\0scp\0Mortara Inc\0"
)


def test_patient_device_measurements_and_statements(tmp_path):
    facts = {0: b"M\xfcller\0", 1: b"Eva\0", 2: b"ID-7\0", 5: struct.pack("<HBB", 1960, 6, 15), 8: b"\2", 14: DEVICE}
    facts |= {20: b"Dr. Who\0", 25: struct.pack("<HBB", 2020, 6, 14), 26: bytes([9, 5, 7]), 255: b""}
    patient = b"".join(tag(number, value) for number, value in facts.items())
    measured = struct.pack("<BBHH", 1, 1, 800, 29999) + struct.pack("<5H3h", 286, 388, 434, 554, 854, 44, -61, 999)
    measured += bytes(10) + struct.pack("<H", 2) + bytes(2) + struct.pack("<HHHBH", 76, 29999, 443, 1, 0)
    texts = [b"Sinus rhythm\0", b"Left axis deviation\0", b"\0", b"Confirmed by Dr. No\0"]
    said = bytes(8) + bytes([len(texts)]) + b"".join(struct.pack("<BH", i, len(t)) + t for i, t in enumerate(texts))
    coded = bytes(8) + b"\1" + struct.pack("<BH", 1, 6) + b"\1ANMI\0"
    stored = read(tmp_path, Recording(signal(), others={1: patient, 7: measured, 8: said, 11: coded}))
    assert (stored.header.age, stored.header.sex, stored.header.recording_id) == (59, "Female", "x")
    assert (stored.device.maker, stored.device.model) == ("Mortara Inc", "E250")
    assert str(stored.device.acquired) == "2020-06-14 09:05:07"
    assert stored.device.statements == ("Sinus rhythm", "Left axis deviation", "ANMI")
    assert stored.device.measurements == {
        "p_ms": 102, "pr_ms": 148, "qrs_ms": 120, "qt_ms": 420, "p_axis_deg": 44, "qrs_axis_deg": -61, "qtc_ms": 443,
        "heart_rate_bpm": 76,
    }  # fmt: skip
    assert (stored.identity.name, stored.identity.patient_id) == ("Eva Müller", "ID-7")
    assert str(stored.identity.birth_date) == "1960-06-15"
    assert stored.identity.others == {"referring physician": "Dr. Who", "signature 1": "Confirmed by Dr. No"}
    for secret in ("Eva", "ID-7", "1960", "Who", "Dr. No"):
        assert secret not in repr(stored)


def test_a_written_age_counts_before_the_birth_date(tmp_path):
    patient = tag(4, struct.pack("<HB", 18, 2)) + tag(8, b"\1")
    header = read(tmp_path, Recording(signal(), others={1: patient})).header
    assert (header.age, header.sex) == (1.5, "Male")


def edited(recording: Recording, sections: dict[int, bytes | None]) -> bytes:
    """The record with some of its sections replaced (None: left out)."""
    data = recording.to_bytes()
    found = {}
    for i in range(32, 142, 10):
        number, length, index = struct.unpack_from("<HII", data, i)
        if length:
            found[number] = data[index + 15 : index - 1 + length]
    return seal(assemble({k: v for k, v in (found | sections).items() if v is not None}, 20))


GOOD = Recording(signal(n_leads=2))


def lead_section(*rows: tuple[int, int, int]) -> bytes:
    return bytes([len(rows), 4]) + b"".join(struct.pack("<IIB", *row) for row in rows)


def table_section(*rows: tuple[int, int, int, int, int]) -> bytes:
    return struct.pack("<HH", 1, len(rows)) + b"".join(struct.pack("<BBBhI", *row) for row in rows)


REFUSED = {
    "cut": (GOOD.to_bytes()[:-1], "a record of at most the file's"),
    "flipped bit": (GOOD.to_bytes()[:-9] + bytes([GOOD.to_bytes()[-9] ^ 1]) + GOOD.to_bytes()[-8:], "checksum"),
    "no rhythm": (edited(GOOD, {6: None}), r"a section 6 \(rhythm data\), found none"),
    "no leads": (edited(GOOD, {3: None}), r"a section 3 \(leads\), found none"),
    "no reference beat": (Recording(signal(), factor=4, beats=BEATS).to_bytes(), "a section 4"),
    "lead backwards": (edited(GOOD, {3: lead_section((9, 8, 1))}), "leads that end after they begin"),
    "short lead": (edited(GOOD, {3: lead_section((1, 90000, 1), (1, 90000, 2))}), "90000 samples of lead I, "),
    "long lead": (edited(GOOD, {3: lead_section((1, 2**32 - 1, 1))}), "at most 30 minutes"),
    "far apart": (
        edited(GOOD, {3: lead_section(*[(1, 9, 1)] * 59, (800000, 800001, 2)), 6: b"\xc4\x09\xd0\x07" + bytes(122)}),
        "samples in a lead and 8388608 together, found 60 leads of 800001",
    ),
    "many leads": (edited(GOOD, {3: lead_section(*[(1, 9, 1)] * 99)}), "at most 64 leads, found 99"),
    "no unit": (edited(GOOD, {6: struct.pack("<HHBB", 0, 2000, 0, 0)}), "a unit"),
    "third differences": (edited(GOOD, {6: struct.pack("<HHBB", 2500, 2000, 3, 0)}), "differences of order 0 to 2"),
    "no such table": (edited(GOOD, {2: table_section((1, 1, 0, 7, 0))}), "a switch to table 7 of 1"),
    "no prefix code": (
        edited(GOOD, {2: table_section((1, 1, 1, 0, 0), (2, 2, 1, 0, 2))}),
        "the code 0, with which the code 01 begins",
    ),
    "many tables": (edited(GOOD, {2: struct.pack("<H", 60000)}), "at most 16 Huffman tables"),
    "no such bits": (edited(GOOD, {2: table_section((16, 16, 1, 0, 0xFFFF))}), "bits that are no code"),
    "other leads": (edited(GOOD, {3: lead_section((1, 1000, 16), (1, 1000, 17))}), "some of the leads"),
    "too slow": (Recording(signal(), interval=40000).to_bytes(), "a sampling frequency of 50 to 5000 Hz, found 25 Hz"),
    "too short": (Recording(signal(400)).to_bytes(), "at least 1 s"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_wrong_is_said(tmp_path, kind):
    data, said = REFUSED[kind]
    (tmp_path / "x.scp").write_bytes(data)
    with pytest.raises(RecordingError, match=f"x.scp: .*{said}"):
        read_scp_ecg(tmp_path / "x.scp")


def test_it_is_known_by_its_content():
    assert is_scp_ecg(GOOD.to_bytes()[:4096])
    assert is_scp_ecg(GOOD.to_bytes().replace(b"SCPECG", bytes(6))[:4096])  # as in versions before 1.3
    assert not any(map(is_scp_ecg, (b"", b"\0" * 4096, b"A0001 12 500 5000\n" * 10, bytes(range(256)) * 16)))


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared real files")
def test_a_real_file():
    stored = read_scp_ecg(SHARED / "scp-example.scp")
    assert stored.samples.shape == (12, 5000)
    assert set(stored.header.leads) == set(LEADS)
    assert (stored.header.sampling_frequency, set(stored.header.adc_gains)) == (500, {400})
    expected = {"p_ms": 102, "pr_ms": 148, "qrs_ms": 120, "qt_ms": 420, "qtc_ms": 443}
    expected |= {"p_axis_deg": 44, "qrs_axis_deg": -61, "t_axis_deg": 86}
    assert stored.device.measurements == expected
    millivolts = dict(zip(LEADS, helper_code.to_millivolts(stored.samples, stored.header), strict=True))
    np.testing.assert_allclose(millivolts["III"], millivolts["II"] - millivolts["I"], atol=0.0051)
    pydicom = pytest.importorskip("pydicom")
    same = pydicom.dcmread(SHARED / "dicom-example.dcm").WaveformSequence[0]
    samples = np.frombuffer(same.WaveformData, "<i2").reshape(-1, 12).T  # in the order of LEADS
    np.testing.assert_array_equal(stored.samples[[stored.header.leads.index(lead) for lead in LEADS]], samples)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared real files")
def test_a_real_file_that_does_not_conform():
    with pytest.raises(RecordingError, match="a record of at most the file's 32768 bytes"):
        read_scp_ecg(SHARED / "scp-nonconforming.scp")
    assert is_scp_ecg((SHARED / "scp-nonconforming.scp").read_bytes()[:4096])


@pytest.mark.parametrize("tables", [None, "standard", SWITCHING], ids=["raw", "standard", "switching"])
def test_leads_counted_from_zero_to_their_length(tmp_path, tables):
    leads = signal(n_leads=8)
    recording = Recording(leads, tables=tables)
    section = lead_section(*((0, 1000, number) for number in (1, 2, 61, 62, 63, 64, 3, 4)))
    (tmp_path / "x.scp").write_bytes(edited(recording, {3: section}))
    stored = read_scp_ecg(tmp_path / "x.scp")
    # Bits that fill up the last byte may be one sample more; without packing the number of bytes tells.
    assert stored.samples.shape[1] in ((1000,) if tables is None else (1000, 1001))
    np.testing.assert_array_equal(stored.samples[:, :1000], np.array(list(leads.values())))


def test_of_two_sections_of_one_number_the_first_counts(tmp_path):
    facts = [
        struct.pack("<BH", 2, 4) + b"P 1\0" + struct.pack("<BH", 255, 0),
        struct.pack("<BH", 2, 4) + b"P 2\0" + struct.pack("<BH", 255, 0),
    ]
    data = bytearray(Recording(signal(), others={1: facts[0], 9: facts[1]}).to_bytes())
    place = next(place for place in range(32, 142, 10) if struct.unpack_from("<H", data, place) == (9,))
    index = struct.unpack_from("<HII", data, place)[2]
    for at in (place, index - 1 + 2):  # the pointer and the section's own header
        struct.pack_into("<H", data, at, 1)
    (tmp_path / "x.scp").write_bytes(seal(bytes(data)))
    assert read_scp_ecg(tmp_path / "x.scp").identity.patient_id == "P 1"
