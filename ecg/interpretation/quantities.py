"""Named numbers of a recording that criteria compare with limits, each with the words that a reader is shown."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from operator import ge, gt, le, lt

import numpy as np
from numpy.typing import NDArray

from ecg.interpretation.qrs_waves import QrsWaves, qrs_waves
from ecg.interpretation.statement_list import read_table
from ecg.leads import LEADS
from ecg.measurements.blocked_p import pauses
from ecg.measurements.types import Measurements

ADULT = 18.0  # years
ASSUMED_AGE = 50.0  # where the header gives none
SMALL_Q = 0.05  # mV
# Pairs of leads that lie beside each other (Fourth Universal Definition of Myocardial Infarction).
_CHAINS = (("aVL", "I"), ("II", "aVF", "III"), ("V1", "V2", "V3", "V4", "V5", "V6"))
CONTIGUOUS = frozenset(
    frozenset(pair)
    for chain in (*_CHAINS, ("II", "III"), ("I", "V5"), ("I", "V6"), ("aVL", "V5"), ("aVL", "V6"))
    for pair in pairwise(chain)
)


@dataclass(frozen=True)
class Quantity:
    """A number and what a reader is told of it."""

    value: float  # NaN where not measurable
    words: str  # with the number and its unit: "QRS 148 ms"
    leads: tuple[str, ...] = ()  # the leads that it is about, where it counts leads


Quantities = dict[str, Quantity]


def quantities_of(measured: Measurements, age: float, sex: str, left_out: Iterable[str] = ()) -> Quantities:
    """All quantities that ``criteria.csv`` names.

    `age`: years, NaN where unknown; then an age of 50 is assumed. `sex`: "Female", "Male" or "Unknown". `left_out`:
    leads whose ST segment and T wave say nothing.
    """
    waves = waves_of(measured)
    lead = _Leads(measured, waves, frozenset(left_out))
    years = age if math.isfinite(age) else ASSUMED_AGE
    found = {
        "age": Quantity(years, ""),
        **_intervals(measured),
        **_rhythm(measured),
        **_patterns(lead),
        **_voltages(lead),
        **_p_wave(lead),
    }
    for name in dict.fromkeys(row["quantity"] for row in read_table("lead_limits.csv")):
        found[name] = _leads_beyond(name, lead, years, sex)
    return found


def waves_of(measured: Measurements) -> dict[str, QrsWaves]:
    """The waves of the QRS complex of the median beat by lead."""
    beat = measured.median_beat
    if beat is None or not (math.isfinite(beat.marks.qrs_onset) and math.isfinite(beat.marks.qrs_offset)):
        return dict.fromkeys(LEADS, QrsWaves())
    onset, offset = round(beat.marks.qrs_onset), round(beat.marks.qrs_offset)
    level = beat.signal[:, max(0, onset - 2) : onset + 3].mean(axis=1, keepdims=True)
    complexes = (beat.signal[:, onset : offset + 1] - level).astype(np.float64)
    step_ms = 1e3 / beat.sampling_frequency
    return {name: qrs_waves(row, step_ms) for name, row in zip(LEADS, complexes, strict=True)}


def _number(name: str, value: float, unit: str, digits: int = 0) -> Quantity:
    if not math.isfinite(value):
        return Quantity(value, f"{name} not measurable")
    shown = f"{value:z.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return Quantity(value, f"{name} {shown}{unit}")


def _flag(value: bool, words: str, otherwise: str = "") -> Quantity:
    return Quantity(float(value), words if value else otherwise or words)


def _intervals(measured: Measurements) -> Quantities:
    return {
        "rate": _number("rate", measured.heart_rate_bpm, "/min"),
        "pr": _number("PR", measured.pr_ms, " ms"),
        "qrs": _number("QRS", measured.qrs_ms, " ms"),
        "qtc": _number("QTc (Fridericia)", measured.qtc_fridericia_ms, " ms"),
        "axis": _number("QRS axis", measured.qrs_axis_deg, "°"),
        "p_ms": _number("P", measured.p_ms, " ms"),
    }


def _rhythm(measured: Measurements) -> Quantities:
    beats, n = measured.beats, max(measured.n_beats, 1)
    shares = {kind: beats.kinds.count(kind) / n for kind in ("ectopic", "paced")}
    relative = measured.rr_sd_ms * measured.heart_rate_bpm / 60e3
    n_paced = beats.kinds.count("paced")
    has_p = measured.has_p_waves or beats.n_blocked_p > 0
    return {
        "p_waves": Quantity(
            float(has_p) if measured.n_beats else math.nan, "P waves found" if has_p else "no P waves found"
        ),
        "rr_variation": _number("RR varies by", 100 * relative, " %")
        if not math.isfinite(relative)
        else Quantity(relative, f"RR varies by {relative:.0%} (SD)"),
        "rr_range": _number("RR range", _range(measured), " ms"),
        "early": _early(measured),
        "ectopic": Quantity(shares["ectopic"], f"{measured.n_ectopic} of {measured.n_beats} beats unlike the others"),
        "lost_spikes": Quantity(
            float(beats.n_lost_spikes), f"{beats.n_lost_spikes} pacing spikes without a QRS complex after them"
        ),
        "blocked_p": Quantity(
            float(beats.n_blocked_p), f"{beats.n_blocked_p} P waves without a QRS complex after them"
        ),
        "blocked_share": Quantity(
            beats.n_blocked_p / max(n - 1, 1), f"in {beats.n_blocked_p} of {max(n - 1, 0)} RR intervals"
        ),
        "pause": _number("pauses of", _pause(measured), " times the other RR intervals", 2),
        "paced_share": Quantity(shares["paced"], f"pacing spikes before {n_paced} of {measured.n_beats} beats"),
    }


def _pause(measured: Measurements) -> float:
    """The median pause, relative to the median of the other RR intervals; NaN without a pause."""
    intervals = np.diff(measured.beats.samples).astype(np.float64)
    if len(intervals) == 0:
        return math.nan
    long = pauses(intervals)
    return float(np.median(intervals[long]) / np.median(intervals[~long])) if long.any() else math.nan


def _early(measured: Measurements) -> Quantity:
    """Ectopic beats that come early: less than 0.85 of the median interval after the one before."""
    intervals = np.diff(measured.beats.samples).astype(np.float64)
    if len(intervals) < 3 or not measured.has_p_waves:
        return Quantity(math.nan, f"{measured.n_ectopic} of {measured.n_beats} beats unlike the others")
    early = intervals < 0.85 * np.median(intervals)
    count = sum(bool(each) and kind == "ectopic" for each, kind in zip(early, measured.beats.kinds[1:], strict=True))
    return Quantity(float(count), f"{count} of {measured.n_beats} beats early")


def _range(measured: Measurements) -> float:
    """Longest less shortest RR interval between beats that are not ectopic, ms."""
    normal = np.array([kind != "ectopic" for kind in measured.beats.kinds])
    if measured.median_beat is None or len(normal) < 3 or not math.isfinite(measured.heart_rate_bpm):
        return math.nan
    # The beats' own rate is not known here: the median interval is that of the heart rate.
    intervals = np.diff(measured.beats.samples).astype(np.float64)
    inner = np.diff(measured.beats.samples[1:-1]) if len(normal) >= 5 else intervals
    scale = 60e3 / measured.heart_rate_bpm / max(float(np.median(inner)), 1.0)
    kept = intervals[normal[1:] & normal[:-1]] * scale
    return float(np.ptp(kept)) if len(kept) > 1 else math.nan


@dataclass(frozen=True)
class _Leads:
    """What was measured in each lead."""

    measured: Measurements
    waves: dict[str, QrsWaves]
    left_out: frozenset[str]

    def amplitude(self, name: str, lead: str) -> float:
        return float(getattr(self.measured.amplitudes, name)[LEADS.index(lead)])

    def after(self, lead: str, mark: str, seconds: float) -> NDArray[np.float64]:
        """The median beat from a mark of all leads on, mV against the level at the QRS onset."""
        beat = self.measured.median_beat
        if beat is None:
            return np.empty(0)
        first = getattr(beat.marks, mark)
        if not math.isfinite(first):
            return np.empty(0)
        row = beat.signal[LEADS.index(lead)]
        return row[round(first) : round(first + seconds * beat.sampling_frequency)].astype(np.float64)


def _patterns(lead: _Leads) -> Quantities:
    """Shapes of the QRS complex that conduction criteria ask for."""
    waves = lead.waves
    v1, v2, i, v6, v5, avl = (waves[name] for name in ("V1", "V2", "I", "V6", "V5", "aVL"))
    late = [name for name in ("V1", "V2") if _is_late_r(waves[name])]
    wide_s = [
        (name, waves[name]) for name in ("I", "V6") if waves[name].s_ms > 40 or waves[name].s_ms > waves[name].r_ms > 0
    ]
    lateral = [name for name in ("I", "V5", "V6") if waves[name].r_peak_ms >= 60 or waves[name].notched]
    peak = f"R peak {v6.r_peak_ms:.0f} ms in V6" if math.isfinite(v6.r_peak_ms) else "no R in V6"
    with_q = [name for name in ("I", "V5", "V6") if waves[name].q_mv < 0 and not waves[name].is_qs]
    delta = [name for name in LEADS if _starts_slowly(lead, name)]
    return {
        "rsr_v1": _flag(bool(late), f"late R in {' and '.join(late)}" if late else "no late R in V1 or V2"),
        "s_lateral": _flag(
            len(wide_s) == 2, ", ".join(f"S {wave.s_ms:.0f} ms in {name}" for name, wave in wide_s) or "no broad S"
        ),
        "broad_r_lateral": _flag(
            len(lateral) >= 2 and v1.r_mv < -min(v1.q_mv, v1.s_mv),
            peak + (", R notched" if any(w.notched for w in (i, v5, v6)) else ""),
        ),
        "no_q_lateral": _flag(not with_q, "no q in I, V5, V6", f"q in {', '.join(with_q)}"),
        "qr_avl": _flag(avl.q_mv < 0 < avl.r_mv and avl.s_mv > -avl.r_mv / 4, "qR in aVL", "no qR in aVL"),
        "rpt_aVL": _number("R peak in aVL", avl.r_peak_ms, " ms"),
        "rs_lateral": _flag(_is_rs(i) and _is_rs(avl), "rS in I and aVL", "no rS in I and aVL"),
        "qr_inferior": _flag(
            all(waves[name].q_mv < 0 < waves[name].r_mv for name in ("III", "aVF")),
            "qR in III and aVF",
            "no qR in III and aVF",
        ),
        "delta": _flag(len(delta) >= 3, f"slow start of QRS in {', '.join(delta)}" if delta else "no delta wave"),
        "broad_r_v1": _flag(
            all(w.r_ms >= 40 and w.r_mv > -w.s_mv and w.q_mv == 0 for w in (v1, v2))
            and lead.amplitude("t", "V2") > 0
            and not late,
            f"R {v1.r_ms:.0f} ms in V1, {v2.r_ms:.0f} ms in V2",
        ),
        "coved_v1": _coved(lead),
    }


def _is_late_r(wave: QrsWaves) -> bool:
    """rsr', rsR', rSR', or one dominant R with a late peak (part III)."""
    if wave.r2_mv > 0:
        return wave.r2_ms > wave.r_ms or wave.r2_mv > wave.r_mv
    return wave.r_mv > -min(wave.s_mv, wave.q_mv) and wave.r_peak_ms > 50


def _is_rs(wave: QrsWaves) -> bool:
    return 0 < wave.r_mv < -wave.s_mv


def _starts_slowly(lead: _Leads, name: str) -> bool:
    """Whether the first 40 ms of an upright complex rise, and at less than a third of its later pace."""
    row = lead.after(name, "qrs_onset", 0.1)
    if len(row) < 10 or not np.isfinite(row).all():
        return False
    start = round(0.4 * len(row))
    pace = np.diff(row)
    early = (row[start] - row[0]) / start
    return bool(row.max() > 0.3 and row[start] > 0.05 and 0 < early < pace.max() / 3 and pace[:start].min() > -0.01)


def _coved(lead: _Leads) -> Quantity:
    for name in ("V1", "V2"):
        j, later, t = (lead.amplitude(each, name) for each in ("st_j", "st_60", "t"))
        if j >= 0.2 and later < j and t < -0.05 and name not in lead.left_out:
            return Quantity(1.0, f"coved ST of {j:.2f} mV and negative T in {name}")
    return Quantity(0.0, "no coved ST in V1 or V2")


def _voltages(lead: _Leads) -> Quantities:
    waves, amplitude = lead.waves, lead.amplitude
    r = {name: amplitude("r", name) for name in LEADS}
    s = {name: -min(amplitude("s", name), amplitude("q", name)) for name in LEADS}
    sokolow = s["V1"] + _largest((r["V5"], r["V6"]))
    cornell = s["V3"] + r["aVL"]
    deepest = max(LEADS, key=lambda name: s[name] if math.isfinite(s[name]) else -1.0)
    peguero = s[deepest] + s["V4"]
    spans = {name: r[name] + s[name] for name in LEADS}
    limb, chest = (_largest(spans[name] for name in part) for part in (LEADS[:6], LEADS[6:]))
    known = " and ".join(f"{value:.2f}" for value in (limb, chest) if math.isfinite(value))
    return {
        "sokolow_lyon": _number("S V1 + R V5/V6", sokolow, " mV", 2),
        "cornell": _number("R aVL + S V3", cornell, " mV", 2),
        "cornell_product": _number("(R aVL + S V3) x QRS", cornell * lead.measured.qrs_ms, " mV·ms"),
        "peguero": _number(f"S {deepest} + S V4", peguero, " mV", 2),
        "r_aVL": _number("R aVL", r["aVL"], " mV", 2),
        "r_V1": _number("R V1", r["V1"], " mV", 2),
        "r_V3": _number("R V3", r["V3"], " mV", 2),
        "r_to_s_V1": _number("R/S in V1", r["V1"] / max(s["V1"], 0.01), "", 1),
        "r_v1_s_v5": _number("R V1 + S V5/V6", r["V1"] + max(-waves["V5"].s_mv, -waves["V6"].s_mv), " mV", 2),
        "limb_peak_to_peak": _number("largest QRS of the limb leads", limb, " mV", 2),
        "chest_peak_to_peak": _number("largest QRS of the chest leads", chest, " mV", 2),
        "low_voltage_excess": Quantity(
            min(limb - 0.5, chest - 1.0), f"QRS up to {known} mV" if known else "QRS not measurable"
        ),
    }


def _largest(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return max(known, default=math.nan)


def _p_wave(lead: _Leads) -> Quantities:
    """The P wave in II and V1; its terminal part is what follows its first sign in V1."""
    beat = lead.measured.median_beat
    p_ii = lead.amplitude("p", "II")
    initial = terminal = width = math.nan
    if beat is not None and math.isfinite(beat.marks.p_onset) and math.isfinite(beat.marks.p_offset):
        first, last = round(beat.marks.p_onset), round(beat.marks.p_offset)
        row = beat.signal[LEADS.index("V1"), first : last + 1].astype(np.float64)
        if len(row) > 3 and np.isfinite(row).all():
            row = row - np.linspace(row[0], row[-1], len(row))
            half = len(row) // 2
            initial, terminal = float(row[:half].max()), float(row[half:].min())
            width = 1e3 / beat.sampling_frequency * float((row[half // 2 :] < -0.02).sum())
    return {
        "p_II": _number("P in II", p_ii, " mV", 2),
        "p_initial_V1": _number("initial P in V1", initial, " mV", 2),
        "p_terminal_mv": _number("terminal P in V1", terminal, " mV", 2),
        "p_terminal_ms": _number("terminal P in V1", width, " ms"),
    }


# --- Quantities that count leads --------------------------------------------------------------------------------------


def _st_low(lead: _Leads, name: str) -> float:
    """ST depression that is horizontal or downsloping: the higher of J and J + 60 ms."""
    return max(lead.amplitude("st_j", name), lead.amplitude("st_60", name))


def _t_of_upright(lead: _Leads, name: str) -> float:
    """The T wave of a lead whose QRS complex is mostly upright; NaN of others."""
    wave = lead.waves[name]
    return lead.amplitude("t", name) if wave.r_mv > -min(wave.s_mv, wave.q_mv) else math.nan


def _t_share_of_r(lead: _Leads, name: str) -> float:
    r, t = lead.waves[name].r_mv, lead.amplitude("t", name)
    return t / r if r > 0.3 and t > -0.1 else math.nan


def _q_score(lead: _Leads, name: str) -> float:
    """1 where a Q wave is one of an old infarction (Fourth Universal Definition, table 7)."""
    wave = lead.waves[name]
    if name in ("V1", "V2", "V3"):
        # QS in V1 alone is a normal variant; two leads are asked for anyway.
        return float(wave.is_qs or (wave.q_ms >= 20 and wave.q_mv <= -SMALL_Q))
    return float(wave.q_ms >= 30 and wave.q_mv <= -0.1)


def _j_notch(lead: _Leads, name: str) -> float:
    """The level of the J point where the end of R is notched; NaN without a notch."""
    return lead.amplitude("st_j", name) if lead.waves[name].notched else math.nan


_MEASURED: dict[str, tuple[Callable[[_Leads, str], float], str, int]] = {
    "st_j": (lambda lead, name: lead.amplitude("st_j", name), "ST {} mV in {}", 2),
    "st_low": (_st_low, "ST {} mV in {}", 2),
    "t_of_upright": (_t_of_upright, "T {} mV in {}", 2),
    "t_share_of_r": (_t_share_of_r, "T/R {} in {}", 2),
    "q_score": (_q_score, "", 0),
    "j_notch": (_j_notch, "notched J point of {} mV in {}", 2),
}
_REPOLARISATION = ("st_j", "st_low", "t_of_upright", "t_share_of_r")


@dataclass(frozen=True)
class _LeadLimit:
    leads: tuple[str, ...]
    measured: str
    relation: str
    limit: float
    applies: Callable[[float, str], bool]


@cache
def _lead_limits(quantity: str) -> tuple[_LeadLimit, ...]:
    rows = [row for row in read_table("lead_limits.csv") if row["quantity"] == quantity]
    return tuple(
        _LeadLimit(tuple(row["leads"].split()), row["measured"], row["relation"], float(row["limit"]), applies_to(row))
        for row in rows
    )


def applies_to(row: dict[str, str]) -> Callable[[float, str], bool]:
    """Whether a row of a table holds for an age (years) and a sex: from `age_from` up, below `age_to`."""
    low, high = float(row["age_from"] or -math.inf), float(row["age_to"] or math.inf)
    sexes = row["sex"].split() or ["Male", "Female", "Unknown"]
    return lambda age, sex: low <= age < high and sex in sexes


_RELATIONS: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


def beyond(value: float, relation: str, limit: float) -> bool:
    """Whether a value meets a limit; NaN never does."""
    return _RELATIONS[relation](value, limit)


def _leads_beyond(quantity: str, lead: _Leads, age: float, sex: str) -> Quantity:
    """How many leads that lie beside each other are beyond their limit, and which."""
    found: dict[str, str] = {}
    for limit in _lead_limits(quantity):
        if not limit.applies(age, sex):
            continue
        read, words, digits = _MEASURED[limit.measured]
        for name in limit.leads:
            if limit.measured in _REPOLARISATION and name in lead.left_out:
                continue
            value = read(lead, name)
            if beyond(value, limit.relation, limit.limit):
                wave = lead.waves[name]
                shown = f"{value:z.{digits}f}".replace("-", "\N{MINUS SIGN}")
                q_words = f"QS in {name}" if wave.is_qs else f"Q {wave.q_ms:.0f} ms in {name}"
                found[name] = words.format(shown, name) if words else q_words
    together = [
        name
        for name in LEADS
        if name in found and any(other in found and frozenset((name, other)) in CONTIGUOUS for other in LEADS)
    ]
    words = ", ".join(found[name] for name in together)
    letters, _, what = quantity.partition("_")
    return Quantity(
        float(len(together)), words or f"{letters.upper()} {what} in no two contiguous leads", tuple(together)
    )
