"""The numbers and patterns that criteria ask for, from waves that are laid down here, each from both sides."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ecg.interpretation.qrs_waves import QrsWaves, qrs_waves
from ecg.interpretation.quantities import CONTIGUOUS, quantities_of, waves_of
from ecg.leads import LEADS
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality, WaveMarks

NAN = math.nan
STEP = 2.0  # ms
ONSET, OFFSET = 100, 150  # samples of the median beat, of a QRS complex of 100 ms


def triangles(*waves):
    """A QRS complex, mV, of waves (amplitude, duration in ms) one behind the other."""
    parts = []
    for height, duration in waves:
        n = round(duration / STEP)
        parts.append(height * (1 - np.abs(np.linspace(-1, 1, n + 2)[1:-1])) / (1 - 1 / (n + 1) * (n % 2 == 0)))
    return np.concatenate(parts)


def measured(complexes=None, beats=None, kinds=None, before=None, marks=None, after=None, **values):
    """Measurements of a median beat with these QRS complexes by lead, and numbers."""
    signal = np.zeros((12, 600), np.float32)
    for lead, row in (complexes or {}).items():
        signal[LEADS.index(lead), ONSET + 3 : ONSET + 3 + len(row)] = row  # behind the level at the onset
    for lead, row in (after or {}).items():
        signal[LEADS.index(lead), ONSET : ONSET + len(row)] = row
    for lead, row in (before or {}).items():
        signal[LEADS.index(lead), 20 : 20 + len(row)] = row
    spots = {"p_onset": 20.0, "p_peak": 40.0, "p_offset": 70.0, "qrs_onset": float(ONSET), "qrs_peak": 120.0}
    spots |= {"qrs_offset": float(OFFSET), "t_onset": 200.0, "t_peak": 250.0, "t_offset": 300.0} | (marks or {})
    where = WaveMarks(**spots)
    names = ("p", "q", "r", "s", "t", "st_j", "st_60")
    rows = {name: np.zeros(12, np.float32) for name in names}
    for name in names:
        for lead, value in values.pop(name, {}).items():
            rows[name][LEADS.index(lead)] = value
    numbers = dict.fromkeys(
        ("p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms", "qtc_fridericia_ms", "p_axis_deg", "qrs_axis_deg",
         "t_axis_deg", "rmssd_ms"), NAN)  # fmt: skip
    samples = np.arange(10) * 400 if beats is None else np.asarray(beats)
    kinds = kinds or ("dominant",) * len(samples)
    numbers |= {"heart_rate_bpm": 75.0, "rr_sd_ms": 8.0, "has_p_waves": True, "n_beats": len(samples)} | values
    return Measurements(
        **numbers,
        n_ectopic=kinds.count("ectopic"),
        amplitudes=Amplitudes(**rows),
        quality=Quality((), (), 5.0, 0.0, 20.0, ""),
        beats=Beats(samples, tuple(kinds)),
        median_beat=MedianBeat(signal, 500.0, len(samples), where, (where,) * 12, 120.0),
    )


def value(name, found, age=60.0, sex="Male", left_out=()):
    return quantities_of(found, age, sex, left_out)[name].value


# ---- waves of one lead -----------------------------------------------------------------------------------------------


def test_waves_are_taken_apart_with_their_heights_and_lengths():
    found = qrs_waves(triangles((-0.2, 20), (1.2, 40), (-0.6, 30), (0.3, 16)), STEP)
    assert (found.q_mv, found.r_mv, found.s_mv, found.r2_mv) == pytest.approx((-0.2, 1.2, -0.6, 0.3), abs=0.03)
    assert (found.q_ms, found.r_ms, found.s_ms, found.r2_ms) == (20, 40, 30, 16)
    assert found.r_peak_ms == pytest.approx(40, abs=STEP)  # r' is less than half as high
    assert not found.is_qs and not found.notched
    late = qrs_waves(triangles((0.5, 20), (-0.6, 30), (0.8, 40)), STEP)
    assert (late.q_mv, late.r_mv, late.r2_mv) == pytest.approx((0, 0.5, 0.8), abs=0.03)
    assert late.r_peak_ms == pytest.approx(70, abs=STEP)


def test_a_complex_without_r_is_a_qs():
    found = qrs_waves(triangles((-0.8, 60)), STEP)
    assert found.is_qs and found.q_mv == pytest.approx(-0.8, abs=0.03) and found.q_ms == 60
    assert math.isnan(found.r_peak_ms) and found.r_mv == 0
    assert qrs_waves(np.full(20, NAN), STEP) == QrsWaves() == qrs_waves(np.zeros(20), STEP)


@pytest.mark.parametrize(
    ("height", "duration", "is_wave"), [(-0.06, 20, True), (-0.04, 20, False), (-0.3, 6, False), (-0.3, 8, True)]
)
def test_small_and_short_deflections_are_no_waves(height, duration, is_wave):
    found = qrs_waves(triangles((height, duration), (1.0, 40)), STEP)
    assert (found.q_mv < 0) == is_wave


def test_what_interrupts_a_wave_for_a_moment_does_not_divide_it():
    found = qrs_waves(triangles((1.0, 30), (-0.03, 8), (0.7, 30)), STEP)
    assert found.r_mv == pytest.approx(1.0, abs=0.05) and found.r_ms == 60 and found.s_mv == 0


def test_the_deeper_of_two_last_s_waves_counts():
    found = qrs_waves(triangles((0.6, 20), (-0.3, 20), (0.4, 20), (-0.9, 30)), STEP)
    assert (found.s_mv, found.s_ms) == (pytest.approx(-0.9, abs=0.03), 30)


@pytest.mark.parametrize(("dip", "notched"), [(0.3, True), (0.05, False)])
def test_a_notch_is_a_dip_of_a_tenth_of_the_height(dip, notched):
    row = np.concatenate(
        [np.linspace(0.1, 1, 10), 1 - dip * np.sin(np.linspace(0, np.pi, 12)), np.linspace(1, 0.1, 10)]
    )
    assert qrs_waves(row, STEP).notched == notched


def test_waves_lie_between_onset_and_offset_against_the_level_at_the_onset():
    found = measured({"II": triangles((1.0, 60))})
    found.median_beat.signal[1] += 0.4
    found.median_beat.signal[1, OFFSET + 1 :] = -3.0
    found.median_beat.signal[1, : ONSET - 3] = 3.0
    wave = waves_of(found)["II"]
    assert wave.r_mv == pytest.approx(1.0, abs=0.05) and wave.q_mv == wave.s_mv == 0
    assert waves_of(replace(found, median_beat=None))["II"] == QrsWaves()


# ---- patterns of conduction ------------------------------------------------------------------------------------------

RSR = triangles((0.3, 20), (-0.8, 30), (0.6, 40))
R, RS, S, QS = triangles((1.0, 60)), triangles((0.3, 20), (-1.0, 40)), triangles((1.0, 30), (-0.3, 46)), None
QR = triangles((-0.15, 16), (1.0, 50))
LATE_R = triangles((0.2, 40), (1.0, 50))


@pytest.mark.parametrize(
    ("row", "is_late"),
    [
        (RSR, True),
        (triangles((0.6, 40), (-0.8, 30), (0.3, 30)), False),  # r' lower and shorter
        (triangles((0.6, 20), (-0.8, 30), (0.3, 30)), True),  # longer
        (triangles((0.3, 30), (-0.8, 30), (0.5, 20)), True),  # higher
        (RS, False),
        (triangles((1.0, 84)), False),  # peaks 48 ms after the onset
        (triangles((1.0, 98)), True),  # 55 ms
        (triangles((0.4, 110), (-0.8, 20)), False),  # R not dominant
    ],
)
@pytest.mark.parametrize("lead", ["V1", "V2"])
def test_late_r_of_right_bundle_branch_block(row, is_late, lead):
    wide = {"qrs_offset": ONSET + 80.0}
    assert value("rsr_v1", measured({lead: row}, marks=wide)) == is_late
    assert value("rsr_v1", measured({"V3": row}, marks=wide)) == 0


def test_broad_s_laterally_is_asked_of_i_and_v6():
    broad, narrow = triangles((1.0, 30), (-0.3, 42)), triangles((1.0, 60), (-0.3, 36))
    longer_than_r = triangles((1.0, 30), (-0.3, 36))
    for i, v6, expected in ((broad, broad, 1), (broad, longer_than_r, 1), (broad, narrow, 0), (narrow, broad, 0)):
        assert value("s_lateral", measured({"I": i, "V6": v6})) == expected
    words = quantities_of(measured({"I": broad, "V6": broad}), 60, "Male")["s_lateral"].words
    assert words == "S 42 ms in I, S 42 ms in V6"


def test_broad_r_laterally_and_no_q_of_left_bundle_branch_block():
    wide = {"qrs_offset": ONSET + 80.0}
    late = triangles((1.0, 116))  # peaks 64 ms after the onset
    lateral = {"I": late, "V6": late, "V1": triangles((-1.2, 120))}
    assert value("broad_r_lateral", measured(lateral, marks=wide)) == 1
    assert value("broad_r_lateral", measured(lateral | {"V1": triangles((1.5, 120))}, marks=wide)) == 0
    assert value("broad_r_lateral", measured(lateral | {"V6": triangles((1.0, 100))}, marks=wide)) == 0
    assert value("no_q_lateral", measured(lateral, marks=wide)) == 1
    for lead in ("I", "V5", "V6"):
        assert value("no_q_lateral", measured(lateral | {lead: QR}, marks=wide)) == 0
    assert value("no_q_lateral", measured(lateral | {"V5": triangles((-0.8, 100))}, marks=wide)) == 1  # a QS is no q


def test_q_and_s_waves_of_the_fascicular_blocks():
    assert value("qr_avl", measured({"aVL": QR})) == 1
    assert value("qr_avl", measured({"aVL": R})) == 0
    assert value("qr_avl", measured({"aVL": triangles((-0.15, 16), (1.0, 40), (-0.2, 20))})) == 1
    assert value("qr_avl", measured({"aVL": triangles((-0.15, 16), (1.0, 40), (-0.3, 20))})) == 0
    assert value("rpt_aVL", measured({"aVL": QR})) == pytest.approx(6 + 16 + 25, abs=STEP)
    assert value("rs_lateral", measured({"I": RS, "aVL": RS})) == 1
    assert value("rs_lateral", measured({"I": RS, "aVL": S})) == 0
    assert value("qr_inferior", measured({"III": QR, "aVF": QR})) == 1
    assert value("qr_inferior", measured({"III": QR, "aVF": R, "II": QR})) == 0


def test_what_is_not_there_is_not_said_to_be():
    words = {name: each.words for name, each in quantities_of(measured(), 60, "Male").items()}
    assert words["broad_r_lateral"] == "no R in V6"
    assert words["qr_avl"] == "no qR in aVL"
    assert words["rs_lateral"] == "no rS in I and aVL"
    assert words["qr_inferior"] == "no qR in III and aVF"
    words = quantities_of(measured({"V5": QR, "V6": QR}, r=dict.fromkeys(LEADS[6:], NAN)), 60, "Male")
    assert words["no_q_lateral"].words == "q in V5, V6"
    assert words["low_voltage_excess"].words == "QRS up to 0.00 mV"


def test_a_delta_wave_is_a_slow_start_in_three_leads():
    slow = np.concatenate([np.linspace(0, 0.2, 21), np.linspace(0.25, 1.2, 10), np.linspace(1.1, 0, 19)])
    quick = np.concatenate([np.linspace(0, 1.2, 15), np.linspace(1.1, 0, 35)])
    falling = slow - 0.3 * np.sin(np.linspace(0, 6, 50)) ** 2
    assert value("delta", measured(after=dict.fromkeys(("I", "II", "V4"), slow))) == 1
    assert value("delta", measured(after=dict.fromkeys(("I", "II"), slow))) == 0
    assert value("delta", measured(after=dict.fromkeys(("I", "II", "V4"), quick))) == 0
    assert value("delta", measured(after=dict.fromkeys(("I", "II", "V4"), falling))) == 0
    assert value("delta", measured(after=dict.fromkeys(("I", "II", "V4"), 0.2 * slow))) == 0


def test_posterior_infarction_has_a_broad_r_and_an_upright_t():
    tall = {"V1": triangles((0.8, 44)), "V2": triangles((0.9, 44))}
    assert value("broad_r_v1", measured(tall, t={"V2": 0.3})) == 1
    assert value("broad_r_v1", measured(tall, t={"V2": -0.3})) == 0
    assert value("broad_r_v1", measured(tall | {"V1": triangles((0.8, 36))}, t={"V2": 0.3})) == 0
    assert value("broad_r_v1", measured(tall | {"V1": triangles((0.5, 44), (-0.9, 30))}, t={"V2": 0.3})) == 0


@pytest.mark.parametrize(
    ("j", "later", "t", "coved"),
    [(0.25, 0.1, -0.2, 1), (0.19, 0.1, -0.2, 0), (0.25, 0.3, -0.2, 0), (0.25, 0.1, 0.2, 0), (0.25, 0.1, -0.04, 0)],
)
def test_coved_st(j, later, t, coved):
    found = measured(st_j={"V2": j}, st_60={"V2": later}, t={"V2": t})
    assert value("coved_v1", found) == coved
    assert value("coved_v1", found, left_out=("V2",)) == 0


# ---- voltages --------------------------------------------------------------------------------------------------------


def test_voltages_of_hypertrophy():
    found = measured(
        r={"aVL": 0.9, "V5": 1.5, "V6": 1.9, "V1": 0.4, "V3": 0.7},
        s={"V1": -1.1, "V3": -1.3, "V4": -0.8, "V2": -2.1, "V5": -0.3, "V6": -0.2},
        q={"V4": -0.5},
        qrs_ms=100.0,
    )
    expected = {
        "sokolow_lyon": 1.1 + 1.9,
        "cornell": 1.3 + 0.9,
        "cornell_product": 2.2 * 100,
        "peguero": 2.1 + 0.8,
        "r_aVL": 0.9,
        "r_V1": 0.4,
        "r_V3": 0.7,
        "r_to_s_V1": 0.4 / 1.1,
        "chest_peak_to_peak": 2.1,
        "limb_peak_to_peak": 0.9,
        "low_voltage_excess": 0.4,
    }
    found = quantities_of(found, 60, "Male")
    assert {name: found[name].value for name in expected} == pytest.approx(expected, abs=1e-5)
    assert found["peguero"].words == "S V2 + S V4 2.90 mV"


def test_right_hypertrophy_takes_the_deeper_s_of_v5_and_v6():
    waves = {"V5": triangles((0.5, 30), (-0.4, 30)), "V6": triangles((0.5, 30), (-0.7, 30))}
    assert value("r_v1_s_v5", measured(waves, r={"V1": 0.6})) == pytest.approx(1.3, abs=0.06)


# ---- rhythm and P ----------------------------------------------------------------------------------------------------


def test_shares_of_beats_and_variation_of_their_intervals():
    kinds = ("dominant",) * 6 + ("ectopic",) * 3 + ("paced",)
    found = quantities_of(measured(kinds=kinds, rr_sd_ms=80.0, heart_rate_bpm=75.0), 60, "Male")
    assert (found["ectopic"].value, found["paced_share"].value) == (0.3, 0.1)
    assert found["rr_variation"].value == pytest.approx(0.1)
    assert found["rr_variation"].words == "RR varies by 10% (SD)"
    assert found["paced_share"].words == "pacing spikes before 1 of 10 beats"
    assert found["p_waves"].value == 1 and value("p_waves", measured(has_p_waves=False)) == 0


def test_early_beats_are_ectopic_and_come_before_their_time():
    beats = np.cumsum([0, 400, 400, 330, 400, 350, 400, 400])
    kinds = ["dominant"] * 8
    assert value("early", measured(beats=beats, kinds=tuple(kinds))) == 0
    kinds[3] = kinds[5] = "ectopic"  # 0.825 and 0.875 of the median interval
    assert value("early", measured(beats=beats, kinds=tuple(kinds))) == 1
    assert math.isnan(value("early", measured(beats=beats, kinds=tuple(kinds), has_p_waves=False)))


def test_the_range_of_rr_is_that_between_normal_beats():
    beats = np.cumsum([0, 400, 440, 400, 380, 200, 600, 400, 400])
    kinds = ["dominant"] * 9
    kinds[5] = "ectopic"
    found = measured(beats=beats, kinds=tuple(kinds), heart_rate_bpm=75.0)  # a median interval of 400 is 800 ms
    assert value("rr_range", found) == pytest.approx(2 * (440 - 380))


@pytest.mark.parametrize(
    ("intervals", "ectopic", "expected"),
    [
        ((400,), (), NAN),  # two beats
        ((400, 440), (), 40 / 420),
        ((400, 440), (2,), NAN),  # one interval is no range
        ((100, 400, 440), (), 340 / 400),
        ((100, 400, 440, 100), (), 340 / 420),  # of five beats the median interval is that between the inner ones
        ((400, 440, 400, 200, 600), (4,), 40 / 400),
    ],
)
def test_the_range_of_rr_needs_three_beats_and_two_intervals(intervals, ectopic, expected):
    kinds = tuple("ectopic" if k in ectopic else "dominant" for k in range(len(intervals) + 1))
    found = measured(beats=np.cumsum([50, *intervals]), kinds=kinds, heart_rate_bpm=60.0)
    assert value("rr_range", found) == pytest.approx(1000 * expected, nan_ok=True)
    assert math.isnan(value("rr_range", replace(found, heart_rate_bpm=NAN)))


@pytest.mark.parametrize(("n", "early"), [(2, NAN), (3, NAN), (4, 1.0)])
def test_early_beats_need_four_beats(n, early):
    kinds = ("dominant", "dominant", "ectopic", "dominant")[:n]
    found = value("early", measured(beats=np.cumsum([0, 400, 330, 400])[:n], kinds=kinds))
    assert found == pytest.approx(early, nan_ok=True)


@pytest.mark.parametrize(("interval", "early"), [(339, 1.0), (340, 0.0)])
def test_a_beat_is_early_before_0_85_of_the_median_interval(interval, early):
    beats = np.cumsum([0, 400, 400, interval, 400, 400])
    kinds = tuple("ectopic" if k == 3 else "dominant" for k in range(6))
    assert value("early", measured(beats=beats, kinds=kinds)) == early


def test_p_waves_in_v1_end_below_the_line():
    half = np.sin(np.linspace(0, np.pi, 25))
    wave = np.concatenate([0.2 * half, -0.12 * half, [0.0]])
    found = quantities_of(measured(before={"V1": wave}), 60, "Male")
    assert found["p_initial_V1"].value == pytest.approx(0.2, abs=0.02)
    assert found["p_terminal_mv"].value == pytest.approx(-0.12, abs=0.02)
    assert found["p_terminal_ms"].value == pytest.approx(44, abs=6)
    assert math.isnan(value("p_terminal_mv", measured(marks={"p_onset": NAN})))


# ---- leads beside each other -----------------------------------------------------------------------------------------


def test_which_leads_lie_beside_each_other():
    pairs = "aVL-I II-aVF aVF-III II-III V1-V2 V2-V3 V3-V4 V4-V5 V5-V6 I-V5 I-V6 aVL-V5 aVL-V6"
    assert {frozenset(pair.split("-")) for pair in pairs.split()} == CONTIGUOUS


def st_elevation(age=60.0, sex="Male", left_out=(), **levels):
    return quantities_of(measured(st_j=levels), age, sex, left_out)["st_elevation"]


def test_leads_count_only_beside_another_one():
    assert st_elevation(II=0.2, III=0.2).leads == ("II", "III")
    assert st_elevation(II=0.2, V5=0.2).value == 0
    assert st_elevation(I=0.2, V6=0.2, III=0.2).leads == ("I", "V6")
    assert st_elevation(V1=0.2, V2=0.3, left_out=("V1",)).value == 0
    assert st_elevation(aVR=0.5, I=0.05).words == "ST elevation in no two contiguous leads"
    assert st_elevation(II=0.15, aVF=0.2).words == "ST 0.15 mV in II, ST 0.20 mV in aVF"


@pytest.mark.parametrize(
    ("age", "sex", "limit"),
    [(39.9, "Male", 0.25), (40, "Male", 0.2), (39.9, "Female", 0.15), (40, "Female", 0.15), (18, "Male", 0.25),
     (30, "Unknown", 0.25), (40, "Unknown", 0.2), (NAN, "Male", 0.2)],
)  # fmt: skip
def test_st_elevation_in_v2_and_v3_by_age_and_sex(age, sex, limit):
    assert st_elevation(age, sex, V2=limit - 0.005, V3=limit - 0.005).value == 0
    assert st_elevation(age, sex, V2=limit + 0.005, V3=limit + 0.005).value == 2
    assert st_elevation(17.9, sex, V2=1, V3=1).value == 0


def test_st_depression_is_low_at_j_and_60_ms_later():
    def depression(j, later):
        return value("st_depression", measured(st_j={"V4": j, "V5": j}, st_60={"V4": later, "V5": later}))

    assert depression(-0.06, -0.06) == 2 and depression(-0.04, -0.2) == depression(-0.2, -0.04) == 0


def test_inverted_and_low_t_waves():
    upright, down = {"V4": R, "V5": R}, {"V4": RS, "V5": RS}

    def both(t, rows=upright):
        found = measured(rows, t={"V4": t, "V5": t})
        return value("t_inversion", found), value("t_low", found)

    assert both(-0.11) == (2, 0) and both(-0.09) == (0, 2) and both(0.09) == (0, 2) and both(0.11) == (0, 0)
    assert both(-0.3, down) == (0, 0)


@pytest.mark.parametrize(
    ("name", "leads", "ms", "mv"),
    [("q_inferior", ("II", "aVF"), 30, 0.1), ("q_lateral", ("V5", "V6"), 30, 0.1),
     ("q_anteroseptal", ("V2", "V3"), 20, 0.05)],
)  # fmt: skip
def test_q_waves_of_infarction_are_wide_and_deep(name, leads, ms, mv):
    def q(duration, depth):
        row = triangles((-depth, duration), (1.0, 40))
        return value(name, measured(dict.fromkeys(leads, row)))

    assert q(ms, mv + 0.02) == 2 and q(ms - 2, mv + 0.02) == 0
    if mv == 0.1:
        assert q(ms, mv - 0.02) == 0
    if name == "q_anteroseptal":
        assert value(name, measured(dict.fromkeys(leads, triangles((-0.8, 60))))) == 2


def test_a_notched_j_point_counts_by_its_level():
    row = np.concatenate([np.linspace(0.1, 1, 12), np.linspace(0.6, 0.1, 6), np.linspace(0.5, 0.1, 10)])
    found = measured({"II": row, "aVF": row}, st_j={"II": 0.12, "aVF": 0.12})
    assert value("j_point", found) == 2
    assert value("j_point", measured({"II": row, "aVF": row}, st_j={"II": 0.09, "aVF": 0.12})) == 0
    assert value("j_point", measured({"II": R, "aVF": R}, st_j={"II": 0.12, "aVF": 0.12})) == 0
