"""Several processes that train together, as threads of this one: the weights of one process, the data read once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from ecg.methods.base import Batch
from ecg.runtime import device
from ecg.runtime.processes import ALONE, Processes
from ecg.training.distributed import DataParallel, read_once
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
    again = [training(processes=each, checkpoint=tmp_path / f"{each.rank}.ckpt", resume=True) for each in processes]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(_MemberTraining.restore, again))
    for run in again:
        assert (run.stage, run.epoch, run.history) == (1, 2, found[0].history)
        for one, other in zip(run.average.parameters(), again[0].average.parameters(), strict=True):
            assert torch.equal(one, other)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv1d(12, 4, 5), nn.BatchNorm1d(4, momentum=None)
        self.inner = nn.Sequential(nn.Linear(9, 6), nn.BatchNorm1d(6, affine=False, eps=0.1), nn.ReLU())
        self.fc = nn.Linear(6, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, batch):
        x = self.bn(self.conv(batch.signal)).square().mean(dim=2) * batch.lengths[:, None]
        return self.fc(self.inner(torch.cat([x, batch.features], dim=1)))


def drawn(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network()
        batches = [Batch(torch.randn(n, 12, 20) + 2, torch.arange(1, n + 1), torch.randn(n, 5)) for n in (5, 8, 2)]
    return network, batches


def learned(network, batches, parallel):
    """Logits and gradients of each batch, and the state at the end, of a loss in which items depend on each other."""
    found = []
    network = parallel.prepare(network).train()
    for batch in batches:
        parallel.begin(len(batch.signal))
        network.zero_grad()
        logits = parallel.all_logits(network(parallel.part(batch)))
        (logits.logsumexp(dim=0).square().sum() + (logits * torch.arange(3)).mean()).backward()
        parallel.add_gradients(network)
        grads = {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}
        found.append({"logits": logits.detach(), **grads})
    return found, network.state_dict()


@pytest.mark.parametrize("count", [2, 3, 8])
def test_processes_have_the_logits_gradients_and_statistics_of_one(count):
    expected, state = learned(*drawn(0), DataParallel(ALONE))
    drawings = [drawn(0) for _ in range(count)]
    results = together(count, lambda process: learned(*drawings[process.rank], DataParallel(process)))
    for found, own_state in results:
        for one, other in zip(found, expected, strict=True):
            assert one.keys() == other.keys() and "unused.weight" not in one
            for name, value in one.items():
                torch.testing.assert_close(value, other[name], rtol=1e-3, atol=1e-3, msg=name)
        assert own_state.keys() == state.keys()
        for name, value in own_state.items():
            torch.testing.assert_close(value, state[name], rtol=1e-3, atol=1e-4, msg=name)


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
