"""Several processes that train together, as threads of this one: the weights of one process, the data read once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

from ecg.runtime import device
from ecg.runtime.processes import Processes
from ecg.training.distributed import read_once
from ecg.training.member import _MemberTraining
from ecg.training.options import MemberOptions
from tiny import changed, random_dataset, still

CPU = torch.device("cpu")
ROWS = np.arange(30)


class Team:
    def __init__(self, count):
        self.barrier = threading.Barrier(count, timeout=60)
        self.items = [None] * count


@dataclass(frozen=True)
class Thread(Processes):
    """A process whose others are threads."""

    team: Team | None = None

    def __deepcopy__(self, memo):
        return self

    def gather(self, item):
        self.team.items[self.rank] = item
        self.team.barrier.wait()
        items = list(self.team.items)
        self.team.barrier.wait()
        return items

    def add(self, tensor):
        tensor.copy_(sum(self.gather(tensor.clone())))


def together(count, work, machines=1):
    """What each of so many processes gives, an exception among it."""
    team, of_machine = Team(count), count // machines

    def one(rank):
        try:
            return work(Thread(rank, count, rank % of_machine, of_machine, team))
        except Exception as error:
            if not isinstance(error, ValueError):
                team.barrier.abort()
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.fixture
def exact(monkeypatch):
    """Nothing is rounded to bfloat16, and the generators of other tests stay as they are."""
    monkeypatch.setattr(device, "has_fast_bfloat16", lambda device: False)
    with torch.random.fork_rng():
        yield


@pytest.mark.usefixtures("exact")
def test_processes_train_what_one_process_trains(tmp_path):
    """Of the last batch, of four recordings, five processes have one each or none."""
    count = 5
    [stage] = still().training.stages
    average = replace(stage, name="two", select="average", average_epochs=2)
    # Adam would make a whole step of a gradient that is nothing but rounding.
    stages = [replace(each, make_optimizer=partial(torch.optim.SGD, lr=0.1), epochs=2) for each in (stage, average)]
    method = changed(still(), stages=tuple(stages))

    def training(**options):
        given = MemberOptions(4, 1, 0, CPU, **options)
        return _MemberTraining(method, random_dataset(), ROWS[:20], ROWS[20:], given)

    alone = training().finish()
    team = Team(count)
    processes = [Thread(rank, count, rank, count, team) for rank in range(count)]
    # One after another, as they share this process's generator.
    starts = [training(processes=each, checkpoint=tmp_path / f"{each.rank}.ckpt") for each in processes]
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(_MemberTraining.finish, starts))
    for member in found:
        for name, value in alone.state.items():
            torch.testing.assert_close(member.state[name], value, rtol=2e-3, atol=2e-4)
        np.testing.assert_allclose(member.probabilities, alone.probabilities, atol=1e-3)
        for row, expected in zip(member.history, alone.history, strict=True):
            assert row["loss"] == pytest.approx(expected["loss"], rel=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["0.ckpt"]


def dataset_of(digest):
    dataset = random_dataset(2)
    dataset.entries[1] = replace(dataset.entries[1], digest=digest)
    return dataset


def test_the_first_process_reads_then_the_first_of_each_machine_then_the_others():
    said, lock = [], threading.Lock()

    def work(process):
        def read():
            with lock:
                said.append(("starts", process.rank))
            data = dataset_of("same"), [f"problem of {process.rank}"]
            with lock:
                said.append(("ends", process.rank))
            return data

        return read_once(process, read)

    found = together(6, work, machines=2)
    assert said[:4] == [("starts", 0), ("ends", 0), ("starts", 3), ("ends", 3)]
    assert {rank for _, rank in said[4:]} == {1, 2, 4, 5} and len(said) == 12
    assert [problems for _, problems in found] == [[f"problem of {rank}"] for rank in range(6)]


@pytest.mark.parametrize("other", [1, 3])
def test_other_recordings_on_one_machine_are_refused_everywhere(other):
    found = together(4, lambda process: read_once(process, lambda: (dataset_of(str(process.rank == other)), [])))
    assert {str(error) for error in found} == {
        "expected the same recordings on every machine, found others; give all of them one folder"
    }
