"""Folders of simulated recordings: made in parts, made again, continued after a stop."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ecg.io.files import remove_leftovers, write_file
from ecg.simulator.simulate import Simulated, simulate_recording
from ecg.simulator.write import write_recording

_NOTE = ".simulate.json"


@dataclass(frozen=True)
class Options:
    """All that the files of one recording depend on, beside its number."""

    seed: int = 1  # names the set of recordings, from 0
    diagnosis: str | None = None  # what each recording shows; None for all of `diagnoses` in turn
    diagnoses: str = "challenge"  # "challenge" or "statements", as of `ecg.simulator.simulate.simulate_recording`
    sampling_frequency: float = 500  # `sampling_frequency`, `seconds`: Hz and s
    seconds: float = 10
    dialect: str = "2020"  # of the header, "2020" or "2021"


@dataclass
class Outcome:
    """How many recordings were written and how many were there already, and a sentence for each that failed."""

    written: int = 0
    kept: int = 0
    problems: list[str] = field(default_factory=list)


def simulate_folder(
    folder: Path,
    numbers: Iterable[int],
    options: Options,
    *,
    resume: bool = False,
    see: Callable[[str, Simulated], None] | None = None,
) -> Outcome:
    """Write ``SIM00001`` and so on as Challenge files; each depends on the options and its own number alone.

    A recording that can't be made is left out and named. The header is written last, so a recording with a header is
    whole.

    `folder`: made if absent. `numbers`: from 1. `resume`: keep the recordings that an earlier run has written. `see`:
    is given the name and each recording as it is made. Raises ValueError if the folder holds recordings that were made
    with other options; OSError if a file can't be written.
    """
    note = json.dumps(asdict(options)) + "\n"
    _check(folder, note)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    write_file(folder / _NOTE, note)
    outcome = Outcome()
    for k in numbers:
        name = f"SIM{k:05d}"
        if resume and (folder / f"{name}.hea").exists() and (folder / f"{name}.mat").exists():
            outcome.kept += 1
            continue
        heart = options.diagnosis, options.sampling_frequency, options.seconds, options.diagnoses
        try:
            simulated = simulate_recording(options.seed, k, *heart)
        except ValueError as error:
            outcome.problems.append(f"{name}: {error}")
            continue
        write_recording(folder, name, simulated, dialect=options.dialect)
        if see is not None:
            see(name, simulated)
        outcome.written += 1
    return outcome


def _check(folder: Path, note: str) -> None:
    """ValueError if the folder's recordings were made with other options: the two would look alike."""
    path = folder / _NOTE
    found = path.read_text(encoding="utf-8") if path.is_file() else "options that nothing says"
    if found != note and any(folder.glob("SIM*.hea")):
        both = f"expected recordings made with {note.strip()}, found those made with {found.strip()}"
        raise ValueError(f"{folder}: {both}; name another folder or remove them")
