"""A training by several processes: the model of one process, written once; one that dies ends all."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from commands import ENVIRONMENT, command, run, torchrun, visible_bytes, write_recordings
from ecg.methods.base import Batch
from ecg.runtime.processes import ALONE, Processes, joined
from ecg.training.distributed import CommonBatchNorm1d, DataParallel

# Of a tensor's largest value: in bfloat16 another part of a batch is rounded otherwise, and the optimiser divides
# gradients by their size, small ones too. The losses are held to 1e-4.
TOLERANCE = 0.15


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """36 recordings: 28 or 29 to train on in batches of 8, of which the last is of 4 or 5."""
    place = tmp_path_factory.mktemp("distributed")
    write_recordings(place / "data", 36)
    run("train_model", place / "data", place / "one", *WORDS, check=0)
    return place


WORDS = ("--method", "still", "--members", 2, "--epochs", 3, "--workers", 1)


def weights_of(model):
    return [load_file(path) for path in sorted(model.glob("*.safetensors"))]


def is_same_model(model, other):
    pairs = zip(weights_of(model), weights_of(other), strict=True)
    same = all(np.abs(a[key] - b[key]).max() <= TOLERANCE * np.abs(a[key]).max() for a, b in pairs for key in a)
    histories = [csv.DictReader((folder / "history.csv").read_text().splitlines()) for folder in (model, other)]
    losses = [[float(row["loss"]) for row in history] for history in histories]
    return same and losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_parts_of_a_batch_are_all_of_it_and_a_stand_in_where_there_is_none(count):
    batch = Batch(torch.arange(5.0)[:, None], torch.arange(5), torch.zeros(5, 1))
    seen = []
    for rank in range(count):
        parallel = DataParallel(Processes(rank, count, rank, count))
        part = parallel.part(batch)
        parallel.begin(5)
        assert len(part.signal) >= 1
        if parallel.has_items:
            seen += part.lengths.tolist()
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("momentum", [0.1, None])
def test_the_common_batch_norm_is_torchs_where_there_is_one_process(momentum):
    torch.manual_seed(0)
    theirs = torch.nn.BatchNorm1d(4, momentum=momentum)
    torch.nn.init.uniform_(theirs.weight)
    parallel = DataParallel(ALONE)
    parallel.begin(6)
    ours = CommonBatchNorm1d(torch.nn.BatchNorm1d(4, momentum=momentum), parallel)
    ours.load_state_dict(theirs.state_dict())
    for scale in (1, 5):
        one = (torch.randn(6, 4, 9) * scale + 3).requires_grad_()
        two = one.detach().clone().requires_grad_()
        for norm, x in ((theirs, one), (ours, two)):
            norm(x).square().mul(torch.arange(9)).sum().backward()
        assert torch.allclose(one.grad, two.grad, rtol=1e-3, atol=1e-3)
        assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(theirs.buffers(), ours.buffers(), strict=True))
        assert torch.allclose(theirs(one), ours(two), atol=1e-5)


def test_without_the_launcher_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with joined(torch.device("cpu")) as processes:
        assert processes is ALONE
        assert processes.gather(3) == [3]
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 6])
def test_processes_train_the_model_of_one_process_and_say_it_once(place, tmp_path, n):
    """With six of them the last batch of an epoch has fewer items than there are processes."""
    done = torchrun("train_model", place / "data", tmp_path / "model", *WORDS, n=n, check=0)
    assert is_same_model(place / "one", tmp_path / "model")
    assert done.stderr.count("Member 2/2, bce epoch 3/3: loss") == 1
    assert done.stderr.count("36 recordings: ") == 1
    assert done.stderr.count("Reading: 100%") == 1
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir()) == [
        ".csv", ".json", ".safetensors", ".safetensors",
    ]  # fmt: skip


@pytest.mark.slow
def test_members_spread_over_processes_are_those_of_one_process_to_the_byte(place, tmp_path):
    torchrun("train_model", place / "data", tmp_path / "model", *WORDS, "--spread-members", check=0)
    files = {path.name: path.read_bytes() for path in (place / "one").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == files
    config = json.loads(files["config.json"])
    assert len(config["members"]) == 2
    start = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3", "--no-python")
    words = command("train_model", place / "data", tmp_path / "none", *WORDS, "--spread-members")
    refused = subprocess.run([*start, *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert refused.returncode != 0
    assert "expected at most 2 processes to spread 2 members, found 3" in refused.stderr


@pytest.mark.slow
def test_a_process_that_is_killed_ends_all_with_a_sentence_and_the_same_command_goes_on(place, tmp_path):
    words = ["--method", "tiny", "--members", 1, "--epochs", 30, "--workers", 1]
    torchrun("train_model", place / "data", tmp_path / "undisturbed", *words, check=0)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    started = subprocess.Popen(
        [*start, *command("train_model", place / "data", tmp_path / "model", *words)],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    while "epoch 3/30: loss" not in said:
        line = started.stderr.readline()
        assert line, said
        said += line
    victim = max(children_of(started.pid))
    os.kill(victim, signal.SIGKILL)
    said += started.communicate(timeout=120)[1]
    assert started.returncode not in (0, None)
    assert (
        "another process of this run has ended, or its launcher was stopped; the same command continues after" in said
    )
    checkpoint = tmp_path / "model" / ".training-state" / "member-1.ckpt"
    assert checkpoint.exists()
    done = torchrun("train_model", place / "data", tmp_path / "model", *words, check=0)
    assert done.stderr.count("Member 1/1: continuing after epoch") == 1
    assert visible_bytes(tmp_path / "model") == visible_bytes(tmp_path / "undisturbed")


def children_of(pid):
    for _ in range(100):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(word) for word in file.read().split()]
        if len(children) >= 2:
            return children
        time.sleep(0.1)
    raise AssertionError(children)
