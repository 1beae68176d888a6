"""What the processes of one command know of each other, without starting any."""

import signal
from itertools import product

import pytest
import torch
import torch.distributed

from ecg.runtime.processes import ALONE, Processes, joined, launched
from ecg.runtime.shards import Shard, parse_shard

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


def set_environment(monkeypatch, values):
    for name, value in zip(NAMES, values, strict=True):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize("values", list(product((-1, 0, 1, 2), (1, 2), (-1, 0, 1, 2), (1, 2))))
def test_ranks_are_below_the_numbers_of_processes(monkeypatch, values):
    rank, count, local_rank, local_count = values
    set_environment(monkeypatch, values)
    if 0 <= rank < count and 0 <= local_rank < local_count:
        assert launched() == Processes(*values)
        assert launched().is_first == (rank == 0)
    else:
        with pytest.raises(ValueError, match="expected RANK below WORLD_SIZE and LOCAL_RANK below LOCAL_WORLD_SIZE"):
            launched()


@pytest.mark.parametrize(
    ("values", "is_launched"),
    [
        ((None, 2, 0, 1), False),
        ((0, None, 0, 1), False),
        ((0, 2, None, 1), None),
        ((0, 2, 0, None), None),
        ((0, 2, "a", 1), None),
        (("", 2, 0, 1), None),
        ((1, 2, 0, 1), True),
    ],
)
def test_half_an_environment_is_that_of_another_program_or_nonsense(monkeypatch, values, is_launched):
    set_environment(monkeypatch, values)
    if is_launched is None:
        with pytest.raises(ValueError, match="as torchrun sets them"):
            launched()
    else:
        assert (launched() != ALONE) == is_launched


@pytest.fixture
def others(monkeypatch):
    """Stand for the other processes: what is asked of them, and what they answer."""
    asked = []

    def all_gather_object(items, item):
        asked.append(("gather", item))
        items[:] = ["a", item, "c"][: len(items)]

    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: (asked.append(("add", 0)), tensor.mul_(3)))
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend, timeout: asked.append((backend, timeout.days))
    )
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: asked.append(("destroy", 0)))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: asked.append(("device", str(device))))
    return asked


def test_processes_share_what_each_of_them_has(others):
    second = Processes(1, 3, 1, 3)
    tensor = torch.ones(2)
    second.add(tensor)
    assert tensor.tolist() == [3, 3]
    assert second.gather("b") == ["a", "b", "c"]
    assert second.from_first(lambda: pytest.fail("only the first makes it")) == "a"
    second.wait()
    assert others == [("add", 0), ("gather", "b"), ("gather", None), ("gather", None)]
    assert Processes(0, 3, 0, 3).from_first(lambda: "made") == "a"
    assert others[-1] == ("gather", "made")


def test_a_process_alone_asks_nobody(others):
    tensor = torch.ones(2)
    ALONE.add(tensor)
    ALONE.wait()
    assert (tensor.tolist(), ALONE.gather("b"), ALONE.from_first(lambda: "made")) == ([1, 1], ["b"], "made")
    assert others == []


@pytest.mark.parametrize(
    ("device", "before", "after"),
    [(CPU, [("gloo", 7)], []), (GPU, [("device", "cuda:1"), ("cpu:gloo,cuda:nccl", 7)], [("destroy", 0)])],
)
def test_processes_are_connected_for_the_block(monkeypatch, others, device, before, after):
    set_environment(monkeypatch, (1, 2, 0, 1))
    handler = signal.getsignal(signal.SIGTERM)
    with joined(device) as processes:
        assert processes == Processes(1, 2, 0, 1)
        assert others == before
        with pytest.raises(ConnectionError, match="another process of this run has ended, or its launcher was stopped"):
            signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)
    assert others == [*before, ("gather", None), *after]
    assert signal.getsignal(signal.SIGTERM) == handler


def test_after_an_error_nobody_is_waited_for(monkeypatch, others):
    set_environment(monkeypatch, (1, 2, 0, 1))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), joined(GPU):
        raise ZeroDivisionError
    assert ("gather", None) not in others and ("destroy", 0) not in others
    assert signal.getsignal(signal.SIGTERM) == handler


def test_a_broken_connection_is_said(monkeypatch, others, capsys):
    def fail(items, item):
        raise RuntimeError("connection closed\nby peer")

    monkeypatch.setattr(torch.distributed, "all_gather_object", fail)
    with pytest.raises(ConnectionError, match="another process of this run has ended"):
        Processes(1, 2).gather("b")
    assert capsys.readouterr().err == "RuntimeError: connection closed\n"


@pytest.mark.parametrize("values", [(None,) * 4, (0, 1, 0, 1)])
def test_outside_the_launcher_nothing_is_connected(monkeypatch, others, values):
    set_environment(monkeypatch, values)
    with joined(CPU) as processes:
        assert processes == ALONE
    assert others == []


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_take_turns_and_each_place_is_in_one(count):
    shards = [parse_shard(f"{number}/{count}") for number in range(1, count + 1)]
    assert [str(each) for each in shards] == [f"{number}/{count}" for number in range(1, count + 1)]
    assert [[shard for shard in shards if shard.has(place)] for place in range(20)] == [
        [Shard(place % count + 1, count)] for place in range(20)
    ]
