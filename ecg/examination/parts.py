"""A file of one line for each recording, written in parts by several processes and put together by the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import BinaryIO

from ecg.io.files import remove_leftovers, whole_file
from ecg.runtime.progress import say
from ecg.runtime.shards import WHOLE, Shard


@dataclass(frozen=True)
class Parts:
    """The parts of a file, in the folder ``<file>.parts``; a file written whole has none.

    Attributes
    ----------
    file : Path
    shard : Shard
        The part that this process writes.
    digest : str
        Of what the file is about, the first line of each part: those of another folder are not put together.
    n_first : int
        Lines at the start of each part that are the file's first lines and no recording's.
    """

    file: Path
    shard: Shard
    digest: str
    n_first: int

    @contextmanager
    def written(self) -> Iterator[BinaryIO]:
        """A file to write this process's lines into, whole at the end of the block or not there at all."""
        if self.shard == WHOLE:
            with whole_file(self.file) as part:
                yield part
            return
        path = self._path(self.shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        path.unlink(missing_ok=True)  # an earlier run's: not to be put together with new ones
        with whole_file(path) as part:
            part.write(f"{self.digest}\n".encode())
            yield part

    def join(self) -> None:
        """Put the parts together, each one's lines in turn, if all are there, and say which are not.

        The parts stay. Where several processes end at the same time each of them makes the file, to the same bytes.
        """
        if self.shard == WHOLE:
            return
        paths = [self._path(Shard(number, self.shard.count)) for number in range(1, self.shard.count + 1)]
        with ExitStack() as files:
            parts, missing = [], []
            for number, path in enumerate(paths, start=1):
                try:
                    parts.append(files.enter_context(open(path, "rb")))
                except FileNotFoundError:
                    missing.append(number)
                    continue
                if parts[-1].readline().decode().strip() != self.digest:
                    missing.append(number)
            if missing:
                numbers = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
                say(f"{self.file} will be written when all shards are there; of {self.shard.count} missing: {numbers}")
                return
            with whole_file(self.file) as whole:
                for _ in range(self.n_first):
                    first = [part.readline() for part in parts]
                    whole.write(first[0])
                for part in cycle(parts):
                    line = part.readline()
                    if not line:  # the parts take turns: where one ends, all have ended
                        break
                    whole.write(line)

    def _path(self, shard: Shard) -> Path:
        return self.file.with_name(f"{self.file.name}.parts") / f"{shard.number}-of-{shard.count}"
