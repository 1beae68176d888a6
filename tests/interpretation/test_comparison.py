"""Two ECGs of a patient: each comparison statement by its criterion in the list, and none without."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from commands import ROOT
from ecg.commands import compare as command
from ecg.interpretation.comparison import Change, Ecg, compare
from ecg.interpretation.interpret import Statement
from ecg.interpretation.statement_list import statement_list, words_of
from ecg.measurements import measure
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import simulate
from ecg.simulator.write import write_recording


@pytest.fixture(scope="module")
def calm():
    one = simulate(np.random.default_rng(3), "NSR", noise=Noise(), comorbidity=False)
    values = {"heart_rate_bpm": 70.0, "pr_ms": 160.0, "qrs_ms": 90.0, "qtc_fridericia_ms": 420.0, "qrs_axis_deg": 40.0}
    return replace(measure(one.signal, 500), **values)


def ecg(measured, *codes, certainty="definite"):
    return Ecg(measured, [Statement(code, words_of(code), certainty, 0.9, "so it is") for code in codes])


def codes(before, after):
    return {code for code, *_ in compare(before, after).statements}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((20,), (20,), {400}),
        ((20,), (50,), {401}),
        ((20,), (22,), {400}),  # another rate of the same rhythm
        ((20,), (181,), {401}),
        ((20,), (20, 161), {402}),
        ((20, 161), (20,), set()),  # an infarction that is gone is no new one
        ((20,), (20, 106), {403}),
        ((20,), (20, 82), {403}),
        ((20,), (20, 148), {404}),
        ((20, 148), (20,), {404}),
        ((20,), (20, 121), {405}),
        ((20, 142), (20,), {405}),
        ((20,), (20, 155), {404}),
        ((20,), (20, 23), {400}),  # a normal variant
        ((20,), (50, 104, 161), {401, 402, 403}),
    ],
)
def test_new_statements_and_those_that_are_gone_make_the_statements_of_the_list(calm, before, after, expected):
    assert codes(ecg(calm, *before), ecg(calm, *after)) == expected


# Which statements, new or gone, are changes of rhythm, infarction, conduction (new ones of these), repolarisation,
# and of what the heart is like.
GROUPS = {
    401: [21, 22, 27, 38, 42, 50, 51, 55, 56, 70, 76, *range(180, 191)],
    402: [145, *range(160, 175), 220, 226],
    403: [*range(80, 90), *range(100, 112)],
    404: [*range(146, 156), 205, 206],
    405: [*range(120, 132), *range(140, 145), *range(200, 205), *range(207, 216)],
}


@pytest.mark.parametrize("group", GROUPS)
def test_which_statements_make_which_change(calm, group):
    for code in range(20, 230):
        if code in (20, 21, 22) or code not in statement_list():
            continue
        found = codes(ecg(calm, 30), ecg(calm, 30, code)) if code != 30 else set()
        assert (group in found) == (code in GROUPS[group]), code
        gone = codes(ecg(calm, 30, code), ecg(calm, 30)) if code != 30 else set()
        assert (group in gone) == (code in GROUPS[group] and group not in (402, 403)), code


@pytest.mark.parametrize(("value", "is_normal"), [(119, False), (120, True), (200, True), (201, False)])
def test_what_is_normal_stays_unchanged_whatever_it_was(calm, value, is_normal):
    """From 160 ms, more than a tenth away."""
    found = codes(ecg(calm, 20), ecg(replace(calm, pr_ms=float(value)), 20))
    assert found == ({400} if is_normal else set())


def test_what_is_only_possible_is_neither_new_nor_gone(calm):
    assert codes(
        ecg(calm, 20), Ecg(calm, [*ecg(calm, 20).statements, *ecg(calm, 161, certainty="possible").statements])
    ) == {400}
    before = Ecg(calm, [*ecg(calm, 20).statements, *ecg(calm, 161, certainty="possible").statements])
    assert codes(before, ecg(calm, 20, 161)) == {400}


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ({"heart_rate_bpm": 90.0}, {"heart_rate_bpm": 110.0}, {400}),  # by more than 20
        ({"heart_rate_bpm": 90.0}, {"heart_rate_bpm": 110.5}, {401}),
        ({"heart_rate_bpm": 70.0}, {"heart_rate_bpm": 100.0}, {400}),  # to above 100 or below 50
        ({"heart_rate_bpm": 70.0}, {"heart_rate_bpm": 100.5}, {401}),
        ({"heart_rate_bpm": 75.0}, {"heart_rate_bpm": 50.0}, {400}),
        ({"heart_rate_bpm": 75.0}, {"heart_rate_bpm": 49.5}, {401}),
        ({"qtc_fridericia_ms": 395.0}, {"qtc_fridericia_ms": 455.0}, {400}),  # by more than 60
        ({"qtc_fridericia_ms": 395.0}, {"qtc_fridericia_ms": 455.5}, {404}),
        ({"qtc_fridericia_ms": 455.5}, {"qtc_fridericia_ms": 395.0}, {404}),
        ({"qtc_fridericia_ms": 415.0}, {"qtc_fridericia_ms": 460.0}, {400}),  # more than a tenth, but normal
        ({"qtc_fridericia_ms": 415.0}, {"qtc_fridericia_ms": 460.5}, set()),
        ({"qtc_fridericia_ms": 440.0}, {"qtc_fridericia_ms": 390.0}, {400}),
        ({"qtc_fridericia_ms": 440.0}, {"qtc_fridericia_ms": 389.5}, set()),
        ({"qrs_ms": 90.0}, {"qrs_ms": 110.0}, {400}),
        ({"qrs_ms": 90.0}, {"qrs_ms": 110.5}, set()),
        ({"pr_ms": 240.0}, {"pr_ms": 264.0}, {400}),  # a tenth
        ({"pr_ms": 240.0}, {"pr_ms": 264.5}, set()),
        ({"pr_ms": 240.0}, {"pr_ms": 216.0}, {400}),
        ({"pr_ms": 240.0}, {"pr_ms": 215.5}, set()),
        ({"pr_ms": np.nan}, {"pr_ms": np.nan}, {400}),
        ({"pr_ms": 160.0}, {"pr_ms": np.nan}, set()),
        ({"pr_ms": np.nan}, {"pr_ms": 160.0}, set()),
    ],
)
def test_measured_changes_have_the_limits_of_the_list(calm, was, now, expected):
    assert codes(ecg(replace(calm, **was), 20), ecg(replace(calm, **now), 20)) == expected


def test_an_st_deviation_that_grows_is_worse(calm):
    st_j = np.zeros(12, np.float32)
    st_j[[6, 7]] = 0.12, 0.25
    worse = st_j.copy()
    worse[[6, 7]] = 0.25, 0.4
    first, second = (replace(calm, amplitudes=replace(calm.amplitudes, st_j=each)) for each in (st_j, worse))
    assert codes(ecg(first, 20, 145), ecg(second, 20, 145)) == {402}
    assert 402 not in codes(ecg(second, 20, 145), ecg(first, 20, 145))


@pytest.mark.parametrize(
    ("leads", "growth", "is_worse"),
    [((6, 7), 0.1, True), ((6, 7), 0.099, False), ((6,), 0.3, False), ((0, 11), -0.1, True), ((0, 5, 11), 0.2, True)],
)
def test_an_st_deviation_has_to_grow_by_0_1_mv_in_two_leads(calm, leads, growth, is_worse):
    was = np.zeros(12, np.float32)
    now = np.where(np.isin(np.arange(12), leads), growth, 0).astype(np.float32)
    first, second = (replace(calm, amplitudes=replace(calm.amplitudes, st_j=each)) for each in (was, now))
    assert (402 in codes(ecg(first, 20, 145), ecg(second, 20, 145))) == is_worse
    assert 402 not in codes(ecg(first, 20), ecg(second, 20))  # where none is stated
    assert 402 not in codes(ecg(first, 20, 145), ecg(second, 20))


@pytest.mark.parametrize(
    ("was", "now", "is_worse"),
    [(0.12, -0.3, False), (0.05, -0.3, False), (0.049, -0.3, True), (-0.12, -0.3, True)],
)
def test_an_st_deviation_to_the_other_side_is_another_one(calm, was, now, is_worse):
    leads = np.isin(np.arange(12), (6, 7)).astype(np.float32)
    first, second = (replace(calm, amplitudes=replace(calm.amplitudes, st_j=leads * each)) for each in (was, now))
    assert (402 in codes(ecg(first, 20, 145), ecg(second, 20, 145))) == is_worse


def test_a_change_is_in_whole_numbers_without_a_minus_zero():
    words = [Change("QRS axis", was, now, "°").words for was, now in ((-0.4, -31.6), (float("nan"), 12.4))]
    assert words == ["QRS axis 0 to \N{MINUS SIGN}32°", "QRS axis not measurable to 12°"]


def test_an_axis_turns_the_shorter_way():
    assert Change("QRS axis", 170.0, -175.0, "°").difference == pytest.approx(15.0)
    assert Change("QRS duration", 92.0, 148.0, " ms").words == "QRS duration 92 to 148 ms"


def test_the_command_compares_files_and_the_recordings_of_a_patient(tmp_path, monkeypatch, capsys):
    data = tmp_path / "data"
    for name, diagnosis in (("a", "NSR"), ("b", "AF"), ("c", "NSR")):
        write_recording(data, name, simulate(np.random.default_rng(5), diagnosis, comorbidity=False))
    (tmp_path / "patients.csv").write_text("record,patient\na,1\nc,2\nb,1\n")

    monkeypatch.chdir(ROOT)

    def run(*words):
        return command.main(list(map(str, words)))

    assert run(data, tmp_path / "patients.csv", tmp_path / "changes.json") == 0
    (pair,) = json.loads((tmp_path / "changes.json").read_text())
    assert (pair["before"], pair["after"]) == ("a", "b")
    assert 401 in {each["code"] for each in pair["statements"]}
    assert run(data / "a.hea", data / "b.hea", tmp_path / "changes.csv") == 0
    with open(tmp_path / "changes.csv", newline="") as file:
        assert {row["code"] for row in csv.DictReader(file)} >= {"401"}
    assert run(data / "a.hea", data / "b.hea", tmp_path / "changes.html") == 0
    page = (tmp_path / "changes.html").read_text()
    assert page.count('class="trace before"') == 12
    assert "Not a medical device" in page
    (tmp_path / "patients.csv").write_text("record,patient\na,1\nx,1\n")
    assert run(data, tmp_path / "patients.csv", tmp_path / "other.csv") == 2
    assert "found 'x', which is not there" in capsys.readouterr().err
    assert not (tmp_path / "other.csv").exists()
