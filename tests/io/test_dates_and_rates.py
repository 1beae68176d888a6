"""Ages on either side of a birthday, and rates that a file gives as a number and a power of ten."""

import datetime

import numpy as np
import pytest

from ecg.io.readers.dates import years_between
from ecg.io.readers.muse import read_muse
from format_files import STORED, integers, muse_xml

SAMPLES = integers(1000 / 4.88, leads=STORED)


@pytest.mark.parametrize(
    ("when", "years"),
    [
        ((2020, 6, 14), 59),
        ((2020, 6, 15), 60),  # on the birthday
        ((2020, 6, 16), 60),
        ((2020, 5, 31), 59),
        ((2020, 7, 1), 60),
        ((1960, 6, 15), 0),
        ((1960, 6, 14), np.nan),
    ],
)
def test_an_age_changes_on_the_birthday(when, years):
    found = years_between(datetime.date(1960, 6, 15), datetime.datetime(*when, 0, 0))
    assert found == years or (np.isnan(found) and np.isnan(years))


@pytest.mark.parametrize(("base", "exponent", "hertz"), [("5", "2", 500), ("5000", "-1", 500), ("250", "0", 250)])
def test_the_rate_of_a_muse_file_is_its_base_times_ten_to_the_exponent(tmp_path, base, exponent, hertz):
    data = muse_xml(SAMPLES)
    old = b"<SampleBase>500</SampleBase>"
    assert old in data
    data = data.replace(b"<SampleExponent>0</SampleExponent>", b"")
    new = f"<SampleBase>{base}</SampleBase><SampleExponent>{exponent}</SampleExponent>"
    (tmp_path / "a.xml").write_bytes(data.replace(old, new.encode()))
    assert read_muse(tmp_path / "a.xml").header.sampling_frequency == hertz
