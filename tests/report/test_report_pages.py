"""Reports as files: whole, safe, the driver's own probabilities, the same bytes again, nothing outside the folder."""

import base64
import hashlib
import json
import os
import re
import zlib
from urllib.parse import unquote

import numpy as np
import pytest
import torch

import driver
import team_code
from commands import visible_bytes, write_recordings
from ecg.examination.examine import Examination
from ecg.examination.examine_folder import Run
from ecg.inference.predict import Item, predict
from ecg.io.formats import read
from ecg.leads import LEADS
from ecg.model_folder.folder import load_model
from ecg.report import recordings as report_module
from ecg.report.pages import as_json, page_name
from ecg.report.recording_page import CLOSE_CALL
from ecg.scoring.output_files import load_outputs
from report_pages import Page, order_of, run_report, table_of, write_model
from tiny import heart_like, tiny, write_recording

HOSTILE = [
    "<script>alert(1)<",
    "\"onmouseover='x'",
    "a&b;%2e%2e#x?y",
    "\u202eright to left",
    "$x^2$ \\alpha",
    "n" * 190,
    "J\u00e4ger \u5fc3\u96fb\u56f3",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    write_model(place / "model")
    write_recordings(place / "good", 4, seconds=10)
    return place


def test_a_report_has_a_page_for_each_recording_and_the_drivers_outputs(place, tmp_path, monkeypatch):
    before = visible_bytes(place)
    assert run_report(monkeypatch, place / "model", place / "good", tmp_path / "report", "--workers", 2) == 0
    assert visible_bytes(place) == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    monkeypatch.setattr("sys.argv", ["driver", *map(str, (place / "model", place / "good", tmp_path / "outputs"))])
    assert driver.main() == 0
    assert visible_bytes(tmp_path / "report" / "outputs") == visible_bytes(tmp_path / "outputs")
    data = table_of(tmp_path / "report")
    assert len(data["recordings"]) == 4
    for row in data["recordings"]:
        _, _, labels, scores = load_outputs(tmp_path / "outputs" / f"{row['name']}.csv")
        assert sorted(k for k, _ in row["found"]) == np.flatnonzero(labels).tolist()
        assert all(probability == pytest.approx(scores[k], abs=6e-4) for k, probability in row["found"])
        page = Page((tmp_path / "report" / row["page"]).read_text())
        for words in (row["name"], "female, 60 years", "10 s at 500 Hz", "Not a medical device", "PR interval"):
            assert words in page.text
        for k, probability in enumerate(scores):
            assert team_code.CLASSES[k] in page.text
            assert f"{probability:.2f}" in page.text
        pictures = [svg for svg in page.all("svg") if svg.get("role") == "img"]
        assert len(pictures) >= 4
        assert all(svg["aria-label"] for svg in pictures if svg.get("id") != "zoom-picture")


def test_pages_are_strict_small_and_lead_to_each_other(place, tmp_path, monkeypatch):
    assert run_report(monkeypatch, place / "model", place / "good", tmp_path, "--attribution", "--note", "<b>note") == 0
    for path in [tmp_path / "index.html", *(tmp_path / "pages").iterdir()]:
        text = path.read_text()
        page = Page(text)
        assert len(text.encode()) < 600_000
        (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv")]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        for tag, attributes in page.elements:
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes), (tag, attributes)
            assert not any((value or "").strip().lower().startswith("javascript:") for value in attributes.values())
        assert not any(code.strip() for codes in page.codes.values() for code in codes)
        for link in [*page.all("a"), *page.all("script"), *page.all("link")]:
            target = link.get("href") or link.get("src")
            assert target.startswith("#") or (path.parent / unquote(target)).exists(), target
        assert "<b>note" in page.text
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
    assert "Where the network looked" in text


def test_each_row_has_its_own_recordings_reason(place, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    write_recording(folder, "good", heart_like(2))
    (folder / "R.hea").write_text("R 12 500 5000\n")
    (folder / "R.1.hea").write_text("")
    (folder / "IM0001").write_bytes(bytes(128) + b"DICM")
    assert run_report(monkeypatch, place / "model", folder, tmp_path / "report") == 1
    reasons = {row["name"]: row.get("problem", "") for row in table_of(tmp_path / "report")["recordings"]}
    for name, start in {"R": "R.hea: expected", "R.1": "R.1.hea: expected", "IM0001": "IM0001: "}.items():
        assert reasons[name].startswith(f"{folder}/{start}"), reasons


def test_whatever_a_name_or_header_holds_is_text(place, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    names = [*HOSTILE, os.fsdecode(b"latin\xe4")]
    for number, name in enumerate(names):
        header = write_recording(folder, f"R{number}", heart_like(2, seed=number), dx=f"426783006,{'9' * 10_000}")
        text = header.read_text().replace("#Rx: Unknown", "#Rx: <script>alert(2)</script>")
        (folder / f"{name}.hea").write_text(text)
        header.with_suffix(".mat").rename(folder / f"{name}.mat")
        header.unlink()
    assert run_report(monkeypatch, place / "model", folder, tmp_path / "report") == 0
    rows = table_of(tmp_path / "report")["recordings"]
    assert len(rows) == len(names)
    for path in (tmp_path / "report").rglob("*"):
        assert re.fullmatch(r"[\w.-]+", path.name, re.ASCII) or "outputs" in path.parts
    for row in rows:
        page = Page((tmp_path / "report" / row["page"]).read_text(encoding="utf-8"))
        assert {each["src"] for each in page.all("script")} == {
            "../order.js",
            "../assets/theme.js",
            "../assets/recording.js",
        }
        assert " ".join(row["name"].split()) in page.text
        assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
        assert "9" * 100 not in page.text
    index = (tmp_path / "report" / "recordings.js").read_text()
    assert "<" not in index


def test_a_printed_page_takes_any_name(place, tmp_path, monkeypatch):
    header = write_recording(tmp_path / "in", "R1", heart_like(2))
    for suffix in (".hea", ".mat"):
        header.with_suffix(suffix).rename(tmp_path / "in" / f"$x^2$ \\alpha \u202e \u5fc3\u96fb <b>{suffix}")
    assert run_report(monkeypatch, place / "model", tmp_path / "in", tmp_path / "report", "--pdf") == 0
    (pdf,) = (tmp_path / "report" / "pdf").iterdir()
    assert re.fullmatch(r"[\w-]+\.pdf", pdf.name, re.ASCII)
    assert pdf.read_bytes().startswith(b"%PDF-")


def test_missing_limb_leads_are_computed_and_a_missing_chest_lead_stays_missing(place, tmp_path, monkeypatch):
    given = ("I", "II", "V1", "V2", "V3", "V4", "V5")
    write_recording(tmp_path / "in", "R1", heart_like(10), leads=given)
    # The model has not learned to do without these leads: the page shows the measurements alone.
    assert run_report(monkeypatch, place / "model", tmp_path / "in", tmp_path / "report") == 1
    page = Page((tmp_path / "report" / "pages" / "R1.html").read_text())
    assert page.text.count("expected all twelve leads, found I, II, V1, V2, V3, V4, V5") == 2
    assert "Sinus rhythm" in page.text and "Probabilities are" not in page.text
    traces = {each["id"]: each["d"] for each in page.all("path") if each.get("id", "").startswith("lead-")}
    assert len(traces) == 12
    assert traces["lead-V6"] == ""
    assert all(len(traces[f"lead-{lead}"]) > 1000 for lead in LEADS if lead != "V6")
    assert "III, aVR, aVL, aVF computed from the other limb leads" in page.text
    assert "not in the file: III, aVR, aVL, aVF, V6" in page.text


def test_page_names_are_safe_and_each_stem_has_its_own():
    stems = [*HOSTILE, "A0001", "a", "../x", "..", "", "x y", "x_y", page_name("x y"), "CON.", "n" * 191]
    names = [page_name(stem) for stem in stems]
    assert len(set(names)) == len(stems)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) for name in names)
    assert page_name("A0001") == "A0001"


def test_json_can_stand_in_a_page():
    text = as_json({"name": "</script><!--&\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": "</script><!--&\u2028"}


def test_what_cant_be_reported_has_its_row_with_the_reason(place, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    write_recordings(folder, 2)
    (folder / "A0001.hea").write_text("nonsense")
    write_recording(folder / "below", "HR00001", heart_like(2, seed=9))
    report = tmp_path / "report"
    assert run_report(monkeypatch, place / "model", folder, report) == 1
    assert run_report(monkeypatch, place / "model", folder, report, "--allow-failures") == 0
    rows = table_of(report)["recordings"]
    assert [row["name"] for row in rows] == ["A0001", "HR00000", "HR00001", "HR00001"]
    assert "expected" in rows[0]["problem"]
    assert "expected one recording of this name, found another before" in rows[3]["problem"]
    assert ["page" in row for row in rows] == [False, True, True, False]
    assert len(list((report / "pages").iterdir())) == 2


def test_an_interrupted_report_goes_on_to_the_same_bytes(place, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    note, noted = Run.note, []

    def stop_at_third(*words):
        if len(noted) == 2:
            raise KeyboardInterrupt
        noted.append(words)
        note(*words)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "note", stop_at_third)
        assert run_report(monkeypatch, place / "model", place / "good", broken) == 130
    assert not (broken / "index.html").exists()
    assert run_report(monkeypatch, place / "model", place / "good", broken, "--resume") == 0
    assert run_report(monkeypatch, place / "model", place / "good", whole) == 0
    assert visible_bytes(whole) == visible_bytes(broken)
    kept = {path: path.stat().st_mtime_ns for path in (broken / "pages").iterdir()}
    assert run_report(monkeypatch, place / "model", place / "good", broken, "--resume") == 0
    assert {path: path.stat().st_mtime_ns for path in (broken / "pages").iterdir()} == kept


def test_resume_writes_anew_what_was_made_of_something_else(place, tmp_path, monkeypatch):
    folder, report = tmp_path / "in", tmp_path / "report"
    write_recordings(folder, 3)
    run_report(monkeypatch, place / "model", folder, report, "--deterministic")
    pages = {path.name: path.stat().st_mtime_ns for path in (report / "pages").iterdir()}

    def changed():
        return {name for name, time in pages.items() if (report / "pages" / name).stat().st_mtime_ns != time}

    run_report(monkeypatch, place / "model", folder, report, "--resume", "--deterministic")
    assert changed() == set()
    write_recording(folder, "HR00003", heart_like(2, seed=7))
    run_report(monkeypatch, place / "model", folder, report, "--resume", "--deterministic")
    assert changed() == set()
    assert [name for _, name in order_of(report)] == ["HR00000", "HR00001", "HR00002", "HR00003"]
    assert len(table_of(report)["recordings"]) == 4
    run_report(monkeypatch, place / "model", folder, report, "--resume", "--deterministic", "--layout", "12x1")
    assert changed() == set(pages)


def test_members_that_disagree_make_a_recording_unsure(tmp_path, monkeypatch):
    write_model(tmp_path / "model", n_members=2)
    write_recordings(tmp_path / "in", 2, seconds=4)
    assert run_report(monkeypatch, tmp_path / "model", tmp_path / "in", tmp_path / "report") == 0
    model = load_model(tmp_path / "model", {"tiny": tiny}, torch.device("cpu"))
    for row in table_of(tmp_path / "report")["recordings"]:
        examined = Examination(read(tmp_path / "in" / f"{row['name']}.hea"), model.method.input)
        item = Item(None, examined.prepared, examined.features)
        [(_, members)] = predict(model.method, model.networks, [item], model.device)
        votes = tiny().decision.decide(members, np.full((2, 24), 0.5))
        likely = members.mean(axis=0)
        split = (votes[0] != votes[1]) & (likely >= CLOSE_CALL[0]) & (likely < CLOSE_CALL[1])
        assert ("networks disagree" in Page((tmp_path / "report" / row["page"]).read_text()).text) == split.any()


def test_one_file_holds_everything_and_lets_in_nothing_else(place, tmp_path, monkeypatch):
    assert run_report(monkeypatch, place / "model", place / "good", tmp_path / "report", "--single") == 0
    assert {path.name for path in (tmp_path / "report").glob("[!.]*")} == {"index.html", "outputs"}
    text = (tmp_path / "report" / "index.html").read_text()
    page = Page(text)
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv")]
    scripts = [code for code, each in zip(page.codes["script"], page.all("script"), strict=True) if "type" not in each]
    for code in [*scripts, *page.codes["style"]]:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" in policy
    assert policy.count("sha256-") == len(scripts) + 1
    assert not any("src" in each for each in page.all("script"))
    assert not page.all("link")
    data = json.loads(
        next(
            code
            for code, each in zip(page.codes["script"], page.all("script"), strict=True)
            if each.get("type") == "application/json"
        )
    )
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {row["page"].removeprefix("#") for row in data["recordings"]} <= set(ids)


def test_too_many_for_one_file_is_said_before_anything_is_reported(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report_module, "MOST_IN_ONE_FILE", 3)
    assert run_report(monkeypatch, place / "model", place / "good", tmp_path / "report", "--single") == 2
    assert "expected at most 3 recordings for --single, found 4" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model", "report"], "expected INPUT... REPORT, found one path"),
        (["--evaluation", "a", "b"], "expected LABELS OUTPUTS [OUTPUTS2] REPORT, found 2"),
        (["no-model", "good", "report"], "config.json"),
        (["model", "nowhere", "report"], "nowhere: expected a recording, or a folder"),
        (["model", "good", "report", "--single", "--pdf"], "expected one of them"),
        (["--evaluation", "good", "nowhere", "report"], "found none"),
        (["--evaluation", "good", "outputs", "report", "--pdf"], "--pdf is for recordings"),
        (["--evaluation", "good", "outputs", "report", "--layout", "6x2"], "--layout is for recordings"),
        (["--evaluation", "good", "outputs", "report", "--allow-failures"], "--allow-failures is for recordings"),
    ],
)
def test_what_cant_begin_ends_with_a_sentence_and_2(place, tmp_path, monkeypatch, capsys, words, said):
    folders = {"model": place / "model", "good": place / "good", "report": tmp_path / "report"}
    assert run_report(monkeypatch, *(folders.get(word, word) for word in words)) == 2
    assert said in capsys.readouterr().err


# --- The printable page -----------------------------------------------------------------------------------------------


def lines_of(pdf):
    """Page size in points, and every straight line or polyline of the page, an array of points each."""
    (box,) = re.findall(rb"/MediaBox \[ ?([\d. ]+) ?\]", pdf)
    content = b""
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            text = zlib.decompress(stream)
        except zlib.error:
            continue
        if b" re" in text and b" l\n" in text:
            content += text
    lines, now = [], []
    for x, y, operator in re.findall(rb"([-\d.]+) ([-\d.]+) ([ml])\n", content):
        if operator == b"m" and now:
            lines.append(np.array(now))
            now = []
        now.append((float(x), float(y)))
    return list(map(float, box.split()))[2:], [*lines, np.array(now)]


@pytest.mark.parametrize("layout", ["3x4", "6x2", "12x1"])
def test_the_printed_page_is_a4_with_25_mm_per_second_and_10_mm_per_millivolt(place, tmp_path, monkeypatch, layout):
    folder = tmp_path / "in"
    signal = np.zeros((12, 5000), dtype=np.float32)
    signal[:, 1000::2500] = 1.0  # 1 mV at 2 s and 7 s
    write_recording(folder, "A0001", signal)
    assert run_report(monkeypatch, place / "model", folder, tmp_path / "report", "--pdf", "--layout", layout) == 0
    (width, height), lines = lines_of((tmp_path / "report" / "pdf" / "A0001.pdf").read_bytes())
    mm = 72 / 25.4
    assert (width / mm, height / mm) == (pytest.approx(297, abs=0.1), pytest.approx(210, abs=0.1))
    verticals = sorted({line[0, 0] / mm for line in lines if len(line) == 2 and line[0, 0] == line[1, 0]})
    np.testing.assert_allclose(np.diff(verticals), 1, atol=0.01)  # the paper's lines, 1 mm apart
    assert len(verticals) == 261
    pulses = [line / mm for line in lines if len(line) == 6]
    assert pulses
    for pulse in pulses:
        assert np.ptp(pulse[:, 1]) == pytest.approx(10, abs=0.01)
        assert pulse[3, 0] - pulse[2, 0] == pytest.approx(5, abs=0.01)
    if layout == "12x1":
        traces = [line / mm for line in lines if len(line) > 6 and np.ptp(line[:, 0]) > 200 * mm]
        assert len(traces) == 12
        for trace in traces:
            peaks = trace[trace[:, 1] > trace[:, 1].min() + 9, 0]
            assert np.ptp(trace[:, 1]) == pytest.approx(10, abs=0.05)
            assert np.diff(peaks) == pytest.approx([125], abs=0.05)  # 5 s
            assert np.ptp(trace[:, 0]) == pytest.approx(250, abs=0.1)


def test_the_printed_page_is_the_same_bytes_again(place, tmp_path, monkeypatch):
    write_recordings(tmp_path / "in", 1)
    for name in ("one", "two"):
        assert run_report(monkeypatch, place / "model", tmp_path / "in", tmp_path / name, "--pdf") == 0
    assert visible_bytes(tmp_path / "one" / "pdf") == visible_bytes(tmp_path / "two" / "pdf")


# --- The evaluation report --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outputs(place):
    """Labels, and two folders of outputs for them: the tiny model's, and one that always says sinus rhythm."""
    from ecg.scoring.output_files import save_outputs
    from ecg.simulator import write
    from ecg.simulator.simulate import simulate_recording

    labels = place / "labels"
    for k in range(12):
        write.write_recording(labels, f"{'A' if k % 2 else 'HR'}{k:04d}", simulate_recording(5, k + 1, seconds=4))
    patch = pytest.MonkeyPatch()
    patch.setitem(team_code.METHODS, "tiny", tiny)
    patch.setattr("sys.argv", ["driver", *map(str, (place / "model", labels, place / "a"))])
    assert driver.main() == 0
    patch.undo()
    (place / "b").mkdir()
    for path in (place / "a").glob("*.csv"):
        given = np.array(team_code.CLASSES) == "426783006"
        save_outputs(place / "b" / path.name, path.stem, team_code.CLASSES, given, given * 0.9)
    return labels, place / "a", place / "b"


def test_an_evaluation_report_has_the_scorers_numbers_and_links_the_costliest(outputs, tmp_path, monkeypatch):
    from ecg.scoring.score_folder import evaluate_model

    labels, a, _ = outputs
    assert run_report(monkeypatch, "--evaluation", labels, a, tmp_path / "report") == 0
    page = Page((tmp_path / "report" / "index.html").read_text())
    scores = evaluate_model(labels, a).overall
    for words in (
        f"{scores['Challenge metric']:.3f} (".replace("-", "\N{MINUS SIGN}"),
        f"{scores['AUROC']:.3f}",
        "CPSC",
        "PTB-XL",
        "calibration",
        "Atrial fibrillation",
        "costliest",
    ):
        assert words in page.text
    linked = [each["href"] for each in page.all("a") if each["href"].startswith("pages/")]
    assert 0 < len(linked) <= 12
    assert all((tmp_path / "report" / link).is_file() for link in linked)
    assert len([svg for svg in page.all("svg") if svg.get("class") == "chart"]) >= 4
    assert not any("style" in attributes for _, attributes in page.elements)


def test_an_evaluation_without_reward_weights_has_areas_and_f_and_no_challenge_metric(tmp_path, monkeypatch):
    from ecg.labels.diagnoses import load_diagnoses
    from ecg.scoring.output_files import save_outputs
    from ecg.scoring.score_folder import evaluate_model

    own, rng = tmp_path / "own.csv", np.random.default_rng(0)
    own.write_text("code,name\nAA,first one\nBB,second one\nCC,third one\n")
    labels = rng.random((20, 3)) < 0.4
    rows = [";".join(np.array(["AA", "BB", "CC"])[each]) for each in labels]
    (tmp_path / "labels.csv").write_text("record,codes\n" + "".join(f"R{k:02d},{row}\n" for k, row in enumerate(rows)))
    for k, row in enumerate(labels):
        scores = np.clip(0.4 * row + 0.7 * rng.random(3), 0, 1)
        (tmp_path / "outputs").mkdir(exist_ok=True)
        save_outputs(tmp_path / "outputs" / f"R{k:02d}.csv", f"R{k:02d}", ("AA", "BB", "CC"), scores > 0.5, scores)
    words = (tmp_path / "labels.csv", tmp_path / "outputs", tmp_path / "outputs", tmp_path / "report")
    assert run_report(monkeypatch, "--evaluation", *words, "--diagnoses", own) == 0
    page = Page((tmp_path / "report" / "index.html").read_text())
    scored = evaluate_model(tmp_path / "labels.csv", tmp_path / "outputs", load_diagnoses(own)).overall
    for name in ("AUROC", "AUPRC", "F-measure"):
        assert name in page.text and f"{scored[name]:.3f}" in page.text
    assert "Second one" in page.text and "most errors" in page.text
    assert not any(words in page.text.lower() for words in ("challenge", "sinus", "‰", "cost"))


def test_two_folders_of_outputs_stand_side_by_side(outputs, tmp_path, monkeypatch):
    labels, a, b = outputs
    assert run_report(monkeypatch, "--evaluation", labels, a, b, tmp_path / "report") == 0
    text = Page((tmp_path / "report" / "index.html").read_text()).text
    for words in ("Side by side", "A less B", "Where A is better", "Where B is better", "by neither"):
        assert words in text


def test_labels_without_signals_are_reported_all_the_same(outputs, tmp_path, monkeypatch):
    labels, a, _ = outputs
    for path in labels.glob("*.hea"):
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / path.name).write_bytes(path.read_bytes())
    assert run_report(monkeypatch, "--evaluation", tmp_path / "labels", a, tmp_path / "report") == 0
    assert not list((tmp_path / "report" / "pages").iterdir())
