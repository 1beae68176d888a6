"""Writes recordings without the patient's identity, and reads each file again to check that none of it is left."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ecg.io.device_statements import load_statements
from ecg.io.errors import problem
from ecg.io.stored import DeviceReport, Identity, Stored
from ecg.leads import LEADS

OLDEST_SAID = 90.0  # years; who is older is one of few
_DATES = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%m-%d-%Y", "%d-%b-%Y", "%d/%m/%Y", "%Y/%m/%d")
_SHORTEST = 3  # letters of a word that is looked for
_LONG = 6  # of a text that is looked for among the samples' bytes too, where shorter ones stand by chance


def anonymous(stored: Stored) -> Stored:
    """The recording without names, identifiers, dates and free text.

    What stays: leads, samples, the device's measurements, maker and model, sex, age (`OLDEST_SAID` for who is older),
    the year of the recording, and those statements that the table of common statements knows. A record's name that
    holds an identifying text becomes one made of the samples.
    """
    header, device = stored.header, stored.device
    words = identifying_texts(stored)
    rows = [i for i, lead in enumerate(header.leads) if lead in LEADS]
    common = load_statements("common")
    statements = tuple(
        one for one in device.statements if common.codes_of(one) is not None and not found_in(one, words)
    )
    year = device.acquired and device.acquired.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    name = header.recording_id
    if found_in(name, words):
        name = "record_" + hashlib.sha256(stored.samples.tobytes()).hexdigest()[:12]
    of_leads = ("leads", "adc_gains", "baselines", "formats")
    parts: dict[str, Any] = {key: tuple(getattr(header, key)[i] for i in rows) for key in of_leads}
    age = OLDEST_SAID if header.age > OLDEST_SAID else header.age
    kept = replace(header, recording_id=name, **parts, file_names=(name,) * len(rows), age=age, notes=())
    maker, model = ("" if found_in(text, words) else text for text in (device.maker, device.model))
    report = DeviceReport(maker, model, year, device.measurements, statements)
    return Stored(kept, np.ascontiguousarray(stored.samples[rows]), report, Identity())


def identifying_texts(stored: Stored) -> list[str]:
    """What says whose recording it is: parts of names, identifiers, birth date and date of the recording."""
    identity, acquired = stored.identity, stored.device.acquired
    dates = [day for day in (identity.birth_date, acquired) if day]
    texts = [*re.split(r"[\s^,=]+", identity.name), identity.patient_id, *identity.others.values()]
    texts += [day.strftime(form) for day in dates for form in _DATES]
    plain = (" ".join(text.casefold().split()) for text in texts)
    return list(dict.fromkeys(text for text in plain if len(re.sub(r"\W", "", text)) >= _SHORTEST))


def found_in(text: str, words: Iterable[str]) -> list[str]:
    """Which of the words, as of `identifying_texts`, stand in a text as words."""
    text = " ".join(text.casefold().split())
    there = (word for word in words if word in text)  # much faster to find out, and hardly ever so
    return [word for word in there if re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text)]


def write_checked(folder: Path, original: Stored, stored: Stored, write: Callable[[Path, Stored], object]) -> None:
    """Write an anonymous recording, read its bytes again, and keep it only where nothing of the original is in them.

    Long texts are looked for in all bytes. Short ones, which stand among samples by chance, are looked for in what is
    written of the same recording with samples of zero.

    `folder`: where the files go. `original` and `stored`: as read, and as `anonymous` gives it. `write`: writes a
    recording into a folder. Raises RecordingError where an identifying text is left; it does not say which. Nothing is
    kept then.
    """
    words = identifying_texts(original)
    level = replace(stored, samples=np.zeros_like(stored.samples))
    with tempfile.TemporaryDirectory(dir=folder, prefix=".anonymous") as place:
        real, empty = Path(place, "real"), Path(place, "empty")
        for target, one, shortest in ((real, stored, _LONG), (empty, level, _SHORTEST)):
            target.mkdir()
            write(target, one)
            for file in sorted(target.iterdir()):
                if left := _left_in(file, {word for word in words if len(word) >= shortest}):
                    found = f"{len(left)} of them (nothing was kept)"
                    raise problem(folder / file.name, "none of the original's names, identifiers and dates", found)
        for file in sorted(real.iterdir()):
            os.replace(file, folder / file.name)


def _left_in(file: Path, words: set[str]) -> set[str]:
    data = file.read_bytes()
    wide = (data[i:].decode("utf-16-le", "ignore") for i in (0, 1))
    texts = (data.decode("latin-1"), data.decode("utf-8", "ignore"), *wide, file.name)
    return {word for text in texts for word in found_in(text, words)}
