"""EDF, EDF+ and BDF files: written by edfio, and byte by byte."""

import datetime
import re

import numpy as np
import pytest

import helper_code
from ecg.io.errors import RecordingError
from ecg.io.readers import edf as edf_files
from ecg.io.readers.edf import is_edf, read_edf
from ecg.io.readers.lead_labels import lead_of
from format_files import little_memory

edfio = pytest.importorskip("edfio")

RNG = np.random.default_rng(2)


FIXED = (80, 80, 8, 8, 8, 44, 8, 8, 4)
OF_SIGNALS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "low": 8,
    "high": 8,
    "dlow": 8,
    "dhigh": 8,
    "filter": 80,
    "n": 8,
}


def fields(signals: list[dict], n_records: int = 4, seconds: str = "1", kind: str = "", version: bytes = b"0") -> bytes:
    """A header as the specification lays it out."""
    size = 256 * (len(signals) + 1)
    values = ("Eva Muster", "Ward 3", "02.03.04", "09.05.07", size, kind, n_records, seconds, len(signals))
    head = version.ljust(8) + b"".join(str(text).encode().ljust(n) for text, n in zip(values, FIXED, strict=True))
    for name, width in (OF_SIGNALS | {"reserved": 32}).items():
        head += b"".join(str(signal.get(name, "")).encode("latin-1").ljust(width) for signal in signals)
    return head


LEAD = {"unit": "uV", "low": -3200, "high": 3200, "dlow": -32000, "dhigh": 32000, "n": 250}
SAMPLES = RNG.integers(-9000, 9000, (2, 1000)).astype("<i2")


def edf(*labels: str, changes: dict | None = None, **header) -> bytes:
    signals = [LEAD | {"label": label} | (changes or {}) for label in labels]
    data = SAMPLES.reshape(2, 4, 250).swapaxes(0, 1)[:, : len(labels)].tobytes()
    return fields(signals, **header) + data


def read(folder, data):
    (folder / "x.edf").write_bytes(data)
    return read_edf(folder / "x.edf")


def test_integers_and_gains_come_back(tmp_path):
    stored = read(tmp_path, edf("ECG II", "EKG V1-REF"))
    assert stored.header.leads == ("II", "V1")
    assert (stored.header.sampling_frequency, stored.header.adc_gains) == (250, (10_000, 10_000))
    assert stored.samples.dtype == np.int16
    np.testing.assert_array_equal(stored.samples, SAMPLES)
    np.testing.assert_allclose(
        helper_code.to_millivolts(stored.samples, stored.header)[[1, 6]], SAMPLES / 1e4, rtol=1e-6
    )


@pytest.mark.parametrize(("unit", "per_millivolt"), [("uV", 1e3), ("µV", 1e3), ("mV", 1), ("V", 1e-3), ("nV", 1e6)])
def test_units_and_offsets(tmp_path, unit, per_millivolt):
    changes = {"unit": unit, "low": -1, "high": 3, "dlow": -2000, "dhigh": 6000}
    stored = read(tmp_path, edf("I", "II", changes=changes))
    expected = (-1 + (SAMPLES.astype(float) + 2000) * 4 / 8000) / per_millivolt
    np.testing.assert_allclose(
        helper_code.to_millivolts(stored.samples, stored.header)[:2], expected, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("version", [b"0", b"\xffBIOSEMI"])
def test_headers_in_latin_1(tmp_path, version):
    signals = [LEAD | {"label": label, "unit": "µV", "transducer": "für Größe"} for label in ("I", "II")]
    kind, width = ("<i2", 2) if version == b"0" else ("<i4", 3)
    data = SAMPLES.reshape(2, 4, 250).swapaxes(0, 1).astype(kind).tobytes()
    data = np.frombuffer(data, np.uint8).reshape(SAMPLES.size, -1)[:, :width].tobytes()
    head = fields(signals, version=version).replace(b"Eva Muster", "Eva Müller".encode("latin-1"))
    stored = read(tmp_path, head + data)
    assert np.array_equal(stored.samples, SAMPLES) and stored.header.adc_gains == (10_000, 10_000)
    assert stored.identity.others["patient"] == "Eva Müller"


@pytest.mark.parametrize(("spare", "is_read"), [(0, True), (-1, False)])
def test_a_bdf_file_that_would_take_too_much_memory_is_refused_and_an_edf_file_is_not(
    tmp_path, monkeypatch, spare, is_read
):
    for make, container in ((edfio.BdfSignal, edfio.Bdf), (edfio.EdfSignal, edfio.Edf)):
        is_bdf, path = container is edfio.Bdf, tmp_path / container.__name__
        wave = np.sin(np.arange(1000) / 9)
        container([make(wave, 500, label="II", physical_dimension="mV", physical_range=(-2, 2))]).write(path)
        monkeypatch.setattr(edf_files, "_LARGEST_BDF", path.stat().st_size + spare if is_bdf else 0)
        if is_read or not is_bdf:
            assert read_edf(path).samples.shape == (1, 1000)
        else:
            with pytest.raises(RecordingError, match="a BDF file of at most"):
                read_edf(path)


@pytest.mark.parametrize("version", [b"0", b"\xffBIOSEMI"])
def test_a_file_of_edfio(tmp_path, version):
    t = np.arange(2000) / 500
    ecg = [np.sin(2 * np.pi * (i + 1) * t) for i in range(3)]
    make, container, suffix = (
        (edfio.BdfSignal, edfio.Bdf, "bdf") if version != b"0" else (edfio.EdfSignal, edfio.Edf, "edf")
    )
    limits = {} if suffix == "edf" else {"digital_range": (-(2**23), 2**23 - 1)}
    signals = [
        make(x, 500, label=label, physical_dimension="mV", physical_range=(-2, 2), **limits)
        for x, label in zip(ecg, ("ECG I-Ref", "MLII", "V6"), strict=True)
    ]
    signals.insert(1, make(np.zeros(40), 10, label="Resp", physical_dimension="l", physical_range=(-1, 1), **limits))
    patient = edfio.Patient(code="ID-7", sex="F", birthdate=datetime.date(1960, 6, 15), name="Eva_Muster")
    recording = edfio.Recording(
        startdate=datetime.date(2020, 6, 14), equipment_code="Box_3", investigator_technician_code="Tom"
    )
    annotations = [edfio.EdfAnnotation(1, None, "Eva fell asleep")]
    file = container(
        signals, patient=patient, recording=recording, starttime=datetime.time(9, 5, 7), annotations=annotations
    )
    path = tmp_path / f"y.{suffix}"
    file.write(path)
    assert is_edf(path.read_bytes()[:4096])
    stored = read_edf(path)
    assert stored.header.leads == ("I", "II", "V6")
    assert stored.samples.dtype == (np.int16 if suffix == "edf" else np.int32)
    np.testing.assert_allclose(
        helper_code.to_millivolts(stored.samples, stored.header)[[0, 1, 11]],
        ecg,
        atol=4 / (2**16 if suffix == "edf" else 2**22),
    )
    assert stored.notes == (
        "MLII is taken for lead II (limb electrodes on the trunk)",
        "left out, none of the twelve leads: 'Resp'",
    )
    assert (stored.header.age, stored.header.sex) == (59, "Female")
    assert (stored.device.model, str(stored.device.acquired)) == ("Box_3", "2020-06-14 09:05:07")
    assert (stored.identity.name, stored.identity.patient_id, str(stored.identity.birth_date)) == (
        "Eva Muster",
        "ID-7",
        "1960-06-15",
    )
    assert stored.identity.others == {"technician": "Tom"}
    assert not any(secret in repr(stored) for secret in ("Eva", "ID-7", "1960", "Tom"))


def test_what_stands_in_the_patient_field_of_plain_edf_is_identity(tmp_path):
    stored = read(tmp_path, edf("I", "II"))
    assert stored.identity.others == {"patient": "Eva Muster", "recording": "Ward 3"}
    assert str(stored.device.acquired) == "2004-03-02 09:05:07"
    assert "Eva" not in repr(stored)


@pytest.mark.parametrize(("written", "year"), [("84", 2084), ("85", 1985)])
def test_two_digits_of_a_year_mean_1985_to_2084(tmp_path, written, year):
    data = edf("I", "II").replace(b"02.03.04", f"02.03.{written}".encode())
    assert read(tmp_path, data).device.acquired.year == year


def test_leads_of_different_rates_are_refused(tmp_path):
    signals = [LEAD | {"label": "I"}, LEAD | {"label": "II", "n": 500}]
    with pytest.raises(RecordingError, match="one sampling frequency of all leads, found 250 Hz and 500 Hz"):
        read(tmp_path, fields(signals) + bytes(2 * 4 * 750))


REFUSED = {
    "empty": (b"", "found an empty file"),
    "other": (b"A0001 12 500 5000", "an EDF or BDF file, found 'A0001 12'"),
    "discontinuous": (edf("I", "II", kind="EDF+D"), r"a continuous recording .* found a discontinuous one \(EDF\+D\)"),
    "cut": (edf("I", "II")[:-2], "4768 bytes for 4 data records, found 4766"),
    "longer": (edf("I", "II") + b"\0", "4768 bytes for 4 data records, found 4769"),
    "unfinished": (edf("I", "II", n_records=-1), "bytes for a number of data records"),
    "declares a lot": (edf("I", "II", n_records=99999999), "bytes for 99999999 data records"),
    "no leads": (edf("EEG Fpz-Cz", "ECG"), "signals with labels such as 'ECG II', found 'EEG Fpz-Cz, ECG'"),
    "no voltage": (edf("I", "II", changes={"unit": "mmHg"}), "the physical dimension of 'I', found 'mmHg'"),
    "no unit": (edf("I", "II", changes={"unit": ""}), "uV, mV or V"),
    "no range": (edf("I", "II", changes={"high": -3200}), "a physical and a digital range of 'I'"),
    "nan": (edf("I", "II", changes={"high": "nan"}), "a physical and a digital range of 'I'"),
    "text": (edf("I", "II", changes={"low": "low"}), "an EDF or BDF file"),
    "no time": (edf("I", "II", seconds="0"), "an EDF or BDF file"),
    "slow": (edf("I", "II", seconds="100"), "a sampling frequency of 50 to 5000 Hz, found 2.5"),
    "negative": (edf("I", "II", changes={"n": -250}), "lengths of signals"),
    "lead twice": (edf("ECG II", "II"), None),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_wrong_is_said(tmp_path, kind):
    data, said = REFUSED[kind]
    if said is None:  # the samples differ
        stored = read(tmp_path, data)
        with pytest.raises(RecordingError, match="lead II once"):
            helper_code.to_millivolts(stored.samples, stored.header)
        return
    with pytest.raises(RecordingError, match=f"x.edf: expected .*({said})"):
        read(tmp_path, data)


def test_it_is_known_by_its_content():
    assert is_edf(edf("I", "II")[:4096])
    assert not any(map(is_edf, (b"", b"0" * 300, b"0       " + b" " * 300, b"\xffBIOSEMI")))


@pytest.mark.parametrize(
    ("label", "lead"),
    [("ECG II", "II"), ("EKG V1-REF", "V1"), ("ECG I-Ref", "I"), ("avr", "aVR"), ("Lead aVF", "aVF"), ("ecg:V6", "V6"),
     ("MLII", "II"), ("MLIII", "III"), ("ECG LA-RA", "I"), ("LL-RA", "II"), ("ecg_v2", "V2"), (" V3 ", "V3"),
     ("DI", "I"), ("dii", "II"), ("D3", "III"), ("Lead 2", "II"), ("MDC_ECG_LEAD_aVR", "aVR"), ("MDC_ECG_LEAD_I", "I"),
     ("Derivação DII", "II"), ("V 1", "V1"), ("aV-F", "aVF"),
     ("ECG-aVR", "aVR"), ("ECG -aVR", None), ("-aVR", None), ("D4", None), ("C3", None), ("MCL1", None),
     ("ECG", None), ("EKG1", None), ("V7", None), ("MLV1", None), ("EEG Fpz-Cz", None), ("", None), ("VI", None),
     ("ECG I-II", None), ("RA-LA", None), ("IIII", None)],
)  # fmt: skip
def test_labels_of_leads(label, lead):
    assert lead_of(label) == lead


def with_nul(data: bytes, begin: int, end: int) -> bytes:
    """The header's fields from one byte to another filled with NUL instead of spaces."""
    return data[:begin] + re.sub(rb" +(?=$|.)", lambda match: b"\0" * len(match[0]), data[begin:end]) + data[end:]


EDF = edf("ECG II", "V1", changes={"low": -3200.5, "high": 3200.5})
MENDED = {
    "decimal commas": EDF.replace(b"3200.5", b"3200,5"),
    "a decimal comma in the length of a record": edf("ECG II", "V1", seconds="1,0"),
    "NUL behind numbers": with_nul(EDF, 256 + 2 * 104, 256 + 2 * 136),
    "NUL behind labels": with_nul(EDF, 256, 256 + 2 * 16),
    "NUL throughout": with_nul(EDF, 8, 256 * 3),
    "both": with_nul(EDF.replace(b"3200.5", b"3200,5"), 0, 256 * 3),
}


@pytest.mark.parametrize("kind", MENDED)
def test_headers_of_c_strings_and_decimal_commas(tmp_path, kind):
    data = MENDED[kind]
    assert is_edf(data[:4096])
    stored = read(tmp_path, data)
    assert stored.header.leads == ("II", "V1") and stored.header.sampling_frequency == 250
    np.testing.assert_array_equal(stored.samples, SAMPLES)
    top = 3200 if "length" in kind else 3200.5
    assert stored.header.adc_gains == pytest.approx((32000 / top * 1000,) * 2)


def test_a_large_file_whose_header_needs_mending_is_refused_in_little_memory(tmp_path):
    n_records = 1 << 19
    with open(tmp_path / "x.edf", "wb") as file:
        file.write(with_nul(edf("I", "II", n_records=n_records)[:768], 256, 280))
        file.truncate(768 + n_records * 1000)
    with little_memory(), pytest.raises(RecordingError, match="a header without NUL"):
        read_edf(tmp_path / "x.edf")
