"""`ecg measure`: one row for every recording, whatever state it is in."""

import csv
import json
import math
import re
import subprocess
import sys
from dataclasses import astuple, replace

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

import ecg.commands.measure
import ecg.measurements
from bad_recordings import CLASSIFIED, REFUSED, UNREADABLE, write_classified, write_refused
from commands import ENVIRONMENT, ROOT
from ecg.examination import measure_folder
from ecg.leads import LEADS
from ecg.measurements import measure
from ecg.measurements.export import annotations_of, as_json, row_of
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality, WaveMarks
from ecg.runtime.shards import Shard
from ecg.simulator.simulate import simulate
from ecg.simulator.truth import truth_of
from ecg.simulator.write import write_recording

FRONT = [
    *("record", "heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms", "qtc_fridericia_ms"),
    *("p_axis_deg", "qrs_axis_deg", "t_axis_deg", "n_beats", "n_ectopic", "rr_sd_ms", "rmssd_ms"),
    *("I_p_mv", "I_q_mv", "I_r_mv", "I_s_mv", "I_t_mv", "I_st_j_mv", "I_st_60_mv", "II_p_mv"),
]
BACK = ["V6_st_60_mv", "leads_off", "saturated", "noise_uv", "mains_uv", "baseline_uv", "suspected_swap", "problem"]
KINDS = [kind for kind in REFUSED if not kind.startswith(UNREADABLE)]  # file modes don't bind root
NAN = math.nan


def simulated(seed, diagnosis="NSR", **options):
    return simulate(np.random.default_rng(seed), diagnosis, **{"comorbidity": False, **options})


def write_good(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        write_recording(folder, name, simulated(seed))


def run_main(*words):
    return ecg.commands.measure.main([str(word) for word in words])


def read_rows(file):
    with open(file, newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_the_columns_are_in_the_documented_order(tmp_path):
    write_good(tmp_path / "in", ["A1"])
    assert run_main(tmp_path / "in", tmp_path / "out.csv", "--workers", 1) == 0
    with open(tmp_path / "out.csv", newline="") as file:
        header, row, *rest = csv.reader(file)
    assert header[: len(FRONT)] == FRONT
    assert header[-len(BACK) :] == BACK
    assert len(header) == len(row) == 15 + 12 * 7 + 7
    assert row[0] == "A1"
    assert row[-1] == ""
    assert rest == []


def test_bad_recordings_get_a_row_with_the_reason_and_change_nothing_for_the_others(tmp_path, capsys):
    write_good(tmp_path / "good", ["A1", "A2"])
    write_good(tmp_path / "all", ["A1", "A2"])
    write_refused(tmp_path / "all", KINDS)
    names = write_classified(tmp_path / "all")
    assert run_main(tmp_path / "good", tmp_path / "good.csv", "--workers", 1) == 0
    assert run_main(tmp_path / "all", tmp_path / "all.csv", "--workers", 1) == 1
    said = capsys.readouterr()
    assert f"{2 + len(names)} recordings measured, {len(KINDS)} could not be" in said.out
    rows = {row["record"]: row for row in read_rows(tmp_path / "all.csv")}
    assert len(rows) == 2 + len(names) + len(KINDS)
    for kind in KINDS:
        assert re.search(kind + REFUSED[kind][1], rows[kind]["problem"]), rows[kind]["problem"]
        assert re.search(kind + REFUSED[kind][1], said.err)
        assert not any(value for name, value in rows[kind].items() if name not in ("record", "problem"))
    for name in CLASSIFIED:
        shown = "".join(character if character.isprintable() else "_" for character in name)
        assert rows[shown]["problem"] == ""
    for row in read_rows(tmp_path / "good.csv"):
        assert row == rows[row["record"]]


def test_failures_may_be_allowed(tmp_path):
    (tmp_path / "in").mkdir()
    write_refused(tmp_path / "in", ["empty_hea"])
    assert run_main(tmp_path / "in", tmp_path / "out.csv", "--workers", 1) == 1
    assert run_main(tmp_path / "in", tmp_path / "out.csv", "--workers", 1, "--allow-failures") == 0


def test_an_error_of_the_program_costs_one_row_only(tmp_path, monkeypatch):
    def fail_once(signal, sampling_frequency):
        monkeypatch.undo()
        raise ZeroDivisionError("a fault")

    write_good(tmp_path / "in", ["A1", "A2"])
    monkeypatch.setattr(measure_folder, "measure", fail_once)
    n_measured, problems = measure_folder.measure_folder(
        tmp_path / "in", tmp_path / "out.csv", measure_folder.MeasureOptions(workers=1)
    )
    assert n_measured == 1
    assert len(problems) == 1
    assert [row["problem"][-26:] for row in read_rows(tmp_path / "out.csv")] == ["ZeroDivisionError: a fault", ""]


def test_recordings_of_one_name_in_different_folders_are_told_apart(tmp_path):
    for folder in ("", "one", "two/three"):
        write_good(tmp_path / "in" / folder, ["A1"])
    beats = tmp_path / "beats"
    assert run_main(tmp_path / "in", tmp_path / "o.csv", "--workers", 1, "--beats", beats) == 0
    assert [row["record"] for row in read_rows(tmp_path / "o.csv")] == ["A1", "one/A1", "two/three/A1"]
    assert sorted(str(path.relative_to(beats)) for path in beats.rglob("*.*")) == [
        "A1.ecgm", "one/A1.ecgm", "two/three/A1.ecgm",
    ]  # fmt: skip


@pytest.mark.parametrize("n_shards", [1, 2])
def test_rows_and_lines_are_in_the_order_given(tmp_path, n_shards):
    names = ["b", "c10", "c2", "A", "a"]
    files = [tmp_path / f"{name}.hea" for name in names]
    for file in files:
        file.touch()
    for number in range(1, n_shards + 1):
        how = {"workers": 1, "resume": number > 1, "shard": Shard(number, n_shards), "json_file": tmp_path / "o.jsonl"}
        measure_folder.measure_folder(files, tmp_path / "o.csv", measure_folder.MeasureOptions(**how))
    rows = read_rows(tmp_path / "o.csv")
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["record"] for row in rows] == [line["record"] for line in lines] == names
    for row, line, file in zip(rows, lines, files, strict=True):
        assert str(file) in row["problem"] and row["problem"] == line["problem"]


def test_the_command_as_a_process_with_workers_writes_the_same_bytes(tmp_path):
    write_good(tmp_path / "in", ["A1", "A2"])
    write_refused(tmp_path / "in", ["all_zero"])
    outputs = []
    for number, words in enumerate((["--workers", "1"], ["--workers", "2"])):
        place = tmp_path / str(number)
        words = [tmp_path / "in", place / "o.csv", "--json", place / "o.jsonl", *words]
        if number == 0:
            assert run_main(*words) == 1
        else:
            done = subprocess.run([sys.executable, "-m", "ecg", "measure", *map(str, words)], cwd=ROOT, env=ENVIRONMENT,
                                  capture_output=True, text=True)  # fmt: skip
            assert done.returncode == 1, done.stderr
            assert "Traceback" not in done.stderr
            assert "Measuring: 100% 3/3" in done.stderr
        outputs.append({str(f.relative_to(place)): f.read_bytes() for f in place.rglob("[!.]*") if f.is_file()})
    assert len(outputs[0]) == 2
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent", "o.csv"], "absent: expected a recording, or a folder"),
        (["empty", "o.csv"], "expected recordings"),
        (["in", "o.csv", "--workers", "0"], "Invalid value for '--workers'"),
        (["in", "in"], "in: expected a file to write, found a folder"),
        (["in", "o.csv", "--json", "o.csv"], "expected one file for the table and another for JSON"),
        (["in", "in/A1.hea/o.csv"], "A1.hea: expected a folder .* found a file"),
        (["in", "in/A1.hea"], "A1.hea: expected a file to write, found a recording"),
        (["in", "o.csv", "--json", "in/A1.hea"], "A1.hea: expected a file to write, found a recording"),
    ],
)
def test_what_can_not_begin_ends_with_2_and_a_sentence(tmp_path, monkeypatch, capsys, words, message):
    write_good(tmp_path / "in", ["A1"])
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run_main(*words) == 2
    assert re.search(f"(?m)^(ecg measure|Error): .*{message}", capsys.readouterr().err)
    assert not (tmp_path / "o.csv").exists()


def test_a_table_of_measurements_is_no_recording(tmp_path):
    write_good(tmp_path / "in", ["1001", "1002"])
    for _ in range(2):  # names that are numbers make lines of numbers
        assert run_main(tmp_path / "in", tmp_path / "in" / "table.csv", "--workers", 1) == 0
        assert [row["record"] for row in read_rows(tmp_path / "in" / "table.csv")] == ["1001", "1002"]


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (MemoryError("64 GiB"), 2)])
def test_a_run_that_is_stopped_leaves_the_old_table_and_nothing_beside_it(tmp_path, monkeypatch, capsys, error, status):
    def stop(*arguments):
        raise error

    write_good(tmp_path / "in", ["A1"])
    (tmp_path / "o.csv").write_text("old\n")
    monkeypatch.setattr(measure_folder, "row_of", stop if status == 130 else row_of)
    monkeypatch.setattr(measure_folder.Run, "note", stop if status == 2 else measure_folder.Run.note)
    assert run_main(tmp_path / "in", tmp_path / "o.csv", "--workers", 1) == status
    assert (tmp_path / "o.csv").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["in", "o.csv"]
    assert "Traceback" not in capsys.readouterr().err


def test_beats_are_read_back_by_wfdb_and_lie_on_the_waves(tmp_path):
    recording = simulated(2, "IAVB")
    write_recording(tmp_path / "in", "A1", recording)
    beats = tmp_path / "beats"
    assert run_main(tmp_path / "in", tmp_path / "o.csv", "--workers", 1, "--beats", beats) == 0
    found = wfdb.rdann(str(beats / "A1"), "ecgm")
    assert found.fs == 500
    truth = truth_of(recording)
    peaks = found.sample[[symbol == "N" for symbol in found.symbol]]
    inside = truth.r_samples[(truth.r_samples > 50) & (truth.r_samples < 4950)]
    assert all(np.abs(peaks - sample).min() < 25 for sample in inside)
    symbols = "".join(found.symbol)
    assert len(re.findall(r"\(p\)\(N\)\(?t", symbols)) >= len(inside) - 2
    with open(tmp_path / "o.csv") as table:
        pr_ms = float(next(csv.DictReader(table))["pr_ms"])
    at = symbols.index("(p)(N)")
    assert 2 * (found.sample[at + 3] - found.sample[at]) == pytest.approx(pr_ms, abs=4)


def test_json_holds_what_the_table_holds_and_the_median_beat(tmp_path):
    write_recording(tmp_path / "in", "A1", simulated(0))
    write_recording(tmp_path / "in", "A2", simulated(0, "AF"))
    write_refused(tmp_path / "in", ["empty_mat"])
    file = tmp_path / "o.jsonl"
    assert run_main(tmp_path / "in", tmp_path / "o.csv", "--workers", 1, "--json", file) == 1

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    objects = [json.loads(line, parse_constant=refuse) for line in file.read_text().splitlines()]
    rows = read_rows(tmp_path / "o.csv")
    assert [content["record"] for content in objects] == [row["record"] for row in rows] == ["A1", "A2", "empty_mat"]
    for content, row in zip(objects[:2], rows, strict=False):
        assert content["heart_rate_bpm"] == pytest.approx(float(row["heart_rate_bpm"]), abs=0.051)
        assert content["amplitudes"]["r"]["V5"] == pytest.approx(float(row["V5_r_mv"]), abs=1e-4)
        assert len(content["beats"]["samples"]) == len(content["beats"]["kinds"]) == int(row["n_beats"])
        assert list(content["median_beat"]["signal"]) == list(LEADS)
        assert set(content["median_beat"]["lead_marks"]) == set(LEADS)
    assert (objects[1]["pr_ms"] is None) == (rows[1]["pr_ms"] == "")
    assert objects[2] == {"record": "empty_mat", "problem": rows[2]["problem"]}


def test_a_row_has_every_number_in_its_column_with_its_digits():
    numbers = iter(np.arange(1.0, 200.0) + 0.123456)
    amplitudes = Amplitudes(*(np.array([next(numbers) for _ in LEADS], dtype=np.float32) for _ in range(7)))
    quality = Quality(("V1", "V2"), ("V3",), 31.26, 4.04, -0.01, "RA-LA")
    first = [next(numbers) for _ in range(10)]
    measured = replace(measurements_of([300, 800], ("dominant",) * 2, MARKS), amplitudes=amplitudes, quality=quality)
    names = ("heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms", "qtc_fridericia_ms")
    names += ("p_axis_deg", "qrs_axis_deg", "t_axis_deg")
    row = row_of(replace(measured, **dict(zip(names, first, strict=True)), n_ectopic=1, rr_sd_ms=8.06, rmssd_ms=9.96))
    assert row[:14] == [*(f"{value:.1f}" for value in first), "2", "1", "8.1", "10.0"]
    by_lead = [f"{float(of_wave[k]):.4f}" for k in range(12) for of_wave in astuple(amplitudes)]
    assert row[14:-6] == by_lead
    assert row[-6:] == ["V1 V2", "V3", "31.3", "4.0", "0.0", "RA-LA"]


def measurements_of(samples, kinds, marks, rate=500.0):
    missing = np.full(12, np.nan, dtype=np.float32)
    beat = MedianBeat(np.zeros((12, 600), dtype=np.float32), rate, 3, marks, (marks,) * 12, CENTRE)
    return Measurements(
        *[NAN] * 10, len(samples), 0, NAN, NAN, has_p_waves=False, amplitudes=Amplitudes(*[missing] * 7),
        quality=Quality((), (), NAN, NAN, NAN, ""), beats=Beats(np.array(samples, dtype=np.int64), kinds),
        median_beat=beat,
    )  # fmt: skip


CENTRE = 225
MARKS = WaveMarks(CENTRE - 90, CENTRE - 70, CENTRE - 45, CENTRE - 20, CENTRE, CENTRE + 25, NAN, CENTRE + 130, NAN)


def test_waves_that_are_not_known_are_left_out_and_other_kinds_of_beats_noted():
    measured = measurements_of([300, 800, 1100], ("dominant", "ectopic", "paced"), MARKS)
    samples, symbols, notes = annotations_of(measured, 500.0, 5000)
    assert "".join(symbols) == "(p)(N)N(p)(N)"
    assert samples[:6] == [210, 230, 255, 280, 300, 325]
    assert samples[6] == 800
    assert [note for note in notes if note] == ["ectopic", "paced"]


def test_the_end_of_a_t_wave_in_which_p_begins_is_left_out():
    marks = replace(MARKS, t_offset=CENTRE + 220)
    samples, symbols, _ = annotations_of(measurements_of([300, 600], ("dominant",) * 2, marks), 500.0, 5000)
    assert "".join(symbols) == "(p)(N)t(p)(N)t)"
    assert samples[6:8] == [430, 510]


@pytest.mark.parametrize(
    ("peaks", "n_samples", "symbols"),
    [
        ([300, 521], 5000, "(N)t)(N)t)"),  # the first T wave ends at 500, before the next QRS complex begins
        ([300, 520], 5000, "(N)(N)t)"),
        ([300, 346], 5000, "(N)(N)t)"),  # the first QRS complex ends at 325
        ([300, 345], 5000, "N(N)t)"),
        ([300], 501, "(N)t)"),
        ([300], 500, "(N)"),
        ([300], 326, "(N)"),
        ([300], 325, "N"),
        ([20], 5000, "(N)t)"),
        ([19], 5000, "Nt)"),
    ],
)
def test_a_wave_is_left_out_that_does_not_fit_before_the_next_complex_or_into_the_recording(peaks, n_samples, symbols):
    marks = replace(MARKS, p_onset=NAN, t_offset=CENTRE + 200)
    found = annotations_of(measurements_of(peaks, ("dominant",) * len(peaks), marks), 500.0, n_samples)
    assert "".join(found[1]) == symbols


@pytest.mark.parametrize(
    ("peaks", "symbols"),
    [
        ([90, 1000], "(p)(N)t)(p)(N)t)"),
        ([89, 1000], "(N)t)(p)(N)t)"),  # P begins before the recording
        ([300, 541], "(p)(N)t)(p)(N)t)"),  # the first T wave has its peak at 430 and ends at 450, P begins at 451
        ([300, 540], "(p)(N)t(p)(N)t)"),
        ([300, 521], "(p)(N)t(p)(N)t)"),
        ([300, 520], "(p)(N)t)(N)t)"),
    ],
)
def test_a_p_wave_that_begins_in_a_t_wave_takes_its_end_and_one_before_its_peak_is_left_out(peaks, symbols):
    marks = replace(MARKS, t_offset=CENTRE + 150)
    assert "".join(annotations_of(measurements_of(peaks, ("dominant",) * 2, marks), 500.0, 5000)[1]) == symbols


@pytest.mark.parametrize(("offset", "symbols"), [(-21, "(p)(N)"), (-20, "(N)"), (0, "(N)")])
def test_a_p_wave_that_reaches_into_its_own_complex_is_left_out(offset, symbols):
    marks = replace(MARKS, p_offset=CENTRE + offset, t_peak=NAN)
    assert "".join(annotations_of(measurements_of([300], ("dominant",), marks), 500.0, 5000)[1]) == symbols


@pytest.mark.parametrize(("onset", "symbols"), [(25, "(N)"), (26, "(N)(t)")])
def test_a_wave_begins_one_sample_behind_the_end_of_the_one_before_at_the_earliest(onset, symbols):
    marks = replace(MARKS, p_onset=NAN, t_onset=CENTRE + onset, t_offset=CENTRE + 200)
    assert "".join(annotations_of(measurements_of([300], ("dominant",), marks), 500.0, 5000)[1]) == symbols


def test_marks_are_converted_to_the_sampling_frequency_of_the_recording():
    samples, _, _ = annotations_of(measurements_of([600], ("dominant",), MARKS), 1000.0, 5000)
    assert samples == [420, 460, 510, 560, 600, 650]


position = st.floats(-200, 300) | st.just(NAN)


@settings(max_examples=60)
@given(
    st.lists(st.integers(40, 900), min_size=1, max_size=12),
    st.lists(position, min_size=9, max_size=9),
    st.sampled_from([100.0, 257.0, 500.0, 1000.0]),
)
def test_annotations_ascend_lie_inside_and_come_in_whole_waves(gaps, marks, sampling_frequency):
    peaks = (np.cumsum(gaps) - gaps[0]).tolist()
    n_samples = peaks[-1] + 30
    measured = measurements_of(peaks, ("dominant",) * len(peaks), WaveMarks(*(CENTRE + mark for mark in marks)))
    samples, symbols, notes = annotations_of(measured, sampling_frequency, n_samples)
    assert len(samples) == len(symbols) == len(notes)
    assert all(np.diff(samples) > 0)
    assert 0 <= samples[0] <= samples[-1] < n_samples
    assert re.fullmatch(r"(\([pNt]\)|N|t\)|\(?t(?=\(p))*", "".join(symbols))
    assert [sample for sample, symbol in zip(samples, symbols, strict=True) if symbol == "N"] == peaks


def test_nothing_measurable_makes_empty_cells_and_nulls():
    nothing = measure(np.full((12, 1000), np.nan, dtype=np.float32), 500.0)
    row = row_of(nothing)
    assert [cell for cell in row if cell] == ["0", "0", " ".join(LEADS)]
    content = as_json(nothing)
    assert content["median_beat"] is None
    assert content["pr_ms"] is None
    assert content["beats"] == {"samples": [], "kinds": [], "n_lost_spikes": 0, "n_blocked_p": 0}
    json.dumps(content, allow_nan=False)


def test_the_annotations_of_a_recording_without_beats_are_a_file_without_annotations(tmp_path):
    recording = ecg.Recording.from_array(np.random.default_rng(0).normal(0, 1e-4, (12, 600)), 500)
    measured = replace(measure(recording.signal, 500.0), beats=Beats(np.zeros(0, np.int64), ()))
    (tmp_path / "a.ecg").write_bytes(measure_folder._annotation_file(measured, recording))
    assert (tmp_path / "a.ecg").read_bytes() == b"\0\0"  # the mark at the end of every annotation file
    assert wfdb.rdann(str(tmp_path / "a"), "ecg").sample.size == 0
