"""What a run leaves in its output folder for a later one that goes on: of which model outputs are, and since when."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from ecg.io.files import write_file
from ecg.runtime.shards import Shard

Note = dict[str, str]
"""Which model its outputs are of ("model"), and how they were computed ("computed")."""


@dataclass(frozen=True)
class Started:
    """When each shard of an earlier run was started.

    Attributes
    ----------
    count : int
        Shards of that run, 1 if it was not shared out.
    times : dict of int to float
        Nanoseconds, by the shard's number; infinity for one that never was. Only of shards that matter.
    """

    count: int
    times: dict[int, float]

    def of(self, place: int) -> float:
        """Of the shard that has this place in the folder."""
        return self.times[place % self.count + 1]


def begin(folder: Path, note: Note, shard: Shard, earlier: Started | None = None) -> None:
    """Note a run that begins, or, where it goes on from an earlier one, what of that has not begun.

    Notes of runs that were shared out otherwise are removed: their outputs are replaced by this one's.
    """
    if earlier is None:
        for other, path in _notes(folder).items():
            if other.count != shard.count:
                path.unlink(missing_ok=True)
        missing = [shard]
    else:
        missing = [Shard(number, earlier.count) for number, time in earlier.times.items() if time == math.inf]
    for each in missing:
        write_file(folder / _file_name(each), json.dumps(note) + "\n")


def take_up(folder: Path, note: Note, shard: Shard) -> Started:
    """When the run in the folder was started; ValueError if there is none, or it has left another note.

    A shard goes on from the same shard of the earlier run; shared out otherwise, from all of them.
    """
    mend = "run without resume to judge every recording"
    notes = _notes(folder)
    if not notes:
        raise ValueError(f"{folder}: expected outputs of a run to resume, found none; {mend}")
    counts = {each.count for each in notes}
    count = shard.count if shard.count in counts else max(counts)
    for each, path in notes.items():
        if each.count == count:
            _check(path, note, mend)
    numbers = [shard.number] if count == shard.count else range(1, count + 1)
    begun = {number: notes.get(Shard(number, count)) for number in numbers}
    return Started(count, {n: math.inf if path is None else path.stat().st_mtime_ns for n, path in begun.items()})


def _file_name(shard: Shard) -> str:
    return ".run.json" if shard.count == 1 else f".run-{shard.number}-of-{shard.count}.json"


def _notes(folder: Path) -> dict[Shard, Path]:
    found = {}
    for path in folder.glob(".run*.json"):
        match = re.fullmatch(r"\.run(?:-(\d+)-of-(\d+))?\.json", path.name)
        if match is not None:
            found[Shard(int(match[1] or 1), int(match[2] or 1))] = path
    return found


def _check(path: Path, note: Note, mend: str) -> None:
    try:
        stored = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected what an earlier run has noted, found no JSON ({error}); {mend}") from error
    mend += ", or name another output folder"
    if not isinstance(stored, dict) or stored.get("model") != note["model"]:
        raise ValueError(f"{path.parent}: expected outputs of this model, found those of another; {mend}")
    if stored != note:
        raise ValueError(
            f"{path.parent}: expected outputs computed from {note['computed']}, found those from "
            f"{stored.get('computed', 'an earlier version')}; use the same device and deterministic setting, "
            f"or {mend}"
        )
