"""What a page says: words for every class, ranges with sources, warnings and doubts where there is reason."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.interpretation import Statement, interpret
from ecg.interpretation.recording_quality import quality_warnings
from ecg.interpretation.statement_list import words_of as list_words
from ecg.io.recording import Recording
from ecg.labels.classes import CLASSES, SCORED_CLASSES
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.leads import LEADS
from ecg.measurements import measure
from ecg.measurements.types import Quality
from ecg.report.findings import (
    compare,
    doubt,
    findings,
    measurement_rows,
    summary,
)
from ecg.report.recording_page import Reported, article, look_at, row_of
from tiny import heart_like

AF, NSR, PVC, CRBBB = "164889003", "426783006", "427172004", "713427006"


@pytest.fixture(scope="module")
def measured():
    return measure(heart_like(10), 500)


def rows_of(found=(), probabilities=None, thresholds=0.5):
    labels = [code in found for code in CLASSES]
    given = probabilities or dict.fromkeys(found, 0.97)
    return findings(CHALLENGE_2020, labels, [given.get(code, 0.02) for code in CLASSES], np.full(24, thresholds))


def test_every_class_has_words():
    assert all(row.words[0].isupper() and row.meaning for row in CHALLENGE_2020.rows)


def test_equivalent_codes_share_a_name():
    assert CHALLENGE_2020[CRBBB].abbreviation == "CRBBB/RBBB"
    names = {name for row in CHALLENGE_2020.rows for name in row.abbreviation.split("/")}
    assert names == {a for a, _ in SCORED_CLASSES.values()}


def test_findings_come_most_probable_first():
    rows = rows_of(probabilities={AF: 0.6, PVC: 0.8}, found=(AF,))
    assert [row.code for row in rows[:2]] == [PVC, AF]
    assert [row.found for row in rows[:2]] == [False, True]


def test_the_summary_names_what_is_said_and_how_certainly():
    statements = said((82, "possible"), (50, "definite"), (106, "probable"))
    expected = "Atrial fibrillation; probable: Right bundle-branch block; possible: Prolonged PR interval."
    assert summary(statements) == expected
    assert summary([]) == "No statement."


def test_labels_are_compared_with_equivalent_codes_merged():
    compared = compare(rows_of([AF, PVC]), ("17338001", "59118001", "164865005", "999"))
    assert compared.right == ("Premature ventricular contractions",)
    assert compared.missed == ("Right bundle branch block, complete",)
    assert compared.added == ("Atrial fibrillation",)
    assert compared.unscored == ("myocardial infarction", "code 999")
    assert compare(rows_of([AF]), ()) is None


def values(measured, **changes):
    return {row.name: row for row in measurement_rows(replace(measured, **changes), 60, "Female")}


@pytest.mark.parametrize(
    ("name", "field", "value", "verdict"),
    [
        ("Heart rate", "heart_rate_bpm", 59.4, "low"),
        ("Heart rate", "heart_rate_bpm", 59.6, ""),  # as it is printed: 60
        ("Heart rate", "heart_rate_bpm", 101, "high"),
        ("PR interval", "pr_ms", 119, "low"),
        ("PR interval", "pr_ms", 201, "high"),
        ("QRS duration", "qrs_ms", 110, ""),
        ("QRS duration", "qrs_ms", 111, "high"),
        ("QRS axis", "qrs_axis_deg", -31, "low"),
        ("QRS axis", "qrs_axis_deg", 91, "high"),
        ("QTc, Bazett", "qtc_bazett_ms", 455, ""),
        ("QTc, Bazett", "qtc_bazett_ms", 461, "high"),
        ("PR interval", "pr_ms", float("nan"), ""),
    ],
)
def test_what_is_outside_its_range_is_marked(measured, name, field, value, verdict):
    assert values(measured, **{field: value})[name].verdict == verdict


def test_every_reported_value_has_a_source_and_a_range(measured):
    for row in values(measured).values():
        assert bool(row.source) == bool(row.range)


def test_ranges_know_sex_and_age(measured):
    long = replace(measured, qtc_bazett_ms=455.0, heart_rate_bpm=130.0)
    men = {row.name: row.verdict for row in measurement_rows(long, 60, "Male")}
    assert men["QTc, Bazett"] == "high"
    assert not any(row.verdict for row in measurement_rows(long, 8, "Male"))
    assert {row.name: row.verdict for row in measurement_rows(long, float("nan"), "Unknown")}["Heart rate"] == "high"


def words_of(measured, **quality):
    calm = Quality((), (), 5.0, 2.0, 20.0, "")
    return [word for word, _ in quality_warnings(replace(measured, quality=replace(calm, **quality)))]


def test_each_fault_has_its_warning(measured):
    assert words_of(measured) == []
    assert words_of(measured, leads_off=("V1",)) == ["lead off"]
    assert words_of(measured, saturated=("V2", "V3")) == ["clipped"]
    assert words_of(measured, suspected_swap="RA-LA") == ["swapped?"]
    assert words_of(measured, noise_uv=80.0) == ["noise"]
    assert words_of(measured, mains_uv=80.0) == ["mains"]
    assert words_of(measured, baseline_uv=500.0) == ["wander"]
    assert words_of(replace(measured, n_beats=0)) == ["no beats"]


@pytest.mark.parametrize(
    ("quality", "limit", "word"),
    [("noise_uv", 15.0, "noise"), ("mains_uv", 20.0, "mains"), ("baseline_uv", 250.0, "wander")],
)
def test_a_disturbance_is_warned_of_above_its_limit(measured, quality, limit, word):
    assert words_of(measured, **{quality: limit}) == []
    assert words_of(measured, **{quality: limit + 0.1}) == [word]
    assert words_of(measured, **{quality: float("nan")}) == []


@pytest.mark.parametrize(
    ("height", "is_suspected"), [(0.15, False), (0.149, True), (4.0, False), (4.01, True), (float("nan"), False)]
)
def test_a_gain_is_suspected_by_the_median_of_the_leads_that_are_known(measured, height, is_suspected):
    r, s = np.full(12, height / 2), np.full(12, -height / 2)
    r[[0, 1, 2]], r[[3, 4, 5]], r[6] = 50.0, 0.0, np.nan
    s[[3, 4, 5]] = 0.0
    changed = replace(measured, amplitudes=replace(measured.amplitudes, r=r, s=s))
    assert ("gain?" in words_of(changed)) == is_suspected or np.isnan(height)


@pytest.mark.parametrize("factor", [10, 0.1])
def test_a_gain_that_is_far_off_is_suspected(factor):
    assert "gain?" in [word for word, _ in quality_warnings(measure(heart_like(10) * np.float32(factor), 500))]


def said(*given):
    return [Statement(code, list_words(code), certainty, 0.9, "seen") for code, certainty in given]


def test_what_is_uncertain_sorts_by_its_reasons():
    assert doubt([], said((20, "definite"))) == 0
    assert doubt([], said((20, "definite"), (82, "possible"))) == 0.5
    assert doubt(["noise"], said((20, "definite"))) == 1
    assert doubt([], []) == 0


def test_only_networks_that_disagree_about_a_close_call_make_a_recording_unsure(measured):
    for probability, unsure in ((0.5, True), (0.2, False), (0.9, False)):
        probabilities = np.array([probability if code == PVC else 0.02 for code in CLASSES])
        probabilities[CLASSES.index(NSR)] = 0.95
        reported = Reported(CLASSES, probabilities > 0.5, probabilities, np.full(24, 0.5), (CLASSES.index(PVC),))
        reasons = looked_at(heart_like(), reported).doubts
        assert any("networks disagree on Premature ventricular" in reason for reason in reasons) == unsure


def test_what_is_acute_stands_first_on_a_page():
    signal = heart_like(10)
    probabilities = np.array([0.95 if code == NSR else 0.02 for code in CLASSES])
    reported = Reported(CLASSES, probabilities > 0.5, probabilities, np.full(24, 0.5))
    recording = looked_at(signal, reported)
    slow = replace(recording.measured, heart_rate_bpm=35.0, has_p_waves=True)
    statements = interpret(slow, 60, "Female", {"model": {NSR: 0.95}})
    page = article(replace(recording, measured=slow, statements=statements), "", "3x4")
    assert page["statements"][0]["acute"] == "RATE BELOW 40/min"
    assert "MUSE" in page["convention"]
    assert all(each["evidence"] for each in page["statements"])


def looked_at(signal, reported):
    given = Recording(signal, 500.0, "A1", 60.0, "Female")
    return look_at("A1", given, measure(signal, 500), reported)


@pytest.mark.parametrize(("off", "computed"), [([], []), (["aVF"], ["aVF"]), (["V2"], []), (["I", "II"], [])])
def test_a_page_says_that_a_flat_lead_was_measured_by_the_others(off, computed):
    signal = heart_like()
    signal[[LEADS.index(lead) for lead in off]] = 0
    reported = Reported(CLASSES, np.zeros(24, dtype=bool), np.full(24, 0.1))
    caption = article(looked_at(signal, reported), "", "3x4")["caption"]
    assert [lead for lead in LEADS if f"{lead} shows nothing here" in caption] == computed


@pytest.mark.parametrize(
    ("probability", "found", "by_thresholds", "together"),
    [
        (0.95, True, "threshold 0.50", ""),
        (0.55, True, "threshold 0.50, close", "close to one half"),
        (0.45, True, "threshold 0.50, close", "below one half, yet found"),
        (0.10, True, "threshold 0.50", "below one half, yet found"),
        (0.65, False, "threshold 0.50", "one half or more, yet left out"),
    ],
)
def test_a_page_speaks_of_thresholds_only_where_they_decide(probability, found, by_thresholds, together):
    labels = np.array([code == AF and found for code in CLASSES])
    probabilities = np.array([probability if code == AF else 0.02 for code in CLASSES])
    for kind, words in (("own", by_thresholds), ("moved", together), ("adapted", together)):
        reported = Reported(CLASSES, labels, probabilities, np.full(24, 0.5), kind=kind)
        recording = looked_at(heart_like(), reported)
        page = article(recording, "", "3x4")
        (row,) = [row for row in page["findings"] if row["code"] == AF]
        assert row["limit"] == words
        if found != (probability >= 0.5):
            assert ("found below its threshold" if kind == "own" else "found below one half") in page["how_decided"]


def test_the_row_of_a_recording_has_each_number_found_class_and_label():
    labels = np.array([code in (AF, PVC) for code in CLASSES])
    probabilities = np.array([{AF: 0.7004, PVC: 0.9}.get(code, 0.1) for code in CLASSES])
    given = Recording(heart_like(), 500.0, "A1", 60.0, "Female", labels=(AF, CRBBB))
    numbers = {"heart_rate_bpm": 71.4, "pr_ms": 150.6, "qrs_ms": 91.2, "qt_ms": 380.0, "qrs_axis_deg": np.nan}
    numbers |= {"qtc_bazett_ms": 415.0, "qtc_fridericia_ms": 404.9}
    shown = replace(measure(given.signal, 500), **numbers)
    for thresholds in (None, np.full(24, 0.5)):
        row = row_of(look_at("A1", given, shown, Reported(CLASSES, labels, probabilities, thresholds)), "pages/A1.html")
        assert (row["name"], row["page"]) == ("A1", "pages/A1.html")
        assert row["found"] == [[CLASSES.index(PVC), 0.9], [CLASSES.index(AF), 0.7]]
        assert (row["rate"], row["pr"], row["qrs"], row["qtc"], row["axis"]) == (71, 151, 91, 405, None)
        assert ("unsure" in row, "doubt" in row) == (thresholds is not None,) * 2
        names = {key: [CHALLENGE_2020[code].words for code in codes] for key, codes in
                 (("right", [AF]), ("missed", [CRBBB]), ("added", [PVC]))}  # fmt: skip
        assert {key: row[key] for key in names} == names
    assert "right" not in row_of(
        look_at("A1", replace(given, labels=()), shown, Reported(CLASSES, labels, probabilities)), ""
    )
