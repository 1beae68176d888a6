"""The sampling frequency that a column of times gives."""

import math
import re

import numpy as np

from ecg.arrays import Array
from ecg.io.errors import problem
from ecg.io.files import StrPath
from ecg.io.header import HIGHEST_FREQUENCY, LOWEST_FREQUENCY

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
COUNTS = "the column of times counts samples"


def unit_of_time(text: str) -> str | None:
    """s, ms, us or ns; "" for no unit; None if the text is not a unit of time."""
    text = text.lower().replace("µ", "u").replace("μ", "u")
    if re.fullmatch(r"(?:hh:)?mm:ss\S*", text):
        return "s"
    for start, unit in (("milli", "m"), ("micro", "u"), ("nano", "n")):
        text = re.sub(f"^{start}(?=s)", unit, text)
    return re.sub(r"s(?:ecs?|econds?)$", "s", text) if re.fullmatch(r"(?:[mun]?s(?:ecs?|econds?)?)?", text) else None


def rate_of(times: Array, unit: str, said: float | None, path: StrPath) -> tuple[float | None, tuple[str, ...]]:
    """Hz, None where the times do not say it or agree with what was said; and notes.

    Without a unit (as of `unit_of_time`) it is the only one of s, ms, µs and ns that gives a rate which an ECG can
    have, and a note says so. Times 0, 1, 2, ... without a unit count samples. With `said`, Hz from outside the table,
    the times need agree to 1 % only, since they may be rounded. Raises RecordingError where the times are uneven, by
    more than rounding, or give no rate, or another one than was said.
    """
    steps = np.diff(times) if times.dtype.kind in "iuf" else np.array([math.nan])
    step = float(times[-1] - times[0]) / steps.size if steps.size and np.isfinite(steps).all() else math.nan
    if not step > 0:
        raise problem(path, "a column of times that rise", "others")
    even = np.linspace(times[0], times[-1], times.size)
    deviation = float(np.abs(times - even).max())
    finest = float(steps[steps > 0].min())
    if not deviation < max(step, finest) or (steps < 0).any():
        raise problem(path, "evenly spaced times", "others")
    if not unit and step == 1 and (times == np.rint(times)).all():
        return None, ()
    units = [unit] if unit else list(_PER_SECOND)
    rates = {one: _PER_SECOND[one] / step for one in units}
    possible = {one: rate for one, rate in rates.items() if LOWEST_FREQUENCY <= rate <= HIGHEST_FREQUENCY}
    if said is not None:
        if any(abs(rate - said) <= 0.01 * said for rate in possible.values()):
            return None, ()
        if not possible and not unit:
            return None, ("the column of times was not understood and not used",)
        found = " or ".join(f"{rate:g} Hz" for rate in (possible or rates).values())
        raise problem(path, f"the sampling_frequency {said:g}, as was said", f"{found} in the file")
    if not possible:
        raise problem(path, "times that give a rate of 50 to 5000 Hz", f"steps of {step:g} {unit}".rstrip())
    if not deviation < step:
        raise problem(path, "evenly spaced times, or the sampling frequency beside the table", "times that are rounded")
    ((name, rate),) = possible.items()
    notes = () if unit else (f"times without a unit are taken for {name}",)
    return (float(round(rate)) if abs(rate - round(rate)) < 1e-3 * rate else rate), notes  # times are rounded
