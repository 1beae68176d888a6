"""What an earlier run has finished is kept as long as files, code and arguments are the same, and no longer."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from commands import visible_bytes
from ecg.examination import journal
from ecg.examination.convert_folder import ConvertOptions, convert_recordings
from ecg.examination.examine_folder import Candidates, Run, RunOptions, examine_folder
from ecg.examination.journal import MISSING, Journal, key_of, step_key
from ecg.examination.measure_folder import MeasureOptions, measure_folder
from ecg.inference.run_folder import ClassifyOptions, run_folder
from ecg.io.device_statements import load_statements
from ecg.io.sources import files_of
from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import Diagnoses
from ecg.leads import LEADS
from ecg.methods.reduced_leads import on_leads, with_masked_leads
from ecg.model_folder.folder import load_model
from ecg.report.recordings import Options, report_folder
from ecg.runtime.shards import Shard
from ecg.training.dataset import build_dataset
from report_pages import table_of, write_model
from tiny import heart_like, tiny, write_recording

CPU = torch.device("cpu")


def write_dat(path, seed):
    samples = np.rint(1000 * heart_like(2, seed=seed)).astype("<i2")
    path.write_bytes(samples.tobytes(order="F"))


@pytest.fixture
def folder(tmp_path):
    """Recordings with each kind of companion file."""
    folder = tmp_path / "in"
    write_recording(folder, "A1", heart_like(2, seed=1))
    lines = [f"A2-signals.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    (folder / "A2.hea").write_text(
        "\n".join(["A2 12 500 1000", *lines, "#Age: 60", "#Sex: F", "#Dx: 426783006"]) + "\n"
    )
    write_dat(folder / "A2-signals.dat", 2)
    np.save(folder / "A3.npy", heart_like(2, seed=3).astype(np.float32))
    (folder / "A3.json").write_text(json.dumps({"leads": LEADS, "unit": "mV", "sampling_frequency": 500}))
    write_recording(folder, "A4", heart_like(2, seed=4))
    return folder


CHANGES = {
    "header": ("A1", lambda folder: rewrite(folder / "A1.hea", lambda text: text.replace("1000/mV", "2000/mV"))),
    "signals": ("A1", lambda folder: write_recording(folder, "A1", heart_like(2, seed=11))),
    "dat of another name": ("A2", lambda folder: write_dat(folder / "A2-signals.dat", 12)),
    "sidecar": ("A3", lambda folder: rewrite(folder / "A3.json", lambda text: text.replace("500", "250"))),
    "table": ("A3", lambda folder: np.save(folder / "A3.npy", heart_like(2, seed=13).astype(np.float32))),
}


def rewrite(path, change):
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))


def change_unseen(folder, kind):
    """Change a file and put its time back, as copying with the times of another file does."""
    name, change = CHANGES[kind]
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    change(folder)
    for path, time in times.items():
        os.utime(path, ns=(time, time))
    return name


def classify(model, folder, out, **options):
    run_folder(model, folder, out, ClassifyOptions(workers=1, deterministic=True, **options))
    return {path.stem: path.read_text() for path in out.glob("*.csv")}


def report(model, folder, out, **options):
    report_folder(model, folder, out, Options(), ClassifyOptions(workers=1, deterministic=True, **options))
    return {row["name"]: (out / row["page"]).read_text() + json.dumps(row) for row in table_of(out)["recordings"]}


def measured(model, folder, out, **options):
    extra = {"json_file": out / "m.jsonl", "beats": out / "beats"}
    measure_folder(folder, out / "m.csv", MeasureOptions(workers=1, **extra, **options))
    lines = (out / "m.csv").read_text().splitlines()[1:], (out / "m.jsonl").read_text().splitlines()
    marks = {path.stem: path.read_bytes() for path in (out / "beats").iterdir()}
    return {row.split(",")[0]: (row, line, marks[row.split(",")[0]]) for row, line in zip(*lines, strict=True)}


def converted(model, folder, out, **options):
    convert_recordings(folder, out, ConvertOptions(workers=1, to="csv", **options))
    rows = (out / "device_reports.csv").read_text().splitlines()[1:]
    names = [row.split(",")[0] for row in rows]
    return {name: (out / f"{name}.csv").read_bytes() for name in names}


def trained(model, folder, out, resume=False):
    dataset, problems = build_dataset(
        tiny(use_for_training=lambda labels, seconds: True), folder, out, workers=1, resume=False
    )
    assert problems == []
    entries = {entry.recording_id: entry for entry in dataset.entries}
    return {
        name: (replace(entry, start=0), dataset.signal(k).tobytes()) for k, (name, entry) in enumerate(entries.items())
    }


@pytest.fixture
def model(tmp_path):
    return load_model(write_model(tmp_path / "model"), {"tiny": tiny}, CPU)


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("run", [classify, report, measured, converted, trained])
def test_what_was_made_of_a_file_that_changed_is_made_anew_and_nothing_else(run, kind, model, folder, tmp_path):
    before = run(model, folder, tmp_path / "out")
    name = change_unseen(folder, kind)
    after = run(model, folder, tmp_path / "out", resume=True)
    assert after == run(model, folder, tmp_path / "fresh")
    changed = {each for each in before if before[each] != after[each]}
    # The rate in a sidecar is not part of the samples in a table of mV.
    assert changed == {name} or (run is converted and kind == "sidecar")


@pytest.mark.parametrize("run", [classify, report, measured, converted])
def test_nothing_is_done_again_where_nothing_has_changed(run, model, folder, tmp_path):
    run(model, folder, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/**/A*")}
    run(model, folder, tmp_path / "out", resume=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/**/A*")} == before


def written_anew(run, model, folder, out, **options):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("A*")}
    run(model, folder, out, resume=True, **options)
    return {path.stem for path, time in before.items() if path.stat().st_mtime_ns != time}


@pytest.mark.parametrize("run", [classify, report, measured, converted])
def test_another_version_of_the_code_makes_everything_anew(run, model, folder, tmp_path, monkeypatch):
    run(model, folder, tmp_path / "out")
    monkeypatch.setattr(journal, "code_version", lambda layer: "another")
    assert written_anew(run, model, folder, tmp_path / "out") == {"A1", "A2", "A3", "A4"}


@pytest.mark.parametrize("run", [classify, report])
def test_another_model_makes_everything_anew(run, model, folder, tmp_path):
    run(model, folder, tmp_path / "out")
    other = load_model(write_model(tmp_path / "other", n_members=2), {"tiny": tiny}, CPU)
    assert written_anew(run, other, folder, tmp_path / "out") == {"A1", "A2", "A3", "A4"}
    assert run(other, folder, tmp_path / "fresh") == run(other, folder, tmp_path / "out", resume=True)


def test_other_arguments_make_everything_anew(model, folder, tmp_path):
    measured(model, folder, tmp_path / "out")
    assert written_anew(converted, model, folder, tmp_path / "out") == set()
    measure_folder(folder, tmp_path / "out" / "m.csv", MeasureOptions(workers=1, resume=True))
    assert set(measured(model, folder, tmp_path / "out", resume=True)) == {"A1", "A2", "A3", "A4"}
    report(model, folder, tmp_path / "report")
    how = ClassifyOptions(workers=1, deterministic=True, resume=True)
    report_folder(model, folder, tmp_path / "report", Options(note="seen"), how)
    assert all("seen" in path.read_text() for path in (tmp_path / "report" / "pages").iterdir())


@pytest.mark.parametrize("change", [lambda m: replace(m, definitions="ptb-xl"), lambda m: m.on_leads(("I", "II"))])
@pytest.mark.parametrize("run", [classify, report])
def test_another_convention_or_other_leads_make_everything_anew(run, change, model, folder, tmp_path):
    run(model, folder, tmp_path / "out")
    assert written_anew(run, change(model), folder, tmp_path / "out") == {"A1", "A2", "A3", "A4"}


@pytest.mark.parametrize("option", [{"keep_identity": True}, {"labels": "common"}, {"anonymize": True}])
def test_another_option_converts_everything_anew(option, model, folder, tmp_path):
    converted(model, folder, tmp_path / "out")
    assert written_anew(converted, model, folder, tmp_path / "out", **option) == {"A1", "A2", "A3", "A4"}


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (tiny(settings={"depth": 2}), {}),
        (tiny(name="another"), {}),
        (tiny(Diagnoses("own", ("code", *CLASSES))), {}),
        (on_leads(tiny(), ("I", "II")), {}),
        (with_masked_leads(tiny()), {}),
        (tiny(), {"limit": 3}),
        (tiny(), {"statements": load_statements("common")}),
        (tiny(), {"shape_only": ("elsewhere",)}),
    ],
)
def test_recordings_prepared_for_another_training_are_read_anew(folder, tmp_path, capsys, method, options):
    def reads(method, **options):
        build_dataset(method, folder, tmp_path / "cache", workers=1, **options)
        return "Using the" not in capsys.readouterr().err

    assert [reads(tiny()), reads(tiny()), reads(method, **options)] == [True, False, True]


def test_other_folds_are_read_anew(folder, tmp_path):
    for fold in (1, 2):
        (folder / "folds.csv").write_text(f"record,database,fold\nA1,CPSC,{fold}\n")
        dataset, _ = build_dataset(tiny(), folder, tmp_path / "cache", workers=1)
        assert [entry.fold for entry in dataset.entries if entry.recording_id == "A1"] == [fold]


def test_a_changed_or_lost_output_is_made_anew(model, folder, tmp_path):
    before = classify(model, folder, tmp_path / "out")
    (tmp_path / "out" / "A1.csv").write_text(before["A2"])
    (tmp_path / "out" / "A4.csv").unlink()
    assert classify(model, folder, tmp_path / "out", resume=True) == before


def test_a_second_file_of_a_name_is_noticed(model, folder, tmp_path):
    classify(model, folder, tmp_path / "out")
    (folder / "A3.xml").write_text("<AnnotatedECG/>")  # now nobody knows which one A3 is
    assert set(classify(model, folder, tmp_path / "out", resume=True)["A3"].splitlines()[3].split(",")) == {"0"}


def test_the_first_of_two_of_one_name_that_can_be_read_is_classified(model, folder, tmp_path):
    write_recording(folder / "below", "A1", heart_like(2, seed=20))
    write_recording(tmp_path / "alone", "A1", heart_like(2, seed=20))
    expected = classify(model, tmp_path / "alone", tmp_path / "expected")["A1"]
    outcome = run_folder(model, folder, tmp_path / "out", ClassifyOptions(workers=2, deterministic=True))
    assert len(outcome.problems) == 1
    assert "below/A1.hea: expected one recording of this name, found another before" in outcome.problems[0]
    (folder / "A1.mat").write_bytes(b"junk")
    outcome = run_folder(model, folder, tmp_path / "out", ClassifyOptions(workers=2, deterministic=True, resume=True))
    assert outcome.problems[0].startswith(f"{folder}/A1.mat: expected")
    assert (tmp_path / "out" / "A1.csv").read_text() == expected


def test_every_file_that_a_recording_is_read_from_is_one_of_its_files(folder):
    for name, others in {"A1.hea": ["A1.mat"], "A2.hea": ["A2-signals.dat"], "A3.npy": ["A3.json"]}.items():
        assert {folder / other for other in [name, *others]} <= set(files_of(folder / name).files)
    (folder / "A1.hea").write_text("nonsense")
    assert folder / "A1.mat" in files_of(folder / "A1.hea").files


# --- The journal


def test_a_line_that_a_kill_left_unfinished_counts_for_nothing_and_spoils_no_other(tmp_path):
    Journal(tmp_path / ".run", resume=False).add("A1", "key", value=[1, 2])
    whole = (tmp_path / ".run.jsonl").read_bytes()
    for length in range(len(whole) - 1):
        (tmp_path / ".run.jsonl").write_bytes(whole[:length])
        again = Journal(tmp_path / ".run", resume=True)
        assert again.get("A1", "key") is MISSING
        again.add("A2", "key", value="new")
        again.read_again()
        assert (again.get("A1", "key"), again.get("A2", "key")) == (MISSING, "new")


@pytest.mark.parametrize("shared", [1, 2])
def test_of_runs_that_were_shared_out_otherwise_the_present_way_counts(tmp_path, shared):
    shards = {1: [Shard(1, 1)], 2: [Shard(1, 2), Shard(2, 2)]}
    for count, value in ((3 - shared, "before"), (shared, "now")):
        for shard in shards[count]:
            Journal(tmp_path / ".run", shard, resume=True).add("A", "key", value=value)
    assert [Journal(tmp_path / ".run", each, resume=True).get("A", "key") for each in shards[shared]] == [
        "now"
    ] * shared


def test_names_that_hold_anything_are_told_apart(tmp_path):
    names = ["a\tb", "a", "a\nb", "\udce4", '"', "ä"]
    noted = Journal(tmp_path / ".run", resume=False)
    for number, name in enumerate(names):
        noted.add(name, "key", value=number)
    noted.read_again()
    assert [noted.get(name, "key") for name in names] == list(range(len(names)))


def test_every_argument_is_part_of_a_step(tmp_path):
    keys = [step_key("inference", 1, 2), step_key("inference", 2, 1), step_key("inference", 12), step_key("io", 1, 2)]
    assert len({key_of(key, stamps) for key in keys for stamps in (["a"], ["a", "b"], ["ab"])}) == 12


def test_code_of_a_layer_is_that_of_all_layers_below(tmp_path, monkeypatch):
    package = tmp_path / "ecg"
    for name in ("io/read.py", "measurements/measure.py", "report/page.html"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("1")
    monkeypatch.setattr(journal, "__file__", str(package / "examination" / "journal.py"))

    def versions():
        journal.code_version.cache_clear()
        return [journal.code_version(layer) for layer in ("io", "examination", "report")]

    before = versions()
    for name, expected in {"report/page.html": 1, "measurements/measure.py": 2, "io/read.py": 3}.items():
        (package / name).write_text("2")
        after = versions()
        assert sum(one != other for one, other in zip(before, after, strict=True)) == expected
        before = after
    journal.code_version.cache_clear()


def test_shards_find_what_others_have_done(tmp_path, folder):
    names = ["A1", "A2", "A4"]
    recordings = [Candidates(name, (str(folder / f"{name}.hea"),)) for name in names]
    for number in (1, 2):
        run = Run(recordings, tmp_path / ".run", "step", RunOptions(workers=1, shard=Shard(number, 2)))
        for each in run.examined(lambda path: path.stem):
            run.note(each, each.result)
        values = run.values()
    assert list(values) == names


def test_what_had_a_problem_is_tried_again_though_no_file_has_changed(tmp_path, folder):
    recordings = [Candidates(name, (str(folder / f"{name}.hea"),)) for name in ("A1", "A4")]

    def left(work=None, **options):
        run = Run(recordings, tmp_path / ".run", "step", RunOptions(workers=1, **options))
        for each in run.examined(work) if work else ():
            run.note(each, each.result)
        return [each.name for _, each in run.left]

    def out_of_memory(path):
        if path.stem == "A1":
            raise MemoryError
        return path.stem

    assert left(out_of_memory) == ["A1", "A4"]
    assert left(lambda path: path.stem, resume=True) == ["A1"]
    assert left(resume=True) == []


# --- Worker processes


def test_a_worker_that_dies_costs_the_recording_that_it_died_of_and_no_other(folder):
    def work(path):
        if path.stem == "A2":
            os.kill(os.getpid(), signal.SIGKILL)
        return path.stem

    recordings = [Candidates(f"{name}-{k}", (str(folder / f"{name}.hea"),)) for k in range(8) for name in ("A1", "A2")]
    results = list(examine_folder(recordings, work, workers=2))
    assert [each.name for each in results] == [each.name for each in recordings]
    assert [each.result for each in results] == ["A1", None] * 8
    assert all("its process was ended from outside" in each.problems[0] for each in results[1::2])


def test_any_number_of_workers_gives_the_same_results_in_order(model, folder, tmp_path):
    outputs = []
    for workers in (1, 3):
        run_folder(model, folder, tmp_path / str(workers), ClassifyOptions(workers=workers))
        outputs.append(visible_bytes(tmp_path / str(workers)))
    assert outputs[0] == outputs[1]


def test_no_more_is_drawn_than_is_worked_on(folder):
    drawn = []

    def recordings():
        for number in range(1000):
            drawn.append(number)
            yield Candidates(str(number), (str(folder / "A1.hea"),))

    results = examine_folder(recordings(), lambda path: 0, workers=2)
    for _ in range(3):
        next(results)
    results.close()
    assert len(drawn) < 30
