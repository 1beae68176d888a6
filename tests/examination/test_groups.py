"""Recordings worked on in groups: what is done with a group follows in the process that worked on it, whatever dies."""

import os
from types import SimpleNamespace

import pytest

from ecg.examination import examine_folder
from ecg.examination.examine_folder import Candidates, Run, RunOptions, examine_groups
from ecg.io.errors import RecordingError
from ecg.runtime.shards import Shard

NAMES = [f"R{k:02d}" for k in range(12)]
DIED = "expected to be read, but its process was ended from outside, or ran out of memory"


@pytest.fixture(autouse=True)
def stamps(monkeypatch):
    monkeypatch.setattr(examine_folder, "files_of", lambda path: SimpleNamespace(stamp=f"stamp of {path}"))


def groups_of(names, size=3):
    candidates = [Candidates(name, (f"in/{name}.hea", f"more/{name}.hea")) for name in names]
    return [candidates[k : k + size] for k in range(0, len(candidates), size)]


def together(examined):
    """Of each recording its name, result and problems, the names of the group that it came in, and the process."""
    some = list(examined)
    names = [each.name for each in some]
    return [(each.name, each.result, each.problems, names, os.getpid()) for each in some]


def dying(names, parent):
    def work(path):
        if path.stem in names:
            if os.getpid() == parent:
                raise AssertionError("what may end its process is worked on in the process of all")
            os._exit(1)
        return str(path)

    return work


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_groups_come_in_order_whole_and_an_error_is_its_recordings(workers):
    def work(path):
        if path.stem == "R04":
            raise RecordingError(f"{path}: damaged")
        return str(path)

    found = list(examine_groups(iter(groups_of(NAMES[:11])), work, together, workers=workers))
    assert [name for name, *_ in found] == NAMES[:11]
    left_out = "expected one recording of this name, found another before; left out"
    for number, (name, result, problems, names, process) in enumerate(found):
        start = number // 3 * 3
        assert names == NAMES[start : min(start + 3, 11)]
        assert (process == os.getpid()) == (workers == 1)
        if name == "R04":
            assert (result, problems) == (None, ("in/R04.hea: damaged", "more/R04.hea: damaged"))
        else:
            assert (result, problems) == (f"in/{name}.hea", (f"more/{name}.hea: {left_out}",))


def test_each_recording_is_handed_on_before_the_next_is_worked_on():
    done = []

    def then(examined):
        for each in examined:
            done.append(f"then {each.name}")
            yield each.name

    work = lambda path: done.append(f"work {path.stem}")  # noqa: E731
    assert list(examine_groups(groups_of(NAMES[:6]), work, then, workers=1)) == NAMES[:6]
    assert done == [f"{what} {name}" for name in NAMES[:6] for what in ("work", "then")]


@pytest.mark.parametrize("deadly", [["R04"], ["R00"], ["R11"], ["R03", "R05"], ["R06", "R07", "R08"]], ids="-".join)
def test_a_death_costs_the_recording_that_it_is_of_and_its_group_is_worked_on_one_by_one(deadly):
    found = list(examine_groups(groups_of(NAMES), dying(deadly, os.getpid()), together, workers=2))
    assert [name for name, *_ in found] == NAMES
    hit = {NAMES.index(name) // 3 for name in deadly}
    for number, (name, result, problems, names, process) in enumerate(found):
        if name in deadly:
            assert (result, problems) == (None, (f"in/{name}.hea: {DIED}",))
        else:
            assert (result, len(problems)) == (f"in/{name}.hea", 1)
            assert process != os.getpid()
        group = number // 3
        assert names == ([name] if group in hit else NAMES[3 * group : 3 * group + 3])


def test_the_stamps_of_what_died_are_those_of_all_its_files():
    then = lambda examined: [(each.path.name, each.stamps) for each in examined]  # noqa: E731
    found = list(examine_groups(groups_of(NAMES), dying(["R04"], os.getpid()), then, workers=2))
    assert found == [(f"{name}.hea", (f"stamp of in/{name}.hea", f"stamp of more/{name}.hea")) for name in NAMES]


def test_a_death_in_the_only_group_costs_no_other_recording():
    """Where one group is left of a run, as after a death and `--resume`."""
    found = list(examine_groups(groups_of(NAMES[:3]), dying(["R01"], os.getpid()), together, workers=2))
    assert [(name, result) for name, result, *_ in found] == [
        ("R00", "in/R00.hea"),
        ("R01", None),
        ("R02", "in/R02.hea"),
    ]
    assert found[1][2] == (f"in/R01.hea: {DIED}",)


def test_one_recording_alone_is_worked_on_in_this_process():
    [(name, result, _, _, process)] = examine_groups(groups_of(["A"]), str, together, workers=2)
    assert (name, result, process) == ("A", "in/A.hea", os.getpid())


@pytest.mark.parametrize(("workers", "deadly"), [(1, []), (2, []), (2, ["R06"])])
def test_errors_of_what_follows_end_all_of_it(workers, deadly):
    def full(examined):
        for each in examined:
            if each.name == "R07":
                raise OSError("no space left")
            yield each.name

    results = examine_groups(groups_of(NAMES), dying(deadly, os.getpid()), full, workers=workers)
    assert [next(results) for _ in range(6)] == NAMES[:6]
    with pytest.raises(OSError, match="no space left"):
        list(results)


def test_groups_are_drawn_as_they_are_worked_on():
    drawn = []

    def groups():
        for number in range(1000):
            drawn.append(number)
            yield [Candidates(f"{number}-{k}", ("in/a.hea",)) for k in range(3)]

    results = examine_groups(groups(), str, together, workers=2)
    assert [next(results)[0] for _ in range(4)] == ["0-0", "0-1", "0-2", "1-0"]
    results.close()
    assert len(drawn) < 20


def test_a_run_works_on_the_groups_of_its_share_that_are_left(tmp_path, capsys):
    recordings = [each for group in groups_of(NAMES[:11]) for each in group]

    def run(**options):
        return Run(recordings, tmp_path / ".run", "step", RunOptions(workers=1, **options), group_size=3)

    second = run(shard=Shard(2, 2))
    then = lambda examined: [(each, [one.name for one in some]) for some in [list(examined)] for each in some]  # noqa: E731
    found = list(second.examined_in_groups(lambda path: path.stem, then))
    assert [(each.name, names) for each, names in found] == [
        *((name, NAMES[3:6]) for name in NAMES[3:6]),
        *((name, NAMES[9:11]) for name in NAMES[9:11]),
    ]
    for each, _ in found[:2]:  # the second file of each name is left out, and that is a problem: none is kept
        second.note(each)
    again = run(shard=Shard(2, 2), resume=True)
    assert [each.name for _, each in again.left] == [*NAMES[3:6], *NAMES[9:11]]
    assert capsys.readouterr().err.splitlines() == [
        *(problem for each, _ in found[:2] for problem in each.problems),
        "0 finished recordings are kept, 5 are left",
    ]
