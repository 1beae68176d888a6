"""The loop of every command over recordings: each is read and worked on once, in worker processes, in order."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

from ecg.examination.journal import MISSING, Journal, key_of
from ecg.io.recording import describe_failure
from ecg.io.sources import files_of
from ecg.runtime.parallel import WorkerDiedError, in_own_process, map_in_processes
from ecg.runtime.progress import progress, say
from ecg.runtime.shards import WHOLE, Shard

S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")

CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Candidates:
    """One recording to work on."""

    name: str  # of its results
    # Its file. Several where more than one recording has this name: the first that can be read counts.
    paths: tuple[str, ...]

    def stamps(self) -> tuple[str, ...]:
        """The stamps of all files that decide about the result."""
        return tuple(files_of(path).stamp for path in self.paths)


@dataclass(frozen=True)
class Examined(Generic[T]):
    """What came of one recording."""

    name: str
    path: Path  # the file that `result` is of; where there is none, the first
    stamps: tuple[str, ...]  # as of `Candidates`, from before it was read
    result: T | None  # what `work` made of it; None if it could not
    problems: tuple[str, ...] = ()  # a sentence for each file of this name that has no result


def examine_folder(
    recordings: Iterable[Candidates], work: Callable[[Path], T], *, workers: int = CORES
) -> Iterator[Examined[T]]:
    """Work on each recording, in order and in bounded memory.

    Whatever happens to one recording costs no other one its result: an error of any kind becomes a problem, and so does
    the death of the process that works on it.

    `recordings`: drawn as needed. `work`: from the path of a recording to its result, which is pickled where there are
    worker processes. These are forks of this process. `workers`: processes; with 1 the work is done in this process,
    and so it is where there is one recording only.
    """
    yield from _in_processes(([each] for each in recordings), work, _nothing_more, workers)


def examine_groups(
    groups: Iterable[Sequence[Candidates]],
    work: Callable[[Path], T],
    then: Callable[[Iterator[Examined[T]]], Iterable[U]],
    *,
    workers: int = CORES,
) -> Iterator[U]:
    """As `examine_folder`, and what `then` makes of each group, in the process that worked on it.

    `then`: gives one result for each recording of a group, in order. Its errors are raised. Where a process has died,
    the recordings of its group are worked on again one by one.
    """
    yield from _in_processes(groups, work, then, workers, at_once=1)


def _nothing_more(examined: Iterator[T]) -> Iterator[T]:
    return examined


def _in_processes(
    groups: Iterable[Sequence[Candidates]],
    work: Callable[[Path], T],
    then: Callable[[Iterator[Examined[T]]], Iterable[U]],
    workers: int,
    at_once: int = 4,
) -> Iterator[U]:
    def examine(group: Sequence[Candidates]) -> list[U]:
        return list(then(_examine(each, work) for each in group))

    def after_death(group: Sequence[Candidates], error: WorkerDiedError) -> Iterator[U]:
        if len(group) > 1:
            for each in group:
                found = in_own_process(examine, [each])
                yield from after_death([each], found) if isinstance(found, WorkerDiedError) else found
            return
        [recording] = group
        path = Path(recording.paths[0])
        problem = f"{path}: expected to be read, but {error}"
        yield from then(iter([Examined(recording.name, path, recording.stamps(), None, (problem,))]))

    items = iter(groups)
    first = list(islice(items, 2))
    workers = workers if sum(map(len, first)) > 1 else 1
    ahead = 2 * at_once * workers  # so no process waits for the next item, nor much is done again after a death
    for group, found in map_in_processes(examine, chain(first, items), workers=workers, ahead=ahead, at_once=at_once):
        yield from after_death(group, found) if isinstance(found, WorkerDiedError) else found


def _examine(recording: Candidates, work: Callable[[Path], T]) -> Examined[T]:
    stamps = recording.stamps()
    paths = [Path(path) for path in recording.paths]
    found: tuple[Path, T] | None = None
    problems = []
    for path in paths:
        if found is not None:
            problems.append(f"{path}: expected one recording of this name, found another before; left out")
            continue
        try:
            found = path, work(path)
        except Exception as error:  # one recording must never cost the others their results, whatever it triggers
            problems.append(describe_failure(path, error))
    path, result = found or (paths[0], None)
    return Examined(recording.name, path, stamps, result, tuple(problems))


@dataclass(frozen=True)
class RunOptions:
    """How a command goes over recordings."""

    workers: int = CORES  # processes that read and work on recordings
    # Keep what an earlier run has finished with the same arguments and code, of the same files. What had a problem is
    # tried again.
    resume: bool = False
    # Do only these recordings. All shards together write what one process does, to the same bytes.
    shard: Shard = WHOLE


class Run:
    """A command's way over recordings: those of its share, those already done, and the results of the others.

    `recordings`: all of them, of all shards; names differ. `journal`: what the paths of the journal's files begin with.
    `step`: what results depend on beside the files of a recording, as of `step_key`. `files`: those that are written
    for the recording of a name. `group_size`: recordings that are shared out, kept and done again together.

    Of this shard, `own` are all, `left` those to do with the numbers of their groups, `kept` the noted values of the
    others by name.
    """

    def __init__(
        self,
        recordings: Iterable[Candidates],
        journal: Path,
        step: str,
        options: RunOptions,
        files: Callable[[str], list[Path]] = lambda name: [],
        group_size: int = 1,
    ) -> None:
        self._everyone, self._step, self._options, self._files = list(recordings), step, options, files
        self._keys: dict[str, str] = {}
        self._journal = Journal(journal, options.shard, resume=options.resume)
        numbered = ((k // group_size, each) for k, each in enumerate(self._everyone))
        own = [(group, each) for group, each in numbered if options.shard.has(group)]
        finished = {each.name: self._finished(each) for _, each in own} if options.resume else {}
        again = {group for group, each in own if finished.get(each.name, MISSING) is MISSING}
        self.own = [each for _, each in own]
        self.left = [(group, each) for group, each in own if group in again]
        self.kept = {each.name: finished[each.name] for group, each in own if group not in again}
        if options.resume:
            say(f"{len(self.kept)} finished recordings are kept, {len(self.left)} are left")

    def examined(self, work: Callable[[Path], T]) -> Iterator[Examined[T]]:
        """What `work` makes of each recording that is left, as of `examine_folder`."""
        return examine_folder((each for _, each in self.left), work, workers=self._options.workers)

    def examined_in_groups(
        self, work: Callable[[Path], T], then: Callable[[Iterator[Examined[T]]], Iterable[U]]
    ) -> Iterator[U]:
        """What `then` makes of the recordings that are left, group by group, as of `examine_groups`."""
        groups = ([each for _, each in group] for _, group in groupby(self.left, itemgetter(0)))
        return examine_groups(groups, work, then, workers=self._options.workers)

    def progress(self, results: Iterable[S], doing: str) -> Iterator[S]:
        """Pass on a result for each recording that is left, with a line of progress."""
        shard = self._options.shard
        return progress(results, len(self.left), doing if shard == WHOLE else f"{doing} shard {shard}")

    def note(self, examined: Examined[T], value: object = None) -> None:
        """Note that the files of a recording are written, and say what is wrong with it."""
        for problem in examined.problems:
            say(problem)
        self._keys[examined.name] = key_of(self._step, examined.stamps)
        files = self._files(examined.name) if examined.result is not None else []
        self._journal.add(examined.name, self._keys[examined.name], files, [value, list(examined.problems)])

    def values(self) -> Iterator[Any] | None:
        """The noted value of every recording in order, of all shards; None if other shards have not finished."""
        self._journal.read_again()
        missing = sum(self._noted(each) is MISSING for each in self._everyone)
        if missing:
            say(f"The table is written when all shards are done; {missing} of {len(self._everyone)} are missing")
            return None
        return (self._noted(each)[0] for each in self._everyone)

    def _noted(self, each: Candidates, files: Iterable[Path] | None = None) -> Any:
        if each.name not in self._keys:
            self._keys[each.name] = key_of(self._step, each.stamps())
        return self._journal.get(each.name, self._keys[each.name], files)

    def _finished(self, each: Candidates) -> Any:
        noted = self._noted(each, self._files(each.name))
        return MISSING if noted is MISSING or noted[1] else noted[0]


def by_name(paths: Iterable[str], name_of: Callable[[str], str] = lambda path: Path(path).stem) -> list[Candidates]:
    """Recordings by the names of their results, in order: those of one name are candidates for it."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(name_of(path), []).append(path)
    return [Candidates(name, tuple(each)) for name, each in found.items()]
