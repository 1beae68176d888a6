"""What a simulated heart is like: its clinical parameters, how they are drawn, and the labels that follow from them.

The limits are those of the AHA/ACCF/HRS recommendations for the standardization and interpretation of the
electrocardiogram, part III (intraventricular conduction, Surawicz et al. 2009, J Am Coll Cardiol 53:976-981), part IV
(ST, T, QT, Rautaharju et al. 2009, 53:982-991), part V (hypertrophy, for R and S voltages, Hancock et al. 2009,
53:992-1002) and part II (diagnostic statements, Mason et al. 2007, 49:1128-1135), and of the fourth universal
definition of myocardial infarction for Q waves (Thygesen et al. 2018, Circulation 138:e618-e651).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ecg.classes import SCORED_CLASSES
from ecg.leads import LEADS
from ecg.simulator.dipole import Beat, leads_of_vectors, qrs_waves, sample_leads

CODES: dict[str, str] = {abbreviation: code for code, (abbreviation, _) in SCORED_CLASSES.items()}
_EQUIVALENT = {"RBBB": "CRBBB", "SVPB": "PAC", "VPB": "PVC"}
# What a recording can be asked to show: the 24 diagnoses that the Challenge tells apart.
DIAGNOSES: tuple[str, ...] = tuple(name for name in CODES if name not in _EQUIVALENT)

_CONTIGUOUS = (("II", "III", "aVF"), ("aVL", "I", "V5", "V6"), ("V2", "V3", "V4", "V5"))


@dataclass(frozen=True)
class Parameters:
    """Clinical parameters of one recording. Times in s, voltages in mV, angles in degrees, rates per minute.

    Attributes
    ----------
    rhythm : str
        "sinus", "fibrillation", "flutter", "junction" or "paced".
    rate : float
        Mean rate of the ventricles without extra beats (in sinus rhythm that of the sinus node), per minute.
    rr_range : float
        Longest less shortest sinus RR interval, s; in fibrillation the standard deviation of RR.
    pr : float or None
        PR interval; None without P waves.
    qrs_shape, qrs, axis, voltage, depth
        Arguments of `ecg.simulator.dipole.qrs_waves`.
    qtc : float
        QT interval, by Fridericia corrected for rate, without what QRS has beyond 0.1 s.
    t_axis, t_amplitude, t_back : float
        The primary T wave: frontal axis, size in the frontal plane, and backwards.
    pac, pvc : int
        Premature beats in the recording.
    pvc_shape, pvc_axis, pvc_qrs, pvc_voltage
        The QRS complex of premature ventricular beats ("RV", "LV": where they start).
    atrial_rate, atrial_amplitude : float
        Of fibrillation and flutter waves, per minute and mV.
    block : int
        Flutter waves per ventricular beat; 0 for 2 to 4 in irregular turns.
    spike : float
        Voltage of a pacing spike.
    atrial_spike : bool
        The atria are paced as well.
    variation : tuple of 5 floats
        Factors on the components of the QRS complex.
    beats : tuple of Beat
        What was laid down between the first and the last sample; empty before.
    """

    age: int
    sex: str
    rhythm: str = "sinus"
    rate: float = 75.0
    rr_range: float = 0.04
    respiration: float = 0.25
    pr: float | None = 0.16
    p_amplitude: float = 0.12
    qrs_shape: str = "normal"
    qrs: float = 0.09
    axis: float = 45.0
    voltage: float = 1.2
    depth: float = 1.0
    qtc: float = 0.41
    t_axis: float = 45.0
    t_amplitude: float = 0.3
    t_back: float = -0.2
    pac: int = 0
    pvc: int = 0
    pvc_shape: str = "RV"
    pvc_axis: float = 60.0
    pvc_qrs: float = 0.15
    pvc_voltage: float = 1.8
    atrial_rate: float = 300.0
    atrial_amplitude: float = 0.15
    block: int = 2
    spike: float = 1.0
    atrial_spike: bool = False
    variation: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    beats: tuple[Beat, ...] = field(default=(), repr=False)

    @property
    def qt(self) -> float:
        """QT interval at the mean rate, s (Fridericia 1920: QT = QTc * RR ** (1 / 3))."""
        return self.qtc * (60 / self.rate) ** (1 / 3) + max(0.0, self.qrs - 0.1)

    @property
    def t_vector(self) -> np.ndarray:
        """The primary T wave as a clinical vector (lateral, inferior, back), mV."""
        angle = np.radians(self.t_axis)
        return np.array([self.t_amplitude * np.cos(angle), self.t_amplitude * np.sin(angle), self.t_back])


def labels_of(parameters: Parameters) -> tuple[str, ...]:
    """The scored diagnoses that hold for these parameters, as SNOMED CT codes in the order of `SCORED_CLASSES`.

    Sinus rhythm is one of 60 to 100 per minute whose RR intervals differ by no more than 0.12 s; beyond these limits
    it is bradycardia, tachycardia or sinus arrhythmia instead. A slow rhythm of another origin is "bradycardia". A PR
    interval over 0.2 s carries both of its codes. Paced complexes are not read any further (part II of the
    recommendations), and T waves only where QRS is under 0.12 s, because beyond they follow from QRS (part IV).
    """
    p = parameters
    found: set[str] = set()
    if p.rhythm == "paced":
        return (CODES["PR"],)
    if p.rhythm == "sinus":
        found |= {"SB"} if p.rate < 60 else {"STach"} if p.rate > 100 else set()
        found |= {"SA"} if p.rr_range > 0.12 else set()
        found |= {"NSR"} if not found else set()
    else:
        found |= {"fibrillation": {"AF"}, "flutter": {"AFL"}}.get(p.rhythm, set())
        found |= {"Brady"} if p.rate < 60 else set()
    if p.pr is not None and p.pr > 0.2:
        found |= {"IAVB", "LPR"}
    found |= {"PAC"} if p.pac else set()
    found |= {"PVC"} if p.pvc else set()
    found |= _conduction_of(p)
    if -90 <= p.axis < -30:
        found.add("LAD")
    elif 90 < p.axis <= 180:
        found.add("RAD")
    if p.qtc >= (0.46 if p.sex == "Female" else 0.45):
        found.add("LQT")

    qrs = sample_leads(qrs_waves(p.qrs_shape, p.qrs, p.axis, p.voltage, p.depth, np.array(p.variation)), p.qrs)
    spans = np.ptp(qrs, axis=1)
    if spans[:6].max() < 0.5 or spans[6:].max() < 1.0:
        found.add("LQRSV")
    if p.qrs_shape != "LBBB" and _in_neighbours(_pathological_q(qrs)):
        found.add("QAb")
    if p.qrs < 0.12:
        found |= _t_wave_of(leads_of_vectors(p.t_vector[None])[:, 0], qrs.max(axis=1))
    return tuple(code for code, (name, _) in SCORED_CLASSES.items() if name in found)


def _conduction_of(p: Parameters) -> set[str]:
    """Part III: what shape and duration of QRS are called."""
    found = set()
    if "LAFB" in p.qrs_shape and -90 <= p.axis <= -45:
        found.add("LAnFB")
    if p.qrs_shape == "LBBB" and p.qrs >= 0.12:
        found.add("LBBB")
    elif p.qrs_shape.startswith("RBBB"):
        found |= {"CRBBB"} if p.qrs >= 0.12 else {"IRBBB"} if p.qrs >= 0.11 else set()
    elif p.qrs > 0.11 and p.qrs_shape != "LAFB":
        found.add("NSIVCB")
    return found


def _pathological_q(qrs: np.ndarray) -> dict[str, bool]:
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


def _t_wave_of(t: np.ndarray, r: np.ndarray) -> set[str]:
    """Part IV: T inverted (-0.1 mV or lower), or low or flat (below a tenth of an R wave of at least 0.3 mV).

    `t` and `r` are shape (12,), mV: the T wave at its peak and the highest R wave per lead. Leads III, aVR and V1
    say nothing, there T may be inverted in health.
    """
    silent = {"III", "aVR", "V1"}
    inverted = {lead: lead not in silent and t[k] <= -0.1 for k, lead in enumerate(LEADS)}
    low = {
        lead: lead not in silent and lead not in ("V2", "V3") and r[k] >= 0.3 and -0.1 < t[k] < 0.1 * r[k]
        for k, lead in enumerate(LEADS)
    }
    if _in_neighbours(inverted):
        return {"TInv"}
    return {"TAb"} if _in_neighbours(low) else set()


def _in_neighbours(found: dict[str, bool]) -> bool:
    """True in two contiguous leads."""
    return any(found[a] and found[b] for leads in _CONTIGUOUS for a, b in pairwise(leads))


# Drawing: a healthy heart, then one function per diagnosis that changes what the diagnosis is about.


def _healthy(rng: np.random.Generator) -> Parameters:
    sex = str(rng.choice(["Female", "Male"]))
    voltage = rng.uniform(0.7, 1.5)
    t_amplitude = voltage * rng.uniform(0.17, 0.3)
    return Parameters(
        age=int(rng.integers(18, 93)),
        sex=sex,
        rate=rng.uniform(61, 95),
        rr_range=rng.uniform(0.01, 0.08),
        respiration=rng.uniform(0.16, 0.32),
        pr=rng.uniform(0.13, 0.19),
        p_amplitude=rng.uniform(0.08, 0.17),
        qrs=rng.uniform(0.078, 0.102),
        axis=float(np.clip(rng.normal(42, 22), -15, 85)),
        voltage=voltage,
        depth=rng.uniform(0.7, 1.4),
        qtc=rng.uniform(0.37, 0.43) + (0.01 if sex == "Female" else 0.0),
        t_axis=rng.uniform(30, 65),
        t_amplitude=t_amplitude,
        t_back=-t_amplitude * rng.uniform(0.5, 1.15),
        variation=tuple(rng.uniform(0.8, 1.2, 5)),
    )


Draw = Callable[[np.random.Generator, Parameters, float], dict[str, Any]]


def _ectopic_count(rng: np.random.Generator, seconds: float) -> int:
    return int(rng.integers(1, max(2, round(0.3 * seconds) + 1)))


def _atrial_fibrillation(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    rate = float(np.clip(rng.normal(92, 24), 45, 160))
    return {
        "rhythm": "fibrillation",
        "rate": rate,
        "rr_range": 60 / rate * rng.uniform(0.15, 0.28),
        "pr": None,
        "atrial_rate": 60 * rng.uniform(4.5, 8.5),
        "atrial_amplitude": rng.uniform(0.07, 0.24),
    }


def _atrial_flutter(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    atrial_rate, block = rng.uniform(250, 350), int(rng.choice([2, 3, 4, 0], p=[0.35, 0.1, 0.3, 0.25]))
    return {
        "rhythm": "flutter",
        "rate": atrial_rate / (block or 3),
        "pr": None,
        "atrial_rate": atrial_rate,
        "atrial_amplitude": rng.uniform(0.18, 0.4),
        "block": block,
    }


def _bradycardia(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    if rng.random() < 0.4:
        rate = rng.uniform(36, 58)
        return _atrial_fibrillation(rng, p, seconds) | {"rate": rate, "rr_range": 60 / rate * rng.uniform(0.12, 0.2)}
    return {"rhythm": "junction", "rate": rng.uniform(38, 58), "rr_range": rng.uniform(0.005, 0.03), "pr": None}


def _pacing(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    atrial = rng.random() < 0.35  # both chambers; otherwise the ventricle alone, after a P wave or without one
    tracked = rng.random() < 0.5
    return _left_bundle(rng, p, seconds) | {
        "rhythm": "paced",
        "rate": rng.uniform(60, 90),
        "rr_range": rng.uniform(0.01, 0.04) if tracked and not atrial else 0.0,
        "pr": rng.uniform(0.13, 0.2) if atrial or tracked else None,
        "spike": rng.uniform(0.4, 3.0),
        "atrial_spike": bool(atrial),
        "qrs": rng.uniform(0.14, 0.18),
        "axis": rng.uniform(-85, -50),
    }


def _sinus_arrhythmia(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    rate = rng.uniform(50, 90)
    return {"rate": rate, "rr_range": rng.uniform(0.2, 0.45) * 60 / rate + 0.02, "age": int(rng.integers(16, 70))}


def _long_pr(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    return {"pr": rng.uniform(0.21, max(0.23, min(0.36, 0.5 * 60 / p.rate)))}


def _premature_ventricular(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    shape = str(rng.choice(["RV", "LV"]))
    axes = [rng.uniform(-80, -40), rng.uniform(70, 110)] if shape == "RV" else [rng.uniform(-120, -70), 120.0]
    return {
        "pvc": _ectopic_count(rng, seconds),
        "pvc_shape": shape,
        "pvc_axis": float(rng.choice(axes)),
        "pvc_qrs": rng.uniform(0.13, 0.17),
        "pvc_voltage": max(p.voltage, 0.8) * rng.uniform(1.1, 1.7),
    }


def _right_bundle(low: float, high: float) -> Draw:
    def draw(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
        return {"qrs_shape": "RBBB+LAFB" if p.qrs_shape == "LAFB" else "RBBB", "qrs": rng.uniform(low, high)}

    return draw


def _left_bundle(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    voltage = rng.uniform(0.65, 1.3)
    return {
        "qrs_shape": "LBBB",
        "qrs": rng.uniform(0.125, 0.165),
        "axis": rng.uniform(-60, 50),
        "voltage": voltage,
        "t_amplitude": voltage * rng.uniform(0.08, 0.16),  # nearly all of T is secondary
        "t_back": -voltage * rng.uniform(0.05, 0.15),
    }


def _left_anterior_fascicle(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    right = p.qrs_shape == "RBBB"
    shape, qrs = ("RBBB+LAFB", p.qrs) if right else ("LAFB", rng.uniform(0.09, 0.109))
    return {"qrs_shape": shape, "qrs": qrs, "axis": rng.uniform(-75, -46)}


def _q_waves(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    shape = str(rng.choice(["inferior Q", "anterior Q"]))
    axis = rng.uniform(-10, 25) if shape == "inferior Q" else p.axis
    return {"qrs_shape": shape, "qrs": rng.uniform(0.094, 0.109), "axis": axis}


def _flat_t(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    return {"t_amplitude": rng.uniform(-0.03, 0.05) * p.voltage, "t_back": rng.uniform(-0.06, 0.03)}


def _inverted_t(rng: np.random.Generator, p: Parameters, seconds: float) -> dict[str, Any]:
    place = rng.choice(["anterior", "lateral", "inferior"])
    if place == "anterior":
        return {"t_amplitude": rng.uniform(0.05, 0.15), "t_back": rng.uniform(0.18, 0.4)}
    axis = rng.uniform(160, 200) if place == "lateral" else rng.uniform(-85, -50)
    return {"t_axis": axis, "t_amplitude": rng.uniform(0.18, 0.4), "t_back": rng.uniform(-0.1, 0.12)}


_DRAWS: dict[str, Draw] = {
    "NSR": lambda rng, p, s: {},
    "SB": lambda rng, p, s: {"rate": rng.uniform(40, 59)},
    "STach": lambda rng, p, s: {
        "rate": rng.uniform(102, 150), "rr_range": rng.uniform(0.003, 0.03), "pr": rng.uniform(0.12, 0.16)
    },
    "SA": _sinus_arrhythmia,
    "Brady": _bradycardia,
    "AF": _atrial_fibrillation,
    "AFL": _atrial_flutter,
    "PR": _pacing,
    "IAVB": _long_pr,
    "LPR": _long_pr,
    "PAC": lambda rng, p, s: {"pac": _ectopic_count(rng, s)},
    "PVC": _premature_ventricular,
    "LBBB": _left_bundle,
    "CRBBB": _right_bundle(0.122, 0.16),
    "IRBBB": _right_bundle(0.111, 0.118),
    "LAnFB": _left_anterior_fascicle,
    "NSIVCB": lambda rng, p, s: {"qrs_shape": "nonspecific", "qrs": rng.uniform(0.113, 0.14)},
    "LAD": lambda rng, p, s: {"axis": rng.uniform(-44, -32)},
    "RAD": lambda rng, p, s: {
        "axis": rng.uniform(92, 130), "qrs_shape": "vertical" if p.qrs_shape == "normal" else p.qrs_shape
    },
    "LQRSV": lambda rng, p, s: {"voltage": (v := rng.uniform(0.22, 0.45)), "t_amplitude": v * 0.3, "t_back": -v * 0.2},
    "LQT": lambda rng, p, s: {"qtc": rng.uniform(0.47, 0.56)},
    "TAb": _flat_t,
    "TInv": _inverted_t,
    "QAb": _q_waves,
}  # fmt: skip

# What a diagnosis decides; two that decide the same thing exclude each other.
_DECIDES: dict[str, str] = {
    "NSR": "rhythm", "SB": "rhythm", "STach": "rhythm qt", "SA": "rhythm", "Brady": "rhythm pr pac",
    "AF": "rhythm pr pac", "AFL": "rhythm pr pac pvc qt", "PR": "rhythm pr pac pvc qrs left axis t q voltage qt",
    "IAVB": "pr", "LPR": "pr", "PAC": "pac", "PVC": "pvc",
    "LBBB": "qrs left axis t q voltage", "CRBBB": "qrs t", "IRBBB": "qrs", "NSIVCB": "qrs left t",
    "LAnFB": "left axis", "LAD": "axis", "RAD": "axis", "QAb": "q qrs left axis",
    "LQRSV": "voltage", "LQT": "qt", "TAb": "t", "TInv": "t",
}  # fmt: skip


def diagnosis_of(name: str) -> str:
    """The abbreviation out of `DIAGNOSES` for an abbreviation in any spelling or a SNOMED CT code; else ValueError."""
    by_name = {abbreviation.lower(): abbreviation for abbreviation in CODES}
    by_name |= {code: abbreviation for abbreviation, code in CODES.items()}
    found = by_name.get(name.strip().lower())
    if found is None:
        raise ValueError(f"diagnosis: expected one of {', '.join(DIAGNOSES)} or its SNOMED CT code, found {name!r}")
    return _EQUIVALENT.get(found, found)


def draw_parameters(
    rng: np.random.Generator, diagnosis: str, seconds: float = 10.0, comorbidity: bool = True
) -> Parameters:
    """Draw a heart that shows a diagnosis, and often others that can occur with it.

    Parameters
    ----------
    rng : numpy.random.Generator
    diagnosis : str
        Abbreviation or SNOMED CT code.
    seconds : float
        Length of the recording, s: how many premature beats fit.
    comorbidity : bool
        Whether to add up to two other diagnoses.

    Returns
    -------
    Parameters
        Whose labels contain the diagnosis.
    """
    name = diagnosis_of(diagnosis)
    for _ in range(100):
        asked = [name]
        taken = set(_DECIDES[name].split())
        for other in rng.permutation(DIAGNOSES)[: rng.choice([0, 2, 4], p=[0.45, 0.35, 0.2]) if comorbidity else 0]:
            if taken.isdisjoint(decided := _DECIDES[str(other)].split()):
                asked.append(str(other))
                taken.update(decided)
        # Rhythm first: how long PR can be depends on the rate.
        asked.sort(key=lambda diagnosis: "rhythm" not in _DECIDES[diagnosis])
        parameters = _healthy(rng)
        for each in asked:
            parameters = replace(parameters, **_DRAWS[each](rng, parameters, seconds))
        if CODES[name] in labels_of(parameters):
            return parameters
    raise RuntimeError(f"{name}: no parameters with this label in 100 draws")
