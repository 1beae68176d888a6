"""Networks in the processes that read, as on a CPU, and in this process, as on a GPU: the same results either way."""

import os

import numpy as np
import pytest
import torch

import team_code
from commands import visible_bytes, write_recordings
from ecg.inference import interpret_recordings as interpreting
from ecg.inference import run_folder as driving
from ecg.inference.computing import Computing
from ecg.inference.interpret_recordings import interpret_recordings
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.report.recordings import Options, report_folder
from ecg.runtime.shards import Shard
from report_pages import write_model
from tiny import tiny

N = 34  # recordings, in groups of two


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    write_recordings(place / "in", N)
    (place / "in" / "HR00003.mat").write_bytes(b"junk")
    write_model(place / "model", 2)
    return place


@pytest.fixture
def model(place, monkeypatch):
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)
    return team_code.load_model(place / "model", device="cpu")


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Make the networks run in this process."""
    return lambda: monkeypatch.setattr(Computing, "in_workers", False)


@pytest.fixture
def processes(monkeypatch, tmp_path):
    """How often each process has run networks or made them ready, by what it did."""
    probabilities, ready = Computing.probabilities, Computing.ready
    (tmp_path / "processes").mkdir()

    def noted(what, function):
        def call(*words):
            with open(tmp_path / "processes" / f"{what} {os.getpid()}", "a") as file:
                file.write("x")
            return function(*words)

        return call

    monkeypatch.setattr(Computing, "probabilities", noted("run", probabilities))
    monkeypatch.setattr(Computing, "ready", noted("ready", ready))

    def found(what):
        files = (tmp_path / "processes").glob(f"{what} *")
        return {int(path.name.split()[1]): path.stat().st_size for path in files}

    return found


@pytest.mark.parametrize(
    ("n_recordings", "cpu"), [(0, 1), (1, 1), (16, 1), (31, 1), (32, 2), (40, 2), (320, 20), (10_000, 20)]
)
def test_groups_are_small_enough_for_sixteen_processes_and_as_large_as_a_batch(n_recordings, cpu):
    sizes = {
        (name, deterministic): Computing(torch.device(name), deterministic).group_size(n_recordings)
        for name in ("cpu", "cuda")
        for deterministic in (False, True)
    }
    assert sizes == {("cpu", False): cpu, ("cpu", True): 1, ("cuda", False): 320, ("cuda", True): 1}


@pytest.mark.parametrize("deterministic", [False, True])
def test_networks_run_where_recordings_are_read_unless_there_is_a_gpu(deterministic):
    found = {name: Computing(torch.device(name), deterministic).in_workers for name in ("cpu", "cuda", "cuda:1")}
    assert found == {"cpu": True, "cuda": False, "cuda:1": False}


@pytest.mark.parametrize("deterministic", [False, True])
def test_workers_and_shards_change_no_byte(place, model, tmp_path, deterministic):
    def run(output, workers, shard):
        how = ClassifyOptions(workers=workers, shard=shard, deterministic=deterministic)
        return run_folder(model, place / "in", tmp_path / output, how)

    whole = [run(f"{workers}", workers, Shard()) for workers in (1, 2, 3)]
    shards = [run("shards", 2, Shard(number, 2)) for number in (2, 1)]
    assert [(each.classified, len(each.problems)) for each in whole] == [(N - 1, 1)] * 3
    assert sum(each.classified for each in shards) == N - 1
    one, *others = (visible_bytes(tmp_path / name) for name in ("1", "2", "3", "shards"))
    assert len(one) == N
    assert others == [one] * 3


def test_each_worker_makes_networks_of_its_own_once_and_this_process_none(place, model, tmp_path, processes):
    run_folder(model, place / "in", tmp_path / "out", ClassifyOptions(workers=2))
    run, ready = processes("run"), processes("ready")
    assert len(run) in (1, 2) and os.getpid() not in run
    assert ready == dict.fromkeys(run, 1)
    assert sum(run.values()) == N / 2  # groups


def test_one_worker_is_this_process(place, model, tmp_path, processes):
    run_folder(model, place / "in", tmp_path / "out", ClassifyOptions(workers=1))
    assert (processes("run"), processes("ready")) == ({os.getpid(): N / 2}, {os.getpid(): 1})


def test_the_way_of_a_gpu_gives_the_bytes_of_the_way_in_workers(place, model, tmp_path, as_on_a_gpu, processes, capsys):
    how = ClassifyOptions(workers=2, deterministic=True)
    in_workers = run_folder(model, place / "in", tmp_path / "workers", how)
    assert os.getpid() not in processes("run")
    as_on_a_gpu()
    here = run_folder(model, place / "in", tmp_path / "here", how)
    assert os.getpid() in processes("run")
    assert visible_bytes(tmp_path / "here") == visible_bytes(tmp_path / "workers")
    assert in_workers == here and here.classified == N - 1
    threads = torch.get_num_threads()
    said = [line.partition("; ")[2] for line in capsys.readouterr().err.splitlines() if line.startswith("Computing")]
    assert said == ["2 processes read, each with networks of its own", f"2 processes read, {threads} at a time"]


def test_on_the_way_of_a_gpu_only_recordings_of_a_group_may_share_batches(
    place, model, tmp_path, as_on_a_gpu, monkeypatch
):
    as_on_a_gpu()
    seen, probabilities = [], Computing.probabilities

    def noted(compute, ready, items):
        return probabilities(compute, ready, (seen.append(item.batch_group) or item for item in items))

    monkeypatch.setattr(Computing, "probabilities", noted)
    run_folder(model, place / "in", tmp_path / "out", ClassifyOptions(workers=2))
    assert seen == [k // 20 for k in range(N)]


def test_a_report_made_the_way_of_a_gpu_has_the_bytes_of_one_made_in_workers(
    place, model, tmp_path, as_on_a_gpu, processes
):
    recordings = [place / "in" / f"HR0000{k}.hea" for k in range(5)]
    how = ClassifyOptions(workers=2, deterministic=True)
    outcomes = [report_folder(model, recordings, tmp_path / "workers", Options(), how)]
    assert os.getpid() not in processes("run")
    as_on_a_gpu()
    outcomes.append(report_folder(model, recordings, tmp_path / "here", Options(), how))
    assert os.getpid() in processes("run")
    found = visible_bytes(tmp_path / "here")
    assert found == visible_bytes(tmp_path / "workers")
    assert sum(name.startswith("pages/") for name in found) == 4
    assert outcomes[0] == outcomes[1]


# --- A recording that ends its process


def deadly(monkeypatch, module, name):
    """Reading the recording of this name ends the process that does it; in this process it fails."""
    parent, read = os.getpid(), module.read

    def reading(path):
        if path.stem == name:
            assert os.getpid() != parent, "what may end its process is read in the process of all"
            os._exit(1)
        return read(path)

    monkeypatch.setattr(module, "read", reading)


def test_a_death_costs_one_recording_its_output_and_resume_does_its_group_again(place, model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        deadly(patch, driving, "HR00010")
        outcome = run_folder(model, place / "in", tmp_path / "out", ClassifyOptions(workers=2))
        again = run_folder(model, place / "in", tmp_path / "out", ClassifyOptions(workers=2, resume=True))
    for each in (outcome, again):
        assert [problem.partition(": ")[0] for problem in each.problems] == [
            f"{place}/in/HR00003.mat",
            f"{place}/in/HR00010.hea",
        ]
    assert "its process was ended from outside" in outcome.problems[1]
    assert (outcome.classified, again.classified, again.classified_before) == (N - 2, 2, N - 4)
    mended = run_folder(model, place / "in", tmp_path / "out", ClassifyOptions(workers=2, resume=True))
    assert (mended.classified, mended.classified_before) == (3, N - 4)
    whole = run_folder(model, place / "in", tmp_path / "whole", ClassifyOptions(workers=2))
    assert whole.classified == N - 1
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "whole")


def test_where_the_group_of_a_death_alone_is_left_it_costs_no_more(place, model, tmp_path, monkeypatch):
    recordings = sorted(path for path in (place / "in").glob("*.hea") if path.stem != "HR00003")
    monkeypatch.setattr(Computing, "group_size", lambda *_: 3)
    deadly(monkeypatch, driving, "HR00010")
    run_folder(model, recordings, tmp_path / "out", ClassifyOptions(workers=2))
    again = run_folder(model, recordings, tmp_path / "out", ClassifyOptions(workers=2, resume=True))
    assert (again.classified, again.classified_before) == (2, N - 4)
    assert len(again.problems) == 1 and "its process was ended from outside" in again.problems[0]


@pytest.mark.parametrize("n_recordings", [3, 20])
def test_a_death_costs_one_recording_its_statements(place, monkeypatch, n_recordings):
    paths = [place / "in" / f"HR{k:05d}.hea" for k in range(10, 10 + n_recordings)]
    deadly(monkeypatch, interpreting, "HR00011")
    found = list(interpret_recordings(paths, workers=2))
    assert [each.record for each in found] == [path.stem for path in paths]
    assert [each.record for each in found if each.problem] == ["HR00011"]
    assert "its process was ended from outside" in found[1].problem
    assert all(each.statements for each in found if not each.problem)


# --- Statements


def statements(paths, models, workers):
    found = list(interpret_recordings(paths, models, workers=workers))
    said = [(each.record, each.problem, each.uncertain, [one.code for one in each.statements]) for each in found]
    return said, np.array([one.probability for each in found for one in each.statements])


def test_statements_are_the_same_with_any_workers_and_the_way_of_a_gpu(
    place, model, as_on_a_gpu, processes, monkeypatch
):
    monkeypatch.setattr(Computing, "group_size", lambda computing, n_recordings: 8)
    monkeypatch.setattr("ecg.inference.interpret_recordings._ON_A_GPU", 8)
    paths = sorted((place / "in").glob("*.hea"))[:20]
    said, probabilities = statements(paths, [model], 1)
    assert [record for record, problem, *_ in said if problem] == ["HR00003"]
    assert np.isfinite(probabilities).any()
    assert processes("run") == {os.getpid(): 3}
    in_workers = statements(paths, [model], 2)
    before = processes("run")
    assert before[os.getpid()] == 3 and sum(before.values()) == 6
    as_on_a_gpu()
    here = statements(paths, [model], 2)
    assert processes("run") == before | {os.getpid(): 6}
    assert in_workers[0] == here[0] == said
    np.testing.assert_array_equal(in_workers[1], probabilities)
    np.testing.assert_allclose(here[1], probabilities, rtol=0, atol=0.01)
