"""Which device and precision is taken on machines of every kind."""

import pytest
import torch
from torch import nn

from ecg.runtime import device
from ecg.runtime.device import fastest_dtype, has_fast_bfloat16, is_right_in_bfloat16, pick_device, training_autocast

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
WORDS = "expected auto, cpu, cuda or cuda:<number>"


@pytest.fixture
def machine(monkeypatch):
    """A machine with this many GPUs, and this process as one that the launcher has started."""

    def make(gpus=0, capability=(8, 0), cpu=(), process=""):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda found: capability)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(cpu, True))
        for name, value in zip(NAMES, process.split() or [None] * 4, strict=True):
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)

    return make


@pytest.mark.parametrize(
    ("name", "gpus", "process", "expected"),
    [
        ("auto", 0, "", "cpu"),
        ("auto", 1, "", "cuda"),
        ("auto", 0, "1 4 1 2", "cpu"),
        ("auto", 2, "3 4 1 2", "cuda:1"),
        ("cuda", 2, "2 4 0 2", "cuda:0"),
        ("cuda", 1, "0 1 0 1", "cuda"),
        ("cuda:1", 2, "2 4 0 2", "cuda:1"),
        ("cpu", 2, "3 4 1 2", "cpu"),
        ("cuda:1", 2, "", "cuda:1"),
    ],
)
def test_the_device_of_a_name(machine, name, gpus, process, expected):
    machine(gpus, process=process)
    assert pick_device(name) == torch.device(expected)
    if name == "auto":
        assert pick_device() == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "gpus", "process", "message"),
    [
        ("cuda", 0, "", "device cuda: found 0 usable GPUs"),
        ("cuda:2", 2, "", "device cuda:2: found 2 usable GPUs"),
        ("auto", 2, "2 3 2 3", "device cuda:2: found 2 usable GPUs"),
        ("abacus", 1, "", f"device abacus: {WORDS}"),
        ("meta", 1, "", f"device meta: {WORDS}"),
        ("cuda:x", 1, "", f"device cuda:x: {WORDS}"),
        ("cuda", 2, "4 4 0 2", "RANK below WORLD_SIZE"),
    ],
)
def test_a_device_that_is_not_there_is_refused(machine, name, gpus, process, message):
    machine(gpus, process=process)
    with pytest.raises(ValueError, match=message):
        pick_device(name)


CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("found", "capability", "cpu", "fast"),
    [
        (GPU, (7, 5), ("avx512_bf16",), False),
        (GPU, (8, 0), (), True),
        (GPU, (9, 0), (), True),
        (CPU, (9, 0), (), False),
        (CPU, (9, 0), ("avx2", "avx512_f"), False),
        (CPU, (7, 0), ("avx512_bf16",), True),
        (CPU, (7, 0), ("amx_bf16",), True),
    ],
)
def test_bfloat16_is_taken_where_the_hardware_has_it(machine, found, capability, cpu, fast):
    machine(2, capability, cpu)
    assert has_fast_bfloat16(found) is fast
    assert fastest_dtype(found) == (torch.bfloat16 if fast else torch.float32)


@pytest.mark.parametrize("size", range(1, 26))
def test_kernels_of_a_multiple_of_4_are_wrong_in_bfloat16(size):
    assert is_right_in_bfloat16(nn.Conv1d(1, 1, size)) == (size not in (4, 8, 12, 16, 20, 24))


@pytest.mark.parametrize(
    ("found", "fast", "sizes", "expected"),
    [
        (CPU, True, (3, 15), "cpu"),
        (CPU, True, (3, 16), None),
        (CPU, True, (16, 3), None),
        (CPU, False, (3, 15), None),
        (GPU, True, (3, 16), "cuda"),
        (GPU, False, (3,), None),
        (CPU, True, (), "cpu"),
    ],
)
def test_training_is_in_bfloat16_unless_a_kernel_of_any_network_is_wrong_in_it(
    monkeypatch, found, fast, sizes, expected
):
    taken = []

    def autocast(kind, dtype):
        taken.append((kind, dtype))

    monkeypatch.setattr(device, "has_fast_bfloat16", lambda _: fast)
    monkeypatch.setattr(torch, "autocast", autocast)
    training_autocast(found, *(nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv1d(1, 1, size))) for size in sizes))
    assert taken == ([(expected, torch.bfloat16)] if expected else [])
