"""Ages on either side of a birthday, and rates that a file gives as a number and a power of ten."""

import datetime

import numpy as np
import pytest

from ecg.io.errors import RecordingError
from ecg.io.readers.dates import years_between
from ecg.io.readers.muse import read_muse
from ecg.io.readers.table_times import rate_of
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


@pytest.mark.parametrize(
    ("rate", "found"), [(500, 500), (499.8, 500), (498.5, 498.5), (100.05, 100), (100.2, 100.2), (128, 128)]
)
def test_a_rate_within_a_thousandth_of_a_whole_number_is_that_number(rate, found):
    hertz, notes = rate_of(np.arange(2000) / rate, "s", None, "a.csv")
    assert hertz == pytest.approx(found, rel=1e-9) and notes == ()


@pytest.mark.parametrize(("said", "agrees"), [(505, True), (495.1, True), (506, False), (494, False)])
def test_a_rate_that_was_said_may_be_a_hundredth_off(said, agrees):
    times = np.arange(2000) / 500
    if agrees:
        assert rate_of(times, "s", said, "a.csv") == (None, ())
    else:
        with pytest.raises(RecordingError, match=rf"a.csv: expected the sampling_frequency {said}, as was said"):
            rate_of(times, "s", said, "a.csv")
