"""Dates as clinical files write them."""

import datetime
import math
import re
from collections.abc import Iterable

_DATES = (
    re.compile(r"(?P<y>\d{4})-?(?P<m>\d{2})-?(?P<d>\d{2})", re.ASCII),  # ISO, DICOM, HL7
    re.compile(r"(?P<m>\d{1,2})[-/](?P<d>\d{1,2})[-/](?P<y>\d{4})", re.ASCII),  # GE MUSE
)
OLDEST = 120.0  # years
# What systems write where the date of birth is unknown; no patient with a digital ECG was born before 1870.
_PLACEHOLDERS = {(1900, 1, 1), (1899, 12, 30), (1899, 12, 31), (1901, 1, 1), (1904, 1, 1), (9999, 9, 9), (9999, 12, 31)}
_FIRST_YEAR = 1870
_TIME = re.compile(r"(\d{2}):?(\d{2})(?::?(\d{2}))?", re.ASCII)


def date_of(text: str) -> datetime.date | None:
    """A date at the start of a text: 1953-05-08, 19530508, 05-08-1953 (month first); None for anything else."""
    for pattern in _DATES:
        if match := pattern.match(text.strip()):
            return day_or_none(int(match["y"]), int(match["m"]), int(match["d"]))
    return None


def time_of(date: str, time: str) -> datetime.datetime | None:
    """Date and time of day (14:05:59, 140559.123); midnight where the time is missing, None where the date is."""
    day, match = date_of(date), _TIME.match(time.strip())
    clock = [int(part or 0) for part in match.groups()] if match else []
    return moment_or_none(day, clock) or moment_or_none(day, ())


def day_or_none(*numbers: int) -> datetime.date | None:
    """The date of year, month and day; None where they are none, as zeros and the like for unknown values are."""
    try:
        return datetime.date(*numbers)
    except (ValueError, TypeError):
        return None


def moment_or_none(day: datetime.date | None, clock: Iterable[int]) -> datetime.datetime | None:
    """That day at hour, minute and second; None where the day is unknown, or the clock shows no time."""
    try:
        hour, minute, second = [*clock, 0, 0, 0][:3]
        return None if day is None else datetime.datetime.combine(day, datetime.time(hour, minute, second))
    except ValueError:
        return None


def years_between(birth: datetime.date | None, when: datetime.datetime | None) -> float:
    """Whole years of age at a time; NaN where a date is missing or the birth comes after it."""
    if birth is None or when is None or when.date() < birth:
        return math.nan
    return float(when.year - birth.year - ((when.month, when.day) < (birth.month, birth.day)))


def known_age(
    years: float, birth: datetime.date | None = None, when: datetime.datetime | None = None
) -> tuple[float, tuple[str, ...]]:
    """Age, 0 to 120 or NaN, as written, else from birth to recording; and a note on why it is unknown or impossible.

    `years` is as written, NaN where nothing is. The note says without the date itself what was wrong with it.
    """
    if math.isnan(years) and birth is not None:
        if (birth.year, birth.month, birth.day) in _PLACEHOLDERS or birth.year < _FIRST_YEAR:
            return math.nan, ("age unknown: the date of birth is a placeholder",)
        years = years_between(birth, when)
        if math.isnan(years) and when is not None:
            return math.nan, ("age unknown: the date of birth is after the recording",)
    if math.isnan(years) or 0 <= years <= OLDEST:
        return float(years), ()
    return math.nan, (f"age unknown: {years:g} years is no age",)
