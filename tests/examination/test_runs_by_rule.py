"""Runs over recordings that change, in shards, groups and with lost outputs, against a plain account of the rules."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.examination import examine_folder
from ecg.examination.examine_folder import Candidates, Run, RunOptions, by_name
from ecg.io.errors import RecordingError
from ecg.runtime.shards import Shard

NAMES = "ABCDEFG"


class Account:
    """What journals hold and which recordings a run must do, in the words of the documentation."""

    def __init__(self, group_size, output):
        self.group_size, self.output = group_size, output
        self.lines = {}  # by journal: shard, count
        self.stamps = {name: [0] for name in NAMES}

    def begin(self, step, shard, resume):
        """The recordings of the share that are to do, and the values of the finished ones."""
        if not resume:
            self.lines = {
                key: lines for key, lines in self.lines.items() if key[1] == shard.count and key != self.key(shard)
            }
        groups = [NAMES[k : k + self.group_size] for k in range(0, len(NAMES), self.group_size)]
        own = [(number, group) for number, group in enumerate(groups) if number % shard.count == shard.number - 1]
        left, kept = [], {}
        for number, group in own:
            if resume and all(self.is_finished(step, name) for name in group):
                kept |= {name: self.noted(step, name)["value"] for name in group}
            else:
                left += [(number, name) for name in group]
        return left, kept

    def key(self, shard):
        return shard.number, shard.count

    def noted(self, step, name):
        found = [lines[key] for lines in self.lines.values() if (key := (step, name, *self.stamps[name])) in lines]
        return found[-1] if found else None

    def is_finished(self, step, name):
        line = self.noted(step, name)
        file = self.output / f"{name}.txt"
        return line is not None and not line["failed"] and file.exists() and file.read_text() == line["content"]

    def note(self, step, shard, name):
        value = value_of(step, name, self.stamps[name])
        line = {"value": value, "content": f"{value}", "failed": value is None}
        self.lines.setdefault(self.key(shard), {})[step, name, *self.stamps[name]] = line

    def table(self, step):
        lines = [self.noted(step, name) for name in NAMES]
        return None if None in lines else [line["value"] for line in lines]


def value_of(step, name, stamps):
    """What work makes of a recording; None where it can't be read."""
    return None if stamps[-1] == 9 else [step, name, *stamps]


@pytest.mark.parametrize("seed", range(24))
def test_what_is_done_and_kept_follows_the_rules(tmp_path, monkeypatch, capsys, seed):
    rng = np.random.default_rng(seed)
    account = Account(int(rng.integers(1, 4)), tmp_path)
    monkeypatch.setattr(
        examine_folder, "files_of", lambda path: SimpleNamespace(stamp=str(account.stamps[Path(path).stem]))
    )
    recordings = [Candidates(name, (f"in/{name}.hea",)) for name in NAMES]
    for _ in range(6):
        for name in rng.choice(list(NAMES), int(rng.integers(0, 3)), replace=False):
            change = rng.choice(["file", "lost", "output"])
            if change == "file":
                account.stamps[name] = [int(rng.choice([0, 1, 2, 9]))]
            elif change == "lost":
                (tmp_path / f"{name}.txt").unlink(missing_ok=True)
            else:
                (tmp_path / f"{name}.txt").write_text("else")
        step, resume = str(rng.choice(["s", "s", "t"])), bool(rng.random() < 0.8)
        count = int(rng.choice([1, 1, 2, 3]))
        shard = Shard(int(rng.integers(1, count + 1)), count)
        left, kept = account.begin(step, shard, resume)

        run = Run(
            recordings,
            tmp_path / ".run",
            step,
            RunOptions(workers=1, resume=resume, shard=shard),
            lambda name: [tmp_path / f"{name}.txt"],
            account.group_size,
        )
        assert [(group, each.name) for group, each in run.left] == left
        assert run.kept == kept
        assert {each.name for each in run.own} == {name for _, name in left} | set(kept)
        said = f"{len(kept)} finished recordings are kept, {len(left)} are left\n" if resume else ""
        assert capsys.readouterr().err == said

        def work(path, step=step):
            value = value_of(step, path.stem, account.stamps[path.stem])
            if value is None:
                raise ValueError("damaged")
            (tmp_path / f"{path.stem}.txt").write_text(f"{value}")
            return value

        for each in run.examined(work):
            run.note(each, each.result)
            account.note(step, shard, each.name)
        capsys.readouterr()
        values, expected = run.values(), account.table(step)
        assert (None if values is None else list(values)) == expected
        missing = sum(account.noted(step, name) is None for name in NAMES)
        said = f"The table is written when all shards are done; {missing} of 7 are missing\n" if missing else ""
        assert capsys.readouterr().err == said


def test_what_is_wrong_is_said_with_the_file_and_the_first_that_can_be_read_counts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(examine_folder, "files_of", lambda path: SimpleNamespace(stamp=f"stamp of {path}"))
    paths = ["a/1.hea", "b/1.hea", "c/1.hea", "a/2.hea", "b/2.hea", "a/3.hea"]
    recordings = by_name(paths)
    assert recordings == [
        Candidates("1", ("a/1.hea", "b/1.hea", "c/1.hea")),
        Candidates("2", ("a/2.hea", "b/2.hea")),
        Candidates("3", ("a/3.hea",)),
    ]
    assert by_name(paths, lambda path: path[0]) == [
        Candidates("a", ("a/1.hea", "a/2.hea", "a/3.hea")),
        Candidates("b", ("b/1.hea", "b/2.hea")),
        Candidates("c", ("c/1.hea",)),
    ]

    def work(path):
        if str(path) in ("a/1.hea", "a/2.hea", "b/2.hea"):
            raise RecordingError(f"{path}: damaged")
        return f"of {path}"

    run = Run(recordings, tmp_path / ".run", "step", RunOptions(workers=1))
    found = list(run.examined(work))
    left_out = "c/1.hea: expected one recording of this name, found another before; left out"
    assert [(each.name, str(each.path), each.result, each.problems) for each in found] == [
        ("1", "b/1.hea", "of b/1.hea", ("a/1.hea: damaged", left_out)),
        ("2", "a/2.hea", None, ("a/2.hea: damaged", "b/2.hea: damaged")),
        ("3", "a/3.hea", "of a/3.hea", ()),
    ]
    assert [each.stamps for each in found] == [
        tuple(f"stamp of {path}" for path in recording.paths) for recording in recordings
    ]
    assert capsys.readouterr().err == ""
    for each in found:
        run.note(each)
        assert capsys.readouterr().err.splitlines() == list(each.problems)


@pytest.mark.parametrize(("shard", "said"), [(Shard(), "Doing:"), (Shard(2, 3), "Doing shard 2/3:")])
def test_progress_names_the_shard_and_counts_what_is_left(tmp_path, capsys, shard, said):
    recordings = [Candidates(name, (f"in/{name}.hea",)) for name in NAMES]
    run = Run(recordings, tmp_path / ".run", "step", RunOptions(shard=shard))
    results = list(run.progress(iter(run.left), "Doing"))
    assert results == run.left
    assert capsys.readouterr().err.startswith(f"{said} 100% {len(run.left)}/{len(run.left)} [")
