"""HL7 aECG: scale and origin, times, several series, annotations, and the real files."""

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.readers.aecg import is_aecg, read_aecg
from ecg.leads import LEADS
from format_files import FORMATS_FOLDER, PULSE, SECRETS, aecg_xml, integers, millivolts

SAMPLES = integers(400)


@pytest.fixture
def read(tmp_path):
    def read(data):
        (tmp_path / "a.xml").write_bytes(data)
        return read_aecg(tmp_path / "a.xml")

    return read


def test_samples_leads_and_rate(read):
    data = aecg_xml(SAMPLES)
    stored = read(data)
    assert is_aecg(data[:4096])
    assert np.array_equal(stored.samples, SAMPLES) and stored.samples.dtype == np.int16
    assert stored.header.leads == LEADS and stored.header.sampling_frequency == 500
    assert stored.header.adc_gains == (400.0,) * 12


@pytest.mark.parametrize("scale", [("2.5", "uV"), ("0.0025", "mV"), ("2500", "nV"), ("2.5", "µV"), ("-2.5e0", "uV")])
@pytest.mark.parametrize("origin", [("0", "uV"), ("0", ""), ("-125", "uV"), ("0.5", "mV")])
def test_millivolts_are_origin_and_scale(read, scale, origin):
    unit = {"uV": 1e-3, "µV": 1e-3, "nV": 1e-6, "mV": 1.0, "": 0.0}
    expected = SAMPLES * float(scale[0]) * unit[scale[1]] + float(origin[0]) * unit[origin[1]]
    assert np.allclose(millivolts(read(aecg_xml(SAMPLES, scale=scale, origin=origin))), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("increment", "rate"), [(("0.002", "s"), 500), (("2", "ms"), 500), (("1000", "us"), 1000), (("0.004", "s"), 250)]
)
def test_rates(read, increment, rate):
    assert read(aecg_xml(SAMPLES, increment=increment)).header.sampling_frequency == rate


def test_wide_integers_and_fractions(read):
    wide = SAMPLES.astype(np.int32) * 100
    stored = read(aecg_xml(wide, scale=("25", "nV")))
    assert stored.samples.dtype == np.int32 and np.array_equal(stored.samples, wide)
    fractions = read(aecg_xml(SAMPLES / 8, scale=("20", "uV")))
    assert fractions.samples.dtype == np.float64 and set(fractions.header.adc_gains) == {1.0}
    assert np.allclose(millivolts(fractions), SAMPLES * 0.0025, atol=1e-6)


def test_a_longer_series_of_another_kind_is_not_the_rhythm(read):
    other = aecg_xml(np.tile(SAMPLES, 3)).decode()
    other = other[other.index("<series>") : other.index("</series>") + 9].replace(
        '"RHYTHM"', '"REPRESENTATIVE_BEAT"', 1
    )
    assert np.array_equal(read(aecg_xml(SAMPLES, before=other)).samples, SAMPLES)


def test_leads_recorded_one_after_the_other_are_refused(read):
    other = aecg_xml(SAMPLES[:3, :500], leads=("V7", "V6", "I")).decode()
    other = other[other.index("<series>") : other.index("</series>") + 9]
    with pytest.raises(RecordingError, match="leads that were recorded together, found 'V6 apart from I, II"):
        read(aecg_xml(SAMPLES[:11], leads=LEADS[:11], before=other))


def test_measurements_are_those_of_all_leads_and_statements_without_what_surrounds_them(read):
    stored = read(aecg_xml(SAMPLES))
    assert stored.device.measurements == {
        "heart_rate_bpm": 48,
        "pr_ms": 148,
        "qrs_ms": 120,
        "qt_ms": 420,
        "qtc_ms": 443,
        "qrs_axis_deg": -61,
    }
    assert stored.device.statements[0] == "(SB) SINUS BRADYCARDIA, V-rate<50"
    assert (stored.device.maker, stored.device.model) == ("Mortara", "ELI250")
    assert (stored.header.age, stored.header.sex) == (71, "Female")
    assert (stored.identity.name, stored.identity.patient_id) == (
        f"{SECRETS['last']} {SECRETS['first']}",
        SECRETS["id"],
    )
    assert SECRETS["doctor"] in stored.identity.others.values()


@pytest.mark.parametrize(
    ("age", "years"), [('<value value="18" unit="mo"/>', 1.5), ('<value unit="a"/>', 71), ("", 71)]
)
def test_ages(read, age, years):
    assert read(aecg_xml(SAMPLES, age=age)).header.age == years


def test_a_calibration_pulse_at_the_end_is_cut(read):
    noise = np.random.default_rng(1).integers(-2, 3, (12, 200))  # as Philips' conversion has it
    ending = np.hstack([SAMPLES, (PULSE * 400 + noise).astype(np.int16)])
    assert np.array_equal(read(aecg_xml(ending)).samples, SAMPLES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "REPRESENTATIVE_BEAT"}, "a series of code RHYTHM with a sequenceSet, found 'REPRESENTATIVE_BEAT'"),
        ({"scale": ("2.5", "mmHg")}, "the scale in nV, uV or mV in MDC_ECG_LEAD_I, found '2.5 mmHg'"),
        ({"scale": ("0", "uV")}, "the scale in nV, uV or mV"),
        ({"origin": ("1", "parsec")}, "the origin in nV, uV or mV in MDC_ECG_LEAD_I, found '1 parsec'"),
        ({"increment": ("0", "s")}, "an increment of time such as 0.002 s, found '0 s'"),
        ({"value_type": "GLIST_PQ"}, "a value of type SLIST_PQ in MDC_ECG_LEAD_I, found 'GLIST_PQ'"),
        ({"prefix": "MDC_PRESS_"}, "some of the leads I, II"),
    ],
)
def test_what_is_wrong_is_said(read, change, message):
    with pytest.raises(RecordingError, match=f"a.xml: expected ({message})"):
        read(aecg_xml(SAMPLES, **change))


@pytest.mark.parametrize("digits", ["1 2 x", "1_0 2", "0x10"])
def test_digits_that_are_no_numbers(read, digits):
    data = aecg_xml(SAMPLES)
    place = data.index(b"<digits>") + 8
    with pytest.raises(RecordingError, match="numbers as digits"):
        read(data[:place] + digits.encode() + data[data.index(b"</digits>") :])


def test_leads_of_different_lengths_are_refused(read):
    data = aecg_xml(SAMPLES)
    with pytest.raises(RecordingError, match="leads of one length"):
        read(data.replace(b"</digits>", b" 7</digits>", 1))


def test_the_real_file_of_mortara():
    path = FORMATS_FOLDER / "aecg-example.xml"
    if not path.exists():
        pytest.skip("without the real files")
    stored = read_aecg(path)
    assert stored.samples.shape == (12, 5000) and set(stored.header.adc_gains) == {400.0}
    expected = {
        "pr_ms": 148,
        "qrs_ms": 120,
        "qt_ms": 420,
        "qtc_ms": 443,
        "p_axis_deg": 44,
        "qrs_axis_deg": -61,
        "t_axis_deg": 86,
    }
    assert expected.items() <= stored.device.measurements.items()
    assert stored.device.statements == ("Sinus Rhythm",) and stored.header.age == 46
