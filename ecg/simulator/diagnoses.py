"""What a simulated heart is like: its clinical parameters, and the labels that follow from them.

The limits are from the AHA/ACCF/HRS recommendations for the standardization and interpretation of the
electrocardiogram: part II (diagnostic statements, Mason et al. 2007, J Am Coll Cardiol 49:1128-1135), part III
(intraventricular conduction, Surawicz et al. 2009, 53:976-981), part IV (ST, T, QT, Rautaharju et al. 2009, 53:982-991)
and part V (hypertrophy, for R and S voltages, Hancock et al. 2009, 53:992-1002). Those for Q waves are from the fourth
universal definition of myocardial infarction (Thygesen et al. 2018, Circulation 138:e618-e651).
"""

import csv
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ecg.arrays import Array
from ecg.labels.classes import SCORED_CLASSES
from ecg.leads import LEADS
from ecg.simulator.dipole import Beat, Wave, leads_of_sources, local_activity, qrs_waves, sample_leads, t_wave

CODES: dict[str, str] = {abbreviation: code for code, (abbreviation, _) in SCORED_CLASSES.items()}
_EQUIVALENT = {"RBBB": "CRBBB", "SVPB": "PAC", "VPB": "PVC"}
# What a recording can be asked to show: the 24 diagnoses that the Challenge tells apart.
DIAGNOSES: tuple[str, ...] = tuple(name for name in CODES if name not in _EQUIVALENT)


class Statement(NamedTuple):
    """What a finding beside the scored diagnoses is called."""

    words: str
    snomed: tuple[str, ...]
    ptb_xl: tuple[str, ...] = ()
    aha: tuple[int, ...] = ()  # Mason et al. 2007


# SNOMED CT codes are those of the Challenge's list of 2021, PTB-XL's codes those of its statements. Neither has a code
# of its own for ST elevation of one territory.
STATEMENTS: dict[str, Statement] = {
    name: Statement(words, tuple(snomed.split()), tuple(ptb_xl.split()), tuple(map(int, aha.split())))
    for name, words, snomed, ptb_xl, aha in list(
        csv.reader(Path(__file__).with_name("statements.csv").read_text().splitlines())
    )[1:]
}

_CONTIGUOUS = (("II", "III", "aVF"), ("aVL", "I", "V5", "V6"), ("V2", "V3", "V4", "V5"))


@dataclass(frozen=True)
class Ventricular:
    """The QRS complex of premature ventricular beats from one place: arguments of `ecg.simulator.dipole.qrs_waves`."""

    shape: str = "RV"  # or "LV": where they start
    axis: float = 60.0
    qrs: float = 0.15
    voltage: float = 1.8


@dataclass(frozen=True)
class Parameters:
    """Clinical parameters of one recording. Times in s, voltages in mV, angles in degrees, rates per minute."""

    age: int
    sex: str
    # "sinus", "fibrillation", "flutter", "junction", "paced", "svt" (of the AV node), "vt" or "escape" (of the
    # ventricles, in third-degree block).
    rhythm: str = "sinus"
    # Mean rate of the ventricles without extra beats (in sinus rhythm that of the sinus node), per minute.
    rate: float = 75.0
    rr_range: float = 0.04  # longest less shortest sinus RR interval, s; in fibrillation the standard deviation of RR
    respiration: float = 0.25
    pr: float | None = 0.16  # PR interval; None without P waves before the QRS complexes
    # What a PR interval over 0.2 s is called: "IAVB", "LPR" or both; hospitals differ.
    pr_codes: tuple[str, ...] = ("IAVB", "LPR")
    # From the onset of QRS to that of a P wave that the atria make backwards (junctional rhythm); None without one.
    retrograde: float | None = None
    p_amplitude: float = 0.12
    # `qrs_shape`, `qrs`, `axis`, `voltage`, `depth`: arguments of `ecg.simulator.dipole.qrs_waves`.
    qrs_shape: str = "normal"
    qrs: float = 0.09
    axis: float = 45.0
    voltage: float = 1.2
    depth: float = 1.0
    qtc: float = 0.41  # QT interval, by Fridericia corrected for rate, without what QRS has beyond 0.1 s
    # `t_axis`, `t_amplitude`, `t_back`: the primary T wave: frontal axis, size in the frontal plane, and backwards.
    t_axis: float = 45.0
    t_amplitude: float = 0.3
    t_back: float = -0.2
    t_is_tented: bool = False  # narrow and alike on both sides, as in hyperkalaemia
    u_wave: tuple[float, ...] = (0.0, 0.0, 0.0)  # as a clinical vector, mV
    tab_beside_tinv: bool = False  # whether inverted T waves are called abnormal as well; hospitals differ
    # Deviation of the ST segment as a clinical vector, where QRS is at most 0.11 s.
    st: tuple[float, ...] = (0.0, 0.0, 0.0)
    pac: int = 0  # `pac`, `pvc`: premature beats in the recording, blocked atrial ones among them
    pvc: int = 0
    pattern: str = "single"  # how premature beats come: "single", "bigeminy", "couplets" or "runs" (of three)
    # `pac_aberrant`, `pac_blocked`: shares of the atrial ones that are conducted with right bundle branch block, or not
    # at all.
    pac_aberrant: float = 0.0
    pac_blocked: float = 0.0
    # The QRS complexes of premature ventricular beats, used in random turns.
    pvc_forms: tuple[Ventricular, ...] = (Ventricular(),)
    # `atrial_rate`, `atrial_amplitude`: of fibrillation and flutter waves, per minute and mV; `atrial_rate` also of P
    # waves that are not all conducted.
    atrial_rate: float = 300.0
    atrial_amplitude: float = 0.15
    block: int = 2  # flutter waves per ventricular beat; 0 for 2 to 4 in irregular turns
    # Of P waves: "1:1", "MobitzI", "MobitzII", "AVB2to1", or "none" (third-degree block, ventricular tachycardia).
    conduction: str = "1:1"
    injury: tuple[float, ...] = (0.0, 0.0, 0.0)  # deviation of ST from the J point on, as a clinical vector, mV
    pr_segment: tuple[float, ...] = (0.0, 0.0, 0.0)  # deviation of the PR segment, as a clinical vector, mV
    statement: str = ""  # which of `STATEMENTS` the heart was drawn for; empty for none
    spike: float = 1.0  # voltage of a pacing spike
    atrial_spike: bool = False  # the atria are paced as well
    captured: int = 0  # how many spikes excite the ventricles before one that doesn't; 0 where all do
    variation: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)  # factors on the components of the QRS complex
    # Voltages beside the dipole, as `ecg.simulator.dipole.local_activity` takes them: up to six components of the QRS
    # complex, the T wave, and two parts of the P wave. Empty for a dipole alone.
    local: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    # What was laid down between the first and the last sample; empty before.
    beats: tuple[Beat, ...] = field(default=(), repr=False)
    # Onsets of the P waves of blocked atrial premature beats, s; empty before.
    blocked_p: tuple[float, ...] = field(default=(), repr=False)
    # Onsets of the sinus P waves that are not conducted, s; empty before.
    dropped_p: tuple[float, ...] = field(default=(), repr=False)
    # When the ventricles would begin if these spikes excited them, s; empty before.
    lost_spikes: tuple[float, ...] = field(default=(), repr=False)

    @property
    def qt(self) -> float:
        """QT interval at the mean rate, s (Fridericia 1920: QT = QTc * RR ** (1 / 3))."""
        return self.qtc * (60 / self.rate) ** (1 / 3) + max(0.0, self.qrs - 0.1)

    @property
    def local_rows(self) -> Array:
        """`local` as an array, shape (9, 9); zeros for a dipole alone."""
        return np.array(self.local) if self.local else np.zeros((9, 9))

    def qrs_waves(self) -> list[Wave]:
        """The QRS complex of the beats that are not premature."""
        variation = np.array(self.variation)
        return qrs_waves(self.qrs_shape, self.qrs, self.axis, self.voltage, self.depth, variation, self.local_rows[:6])

    def t_wave(self, qt: float) -> Wave:
        """The primary T wave of a beat with this QT interval."""
        angle = np.radians(self.t_axis)
        vector = np.array([self.t_amplitude * np.cos(angle), self.t_amplitude * np.sin(angle), self.t_back])
        return local_activity([t_wave(qt, vector, self.t_is_tented)], self.local_rows[6:7])[0]


def diagnosis_of(name: str) -> str:
    """Which of `DIAGNOSES` or `STATEMENTS` an abbreviation or a SNOMED CT code names; else ValueError."""
    by_name = {abbreviation.lower(): abbreviation for abbreviation in CODES}
    by_name |= {name.lower(): name for name in STATEMENTS}
    by_name |= {code: abbreviation for abbreviation, code in CODES.items()}
    found = by_name.get(name.strip().lower())
    if found is None:
        names = ", ".join((*DIAGNOSES, *STATEMENTS))
        raise ValueError(f"diagnosis: expected one of {names} or its SNOMED CT code, found {name!r}")
    return _EQUIVALENT.get(found, found)


def labels_of(parameters: Parameters) -> tuple[str, ...]:
    """The scored diagnoses that hold for these parameters, as SNOMED CT codes in the order of `SCORED_CLASSES`.

    Codes of the statement that the heart was drawn for come after them.

    Sinus rhythm is one of 60 to 100 per minute whose RR intervals differ by no more than 0.12 s; beyond these limits
    it is bradycardia, tachycardia or sinus arrhythmia instead. A slow rhythm of another origin is "bradycardia". A PR
    interval over 0.2 s has two codes, of which `pr_codes` are given. Paced complexes are not read any further (part II
    of the recommendations), and T waves only where QRS is under 0.12 s, because beyond they follow from QRS (part IV).
    """
    p = parameters
    more = STATEMENTS[p.statement].snomed if p.statement else ()
    found: set[str] = set()
    if p.rhythm == "paced":
        return (CODES["PR"],)
    if p.rhythm in ("vt", "escape") and p.qrs >= 0.12:  # the ventricles' own
        return (CODES["Brady"], *more) if p.rate < 60 else more
    if p.rhythm == "sinus":
        rate = p.rate if p.conduction == "1:1" else p.atrial_rate
        found |= {"SB"} if rate < 60 else {"STach"} if rate > 100 else set()
        found |= {"SA"} if p.rr_range > 0.12 else set()
        found |= {"NSR"} if not found else set()
    else:
        found |= {"fibrillation": {"AF"}, "flutter": {"AFL"}}.get(p.rhythm, set())
        found |= {"Brady"} if p.rate < 60 else set()
    if p.pr is not None and p.pr > 0.2:
        found |= set(p.pr_codes)
    found |= {"PAC"} if p.pac else set()
    found |= {"PVC"} if p.pvc else set()
    qrs = sample_leads(p.qrs_waves(), p.qrs)
    found |= _conduction_of(p, qrs)
    if -90 <= p.axis < -30:
        found.add("LAD")
    elif 90 < p.axis <= 180:
        found.add("RAD")
    if p.qtc >= (0.46 if p.sex == "Female" else 0.45):
        found.add("LQT")

    spans = np.ptp(qrs, axis=1)
    if spans[:6].max() < 0.5 or spans[6:].max() < 1.0:
        found.add("LQRSV")
    if p.qrs_shape != "LBBB" and _in_neighbours(_pathological_q(qrs)):
        found.add("QAb")
    if p.qrs < 0.12:
        found |= _t_wave_of(leads_of_sources(p.t_wave(p.qt).source[:, None])[:, 0], qrs.max(axis=1))
        found |= {"TAb"} if "TInv" in found and p.tab_beside_tinv else set()
    return (*(code for code, (name, _) in SCORED_CLASSES.items() if name in found), *more)


def _conduction_of(p: Parameters, qrs: Array) -> set[str]:
    """Part III: what shape and duration of QRS are called; `qrs` is shape (12, n), mV, one sample per ms."""
    found = set()
    if "LAFB" in p.qrs_shape and -90 <= p.axis <= -45:
        found.add("LAnFB")
    if p.qrs_shape == "LBBB" and p.qrs >= 0.12 and _is_late_on_the_left(qrs):
        found.add("LBBB")
    elif p.qrs_shape.startswith("RBBB"):
        found |= {"CRBBB"} if p.qrs >= 0.12 else {"IRBBB"} if p.qrs >= 0.11 else set()
    elif p.qrs > 0.11 and p.qrs_shape not in ("LAFB", "WPW"):
        found.add("NSIVCB")
    return found


def _is_late_on_the_left(qrs: Array) -> bool:
    """R peaks later than 60 ms in V6, and I and V6 have hardly a wave below the line."""
    i, v6 = qrs[LEADS.index("I")], qrs[LEADS.index("V6")]
    return bool(v6.argmax() > 60 and all(-lead.min() < 0.1 * lead.max() for lead in (i, v6)))


def _pathological_q(qrs: Array) -> dict[str, bool]:
    """Per lead: a first deflection below the line, at least 0.1 mV deep, 40 ms long and a quarter of R.

    `qrs` is shape (12, n), mV, one sample per ms.
    """
    found = {}
    for lead, voltages in zip(LEADS, qrs, strict=True):
        off_the_line = np.flatnonzero(np.abs(voltages) > 0.03)
        start = off_the_line[0] if len(off_the_line) else 0
        above = np.flatnonzero(voltages[start:] > 0)
        length = above[0] if len(above) else len(voltages) - start
        depth = -voltages[start : start + max(length, 1)].min()
        found[lead] = bool(length >= 40 and depth >= 0.1 and depth >= 0.25 * max(voltages.max(), 0.0))
    return found


def _t_wave_of(t: Array, r: Array) -> set[str]:
    """Part IV: T inverted (-0.1 mV or lower), or low or flat (below a tenth of an R wave of at least 0.3 mV).

    `t` and `r` are shape (12,), mV: the T wave at its peak and the highest R wave per lead. Leads III, aVR and V1
    say nothing, there T may be inverted in health.
    """
    silent = {"III", "aVR", "V1"}
    inverted = {lead: lead not in silent and t[k] <= -0.1 for k, lead in enumerate(LEADS)}
    silent |= {"V2", "V3"}
    low = {lead: lead not in silent and r[k] >= 0.3 and -0.1 < t[k] < 0.1 * r[k] for k, lead in enumerate(LEADS)}
    if _in_neighbours(inverted):
        return {"TInv"}
    return {"TAb"} if _in_neighbours(low) else set()


def _in_neighbours(found: dict[str, bool]) -> bool:
    """True in two contiguous leads."""
    return any(found[a] and found[b] for leads in _CONTIGUOUS for a, b in pairwise(leads))
