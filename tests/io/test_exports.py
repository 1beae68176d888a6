"""What is written out: when a file needs wide integers, and what a table has where samples are missing."""

import numpy as np
import pytest

from ecg.io.readers.edf import read_edf
from ecg.io.stored import Stored, make_header
from ecg.io.writers.exports import write_csv, write_edf
from ecg.leads import LEADS


@pytest.mark.parametrize(("largest", "suffix"), [(32767, ".edf"), (-32767, ".edf"), (32768, ".bdf"), (-32769, ".bdf")])
def test_integers_beyond_16_bits_need_bdf(tmp_path, largest, suffix):
    pytest.importorskip("edfio")
    samples = np.tile(np.arange(1000, dtype=np.int32), (12, 1))
    samples[5, 77] = largest
    stored = Stored(make_header(tmp_path / "a.x", LEADS, 500, samples, [1000.0] * 12), samples)
    assert write_edf(tmp_path, stored).suffix == suffix


def test_a_lead_without_samples_and_a_channel_without_a_scale_are_left_out_of_edf(tmp_path):
    pytest.importorskip("edfio")
    samples = np.tile(np.arange(1000, dtype=np.int16), (4, 1))
    samples[1] = -32768
    leads, gains = ("I", "II", "V1", "Resp"), [1000.0, 1000.0, 1000.0, np.nan]
    path = write_edf(tmp_path, Stored(make_header(tmp_path / "a.x", leads, 500, samples, gains), samples))
    assert path.suffix == ".edf"  # the mark of a missing sample is no sample that needs more bits
    assert read_edf(path).header.leads == ("I", "V1")


@pytest.mark.parametrize("gain", [200.0, 204.91803278688525, 10.0])
def test_bdf_takes_coarse_steps_as_far_as_its_header_can_say_them(tmp_path, gain):
    pytest.importorskip("edfio")
    samples = np.tile(np.arange(1000, dtype=np.int32) * 40, (12, 1))
    header = make_header(tmp_path / "a.x", LEADS, 500, samples, [gain] * 12, [300.0] * 12)
    stored = Stored(header, samples)
    read = read_edf(write_edf(tmp_path, stored))
    np.testing.assert_array_equal(read.samples, samples)
    np.testing.assert_allclose(read.header.adc_gains, gain, rtol=1e-6)
    np.testing.assert_allclose(read.header.baselines, 300, rtol=0.01)


def test_a_table_has_a_lead_that_lacks_samples_and_none_that_lacks_all(tmp_path):
    millivolts = np.round(np.random.default_rng(0).normal(size=(12, 600)), 3).astype(np.float32)
    millivolts[1, 5:7] = np.nan
    millivolts[8] = np.nan
    header = make_header(tmp_path / "a.x", LEADS, 500, millivolts, [1.0] * 12)
    lines = write_csv(tmp_path, Stored(header, millivolts), millivolts).read_text().splitlines()
    assert lines[0].split(",") == [lead for lead in LEADS if lead != "V3"]
    read = np.array([[float(cell or "nan") for cell in line.split(",")] for line in lines[1:]]).T
    np.testing.assert_allclose(read, np.delete(millivolts, 8, axis=0), rtol=1e-6)
