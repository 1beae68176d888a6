"""What a run over a folder has finished, so that a later run continues and never keeps a stale result."""

import hashlib
import json
import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from ecg.io.files import read_file
from ecg.runtime.shards import WHOLE, Shard

# The package's layers, low to high: a step depends on the code of its own layer and of those below.
_LAYERS = (
    *("runtime", "labels", "leads.py", "arrays.py", "io", "signal", "measurements", "examination", "networks"),
    *("scoring", "simulator", "decisions", "interpretation", "methods", "model_folder", "inference", "training"),
    "report",
)


def step_key(layer: str, *arguments: object) -> str:
    """What the results of a step depend on beside the recording: its code, numpy and scipy, and its arguments.

    `layer`: the sub-package that the step is in. The code of all layers up to it counts, and from `methods` up that of
    ``team_code.py``. `*arguments`: every argument that changes results; for JSON.
    """
    return _digest([code_version(layer), np.__version__, scipy.__version__, arguments])


@lru_cache
def code_version(layer: str) -> str:
    """A digest of the source files of a layer and all layers below."""
    package = Path(__file__).resolve().parents[1]
    places = [package / name for name in _LAYERS[: _LAYERS.index(layer) + 1]]
    files = [file for place in places for file in ([place] if place.suffix else sorted(place.rglob("*")))]
    if package / "methods" in places:
        methods = getattr(sys.modules.get("team_code"), "__file__", None)
        files += [Path(methods)] if methods else []
    digest = hashlib.sha256()
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(str(file.relative_to(package.parent) if package in file.parents else file.name).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def key_of(step: str, stamps: Iterable[str]) -> str:
    """The key of a stored result: it is valid as long as the step's key and the stamps of all files are the same."""
    return _digest([step, *stamps])


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=dict).encode()).hexdigest()


class Journal:
    """Finished recordings, one line each, beside the outputs of a run.

    A line is written when the recording's outputs are. It holds the recording's name, the key of its result, a digest
    of the output files, and a value. Each shard writes a file of its own, and all files are read. Where lines differ,
    those of runs with the same number of shards as this one count. A half-written line of a killed run counts for
    nothing.

    `start`: what the files' paths begin with, such as ``output/.run``: ``.run.jsonl``, ``.run-2-of-3.jsonl``. `shard`:
    the one that this run does. `resume`: whether earlier lines count. If not, this shard's file is begun again, and
    those of runs that were shared out otherwise are removed.
    """

    def __init__(self, start: Path, shard: Shard = WHOLE, *, resume: bool) -> None:
        start.parent.mkdir(parents=True, exist_ok=True)
        self._start, self._n_shards = start, shard.count
        part = "" if shard == WHOLE else f"-{shard.number}-of-{shard.count}"
        self._own = start.with_name(f"{start.name}{part}.jsonl")
        if not resume:
            for path, other in self._files():
                if other.count != shard.count or path == self._own:
                    path.unlink(missing_ok=True)
        self._places: dict[bytes, tuple[Path, int]] = {}
        self.read_again()
        self._append("\n")  # ends a line that a kill left unfinished

    def read_again(self) -> None:
        """Find the lines of all shards, also of those that other processes have written since."""
        for path, _ in self._files():
            with open(path, "rb") as file:
                place = 0
                for line in file:
                    if line.count(b"\t") >= 3:
                        self._places[_short(*line.split(b"\t", 2)[:2])] = path, place
                    place += len(line)

    def add(self, name: str, key: str, outputs: Iterable[Path] = (), value: object = None) -> None:
        """Note a finished recording. OSError if that can't be written."""
        # The value in a list: no part of one is JSON.
        self._append("\t".join([json.dumps(name), key, digest_of(outputs), json.dumps([value])]) + "\n")

    def get(self, name: str, key: str, outputs: Iterable[Path] | None = None) -> Any:
        """The value that was noted under this key, `MISSING` if none was or if `outputs` have changed."""
        found = self._places.get(_short(json.dumps(name).encode(), key.encode()))
        if found is None:
            return MISSING
        path, place = found
        try:
            with open(path, "rb") as file:
                file.seek(place)
                *_, digest, value = file.readline().split(b"\t", 3)
            same = outputs is None or digest.decode() == digest_of(outputs)
            return json.loads(value)[0] if same else MISSING
        except (OSError, ValueError):
            return MISSING

    def _append(self, line: str) -> None:
        try:
            with open(self._own, "ab") as file:
                file.write(line.encode())
        except OSError as error:
            raise OSError(error.errno, f"can't be written: {error.strerror}", str(self._own)) from error

    def _files(self) -> list[tuple[Path, Shard]]:
        pattern = re.compile(re.escape(self._start.name) + r"(?:-(\d+)-of-(\d+))?\.jsonl")
        matches = ((path, pattern.fullmatch(path.name)) for path in sorted(self._start.parent.iterdir()))
        found = [(path, Shard(int(match[1] or 1), int(match[2] or 1))) for path, match in matches if match]
        return sorted(found, key=lambda each: each[1].count == self._n_shards)


MISSING = object()


def _short(name: bytes, key: bytes) -> bytes:
    """What stands for a line in memory."""
    return hashlib.sha256(name + b"\t" + key).digest()[:16]


def digest_of(files: Iterable[Path]) -> str:
    """A digest of the content of files. ValueError or OSError where one can't be read."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(read_file(file))
    return digest.hexdigest()[:16]
