"""Every lead has its own gain and its own zero, in each format that writes them lead by lead."""

import re

import numpy as np
import pytest

from ecg.io.formats import read_any
from ecg.leads import LEADS
from format_files import STORED, aecg_xml, dicom_file, dicom_group, integers, muse_xml
from header_files import write_recording as write_challenge
from more_format_files import definition, mfer_file

SAMPLES = integers(200)
ROWS = [LEADS.index(lead) for lead in STORED]
MICROVOLTS = np.arange(2.0, 14.0)  # of a unit, lead by lead
ZEROS = np.arange(-6.0, 6.0)  # units at 0 mV


def each(text, old, new):
    """A text in which what is found first, second, ... is replaced by new(0), new(1), ..."""
    numbers = iter(range(1000))
    return re.sub(old, lambda _: new(next(numbers)), text)


def muse(path):
    text = muse_xml(SAMPLES[ROWS], order=("Rhythm",)).decode("latin-1")
    text = each(text, "<LeadAmplitudeUnitsPerBit>4.88<", lambda k: f"<LeadAmplitudeUnitsPerBit>{MICROVOLTS[ROWS[k]]}<")
    path.write_bytes(text.encode("latin-1"))


def aecg(path):
    text = aecg_xml(SAMPLES).decode()
    text = each(text, r'<scale value="2.5"', lambda k: f'<scale value="{MICROVOLTS[k % 12]}"')
    text = each(text, r'<origin value="0"', lambda k: f'<origin value="{-MICROVOLTS[k % 12] * ZEROS[k % 12]}"')
    path.write_bytes(text.encode())


def dicom(path):
    group = dicom_group(SAMPLES)
    for k, channel in enumerate(group.ChannelDefinitionSequence):
        factor = 2 if k % 2 else 1
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = (
            str(MICROVOLTS[k] / factor),
            str(factor),
        )
        channel.ChannelBaseline = str(-MICROVOLTS[k] * ZEROS[k])
    dicom_file(path, group)


def mfer(path):
    data = mfer_file(SAMPLES)
    for k in range(12):
        own = bytes([0, 256 - 9]) + int(1000 * MICROVOLTS[k]).to_bytes(2, "little")
        offset = np.array(-ZEROS[k], "<i2").tobytes()
        channel = definition(0x0C, own) + definition(0x0D, offset)
        data = data.replace(b"\x17\x0cNIHON", b"\x3f" + bytes([k]) + definition(0, channel)[1:] + b"\x17\x0cNIHON", 1)
    path.write_bytes(data)


def challenge(path):
    write_challenge(path.parent, SAMPLES, stem=path.stem)
    header = path.with_suffix(".hea")
    gain = lambda k: f"16+24 {1000 / MICROVOLTS[k]}({ZEROS[k]:.0f})/mV"  # noqa: E731
    header.write_text(each(header.read_text(), re.escape("16+24 1000/mV"), gain))
    return header


@pytest.mark.parametrize(
    ("write", "has_zeros"), [(muse, False), (aecg, True), (dicom, True), (mfer, True), (challenge, True)]
)
def test_a_lead_has_its_own_scale(tmp_path, write, has_zeros):
    path = tmp_path / "A0001.bin"
    stored = read_any(write(path) or path)
    leads = [LEADS.index(lead) for lead in stored.header.leads]
    assert len(leads) == (8 if write is muse else 12)
    np.testing.assert_allclose(stored.header.adc_gains, 1000 / MICROVOLTS[leads], rtol=1e-9)
    np.testing.assert_allclose(stored.header.baselines, ZEROS[leads] if has_zeros else 0, atol=1e-9)
