"""A folder shared out over several processes: each recording once, and what one process writes, to the same bytes."""

import shutil

import pytest

import driver
import ecg.inference.run_folder as driving
import team_code
from bad_recordings import write_refused
from commands import run, torchrun, visible_bytes, write_recordings
from ecg.commands import measure as measure_command
from ecg.inference.computing import Computing
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.runtime.processes import ALONE, Processes, launched
from ecg.runtime.shards import WHOLE, Shard, parse_shard
from ecg.training.trainer import train
from report_pages import run_report, table_of, write_model
from tiny import heart_like, quick, tiny, write_recording


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with recordings of one name, of which some can't be read, and a tiny model."""
    place = tmp_path_factory.mktemp("shards")
    write_recordings(place / "data", 18)
    for folder, name, seed in (("b", "HR00001", 20), ("b", "TWICE", 21), ("c", "TWICE", 22), ("c", "HR00007", 23)):
        write_recording(place / "data" / folder, name, heart_like(2, seed=seed))
    (place / "data" / "b" / "TWICE.mat").write_bytes(b"junk")  # the one in c has the output
    (place / "data" / "HR00004.mat").write_bytes(b"junk")
    train(tiny(), place / "data", place / "model", quick())
    train(tiny(), place / "data", place / "other", quick(seed=1))
    return place


@pytest.fixture
def classify(place, monkeypatch):
    """Run the driver's code on the folder in groups of 3; the names that were classified, in order, and the outcome."""
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)
    monkeypatch.setattr(Computing, "group_size", lambda *_: 3)

    def run_shard(output, shard=WHOLE, model="model", resume=False):
        names, loaded, classify = [], team_code.load_model(place / model, device="cpu"), driving.classify
        with monkeypatch.context() as patch:
            patch.setattr(driving, "classify", lambda *words: map(note(names), classify(*words)))
            options = ClassifyOptions(workers=1, resume=resume, shard=shard)
            return names, run_folder(loaded, place / "data", output, options)

    def note(names):
        def noted(result):
            names.extend([result.name] if len(result.members) else [])
            return result

        return noted

    return run_shard


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_shards_classify_each_recording_once_to_the_bytes_of_one_process(classify, tmp_path, count):
    names, outcome = classify(tmp_path / "whole")
    seen, problems = [], []
    for number in reversed(range(1, count + 1)):
        classified, each = classify(tmp_path / "out", Shard(number, count))
        seen += classified
        problems += each.problems
    assert sorted(seen) == sorted(names)
    assert sorted(problems) == sorted(outcome.problems)
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "whole")


def test_a_shard_that_died_goes_on_alone_and_one_that_never_began_begins(classify, tmp_path):
    classify(tmp_path / "whole")
    for number in (1, 2):
        classify(tmp_path / "out", Shard(number, 3))
    (tmp_path / "out" / "HR00000.csv").unlink()
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.csv")}
    for number in (1, 2, 3):
        classify(tmp_path / "out", Shard(number, 3), resume=True)
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "whole")
    kept = {name for name, ns in written.items() if (tmp_path / "out" / name).stat().st_mtime_ns == ns}
    assert {f"HR{number:05d}.csv" for number in (12, 13, 14)} <= kept
    assert "HR00001.csv" not in kept  # of the same group


@pytest.mark.parametrize("again", [WHOLE, Shard(1, 2)])
def test_what_shards_have_finished_is_kept_by_a_run_that_is_shared_out_otherwise(classify, tmp_path, again):
    for number in (1, 2, 3):
        classify(tmp_path / "out", Shard(number, 3))
    before = visible_bytes(tmp_path / "out")
    classified, outcome = classify(tmp_path / "out", again, resume=True)
    # Groups with a bad recording are classified again, and those that have a name in common with them.
    assert outcome.classified_before >= 3
    assert not {f"HR{number:05d}" for number in range(9, 18)} & set(classified)
    assert visible_bytes(tmp_path / "out") == before


def test_outputs_of_another_model_are_not_taken_for_this_runs(classify, tmp_path):
    classify(tmp_path / "whole")
    classify(tmp_path / "out", model="other")
    classify(tmp_path / "out", Shard(1, 2))
    assert classify(tmp_path / "out", resume=True)[1].classified_before == 3  # of three groups two have problems
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "whole")


def test_a_new_run_removes_what_was_noted_by_one_that_was_shared_out_otherwise(classify, tmp_path):
    classify(tmp_path / "out", Shard(2, 3))
    classify(tmp_path / "out", model="other")
    assert [path.name for path in (tmp_path / "out").glob(".run*")] == [".run.jsonl"]


def test_more_shards_than_groups_leave_some_with_nothing_to_do(classify, tmp_path):
    names, outcome = classify(tmp_path / "out", Shard(40, 40))
    assert (names, outcome.classified, outcome.problems) == ([], 0, [])


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/2/3", "a/b", "-1/2", "1/0", "", "١/٢"])
def test_a_shard_that_is_none_is_refused(text, monkeypatch, capsys, tmp_path):
    with pytest.raises(ValueError, match=r"expected K/N with K from 1 to N, such as 3/16"):
        parse_shard(text)
    assert measure_command.main([str(tmp_path), str(tmp_path / "o.csv"), f"--shard={text}"]) == 2
    assert "Invalid value for '--shard'" in capsys.readouterr().err


def test_the_launchers_environment_is_read_and_nonsense_in_it_refused(monkeypatch, capsys):
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert launched() == ALONE
    for name, value in zip(names, ("9", "16", "1", "8"), strict=True):
        monkeypatch.setenv(name, value)
    assert launched() == Processes(9, 16, 1, 8)
    monkeypatch.setattr("sys.argv", ["driver.py", "model", "in", "out", "--shard", "1/2"])
    assert driver.main() == 2
    assert "expected no shard under torchrun" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "16")
    with pytest.raises(ValueError, match="RANK below WORLD_SIZE"):
        launched()


# --- The table of measurements ----------------------------------------------------------------------------------------


def measure_shard(folder, table, *words):
    return measure_command.main([str(folder), str(table), "--workers", "1", "--json", f"{table}.jsonl", *words])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    place = tmp_path_factory.mktemp("measured")
    write_recordings(place / "in", 4)
    write_refused(place / "in", ["all_zero"])
    assert measure_shard(place / "in", place / "whole.csv") == 1
    return place


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_last_shard_makes_the_table_of_one_process(measured, tmp_path, capsys, count):
    table = tmp_path / "table.csv"
    for number in reversed(range(1, count + 1)):
        assert not table.exists()
        status = measure_shard(measured / "in", table, "--shard", f"{number}/{count}")
        assert status in (0, 1)
    assert table.read_bytes() == (measured / "whole.csv").read_bytes()
    assert (tmp_path / "table.csv.jsonl").read_bytes() == (measured / "whole.csv.jsonl").read_bytes()
    assert "of 5 are missing" in capsys.readouterr().err


def test_shards_of_another_folder_or_of_changed_recordings_are_not_put_into_the_table(measured, tmp_path, capsys):
    table = tmp_path / "table.csv"
    shutil.copytree(measured / "in", tmp_path / "in")
    assert measure_shard(tmp_path / "in", table, "--shard", "1/2") in (0, 1)
    write_recording(tmp_path / "in", "HR00000", heart_like(2, seed=50))
    assert measure_shard(tmp_path / "in", table, "--shard", "2/2") in (0, 1)
    assert not table.exists()
    assert "1 of 5 are missing" in capsys.readouterr().err
    for suffix in (".hea", ".mat"):
        (tmp_path / "in" / f"HR00000{suffix}").unlink()
    for shard in ("1/2", "2/2"):
        assert measure_shard(tmp_path / "in", table, "--shard", shard) in (0, 1)
    assert table.read_text().count("\n") == 5


# --- The report -------------------------------------------------------------------------------------------------------


def test_shards_write_the_pages_of_a_report_and_a_last_run_its_index(tmp_path, monkeypatch, capsys):
    write_model(tmp_path / "model")
    write_recordings(tmp_path / "in", 5)
    (tmp_path / "in" / "HR00002.mat").write_bytes(b"junk")
    words = (tmp_path / "model", tmp_path / "in")
    assert run_report(monkeypatch, *words, tmp_path / "whole", "--deterministic") == 1
    for number in (1, 2):
        run_report(monkeypatch, *words, tmp_path / "out", "--deterministic", "--shard", f"{number}/2")
        assert not (tmp_path / "out" / "index.html").exists()
    assert len(list((tmp_path / "out" / "pages").iterdir())) == 4
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "pages").iterdir()}
    assert run_report(monkeypatch, *words, tmp_path / "out", "--deterministic", "--resume") == 1
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "whole")
    assert len(table_of(tmp_path / "out")["recordings"]) == 5
    changed = {name for name, ns in before.items() if (tmp_path / "out" / "pages" / name).stat().st_mtime_ns != ns}
    assert changed == set()
    assert run_report(monkeypatch, *words, tmp_path / "one", "--single", "--shard", "1/2") == 2


# --- PyTorch's launcher -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_under_torchrun_the_driver_writes_what_one_process_does_and_sums_up_once(place, tmp_path):
    data = tmp_path / "data"
    write_recordings(data, 83)  # groups of five
    (data / "HR00050.mat").write_bytes(b"junk")
    alone = run("driver", place / "model", data, tmp_path / "whole", "--allow-failures", check=0)
    done = torchrun("driver", place / "model", data, tmp_path / "out", "--allow-failures", check=0)
    assert done.stdout == alone.stdout.replace("whole", "out")
    assert "82 recordings classified, 1 could not be" in done.stdout
    assert visible_bytes(tmp_path / "out") == visible_bytes(tmp_path / "whole")
