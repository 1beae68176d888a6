"""How the parameters of a simulated heart are drawn: a healthy one, then one function per diagnosis that changes it.

How often codes stand beside each other follows the Challenge's recordings (PTB-XL and others): a long PR interval has
both of its codes in a third of those with either, and a third of inverted T waves are also called abnormal.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ecg.arrays import Rng
from ecg.simulator.diagnoses import CODES, DIAGNOSES, Parameters, Ventricular, diagnosis_of, labels_of
from ecg.simulator.dipole import leads_of_vectors

# What is local, relative to the dipole: median and spread of its size (lognormal), set so that the energy of real
# recordings beyond rank 3 is met, and how much of it each electrode sees.
_LOCAL_SIZE, _LOCAL_SPREAD = 0.23, 0.2
_ELECTRODES = np.array([0.7, 0.7, 0.7, 1, 1, 1, 1, 1, 1])  # RA, LA, LL are far away


def _local_activity(rng: Rng) -> tuple[tuple[float, ...], ...]:
    """Nine rows of relative voltages at the electrodes; neighbours on the chest see much the same."""
    rows = rng.uniform(-1.7, 1.7, (9, 9))
    rows[:, 4:] = 0.5 * rows[:, 3:-1] + np.sqrt(0.75) * rows[:, 4:]
    size = _LOCAL_SIZE * np.exp(_LOCAL_SPREAD * rng.normal())
    return tuple(tuple(row) for row in (size * _ELECTRODES * rows).tolist())


def _st_deviation(rng: Rng) -> tuple[float, ...]:
    """A vector that no lead sees with more than 0.05 mV, which is still normal (part IV)."""
    direction = rng.normal(0, 1, 3)
    largest = np.abs(leads_of_vectors(direction[None])).max()
    return tuple((direction * rng.uniform(0, 0.05) / largest).tolist())


def between(rng: Rng, **values: Any) -> dict[str, Any]:
    """Values of parameters in this order, drawn where a pair of limits is given."""
    return {name: rng.uniform(*value) if isinstance(value, tuple) else value for name, value in values.items()}


def healthy(rng: Rng) -> Parameters:
    """A heart in sinus rhythm without any finding."""
    sex = str(rng.choice(["Female", "Male"]))
    voltage = rng.uniform(0.7, 1.5)
    t_amplitude = voltage * rng.uniform(0.17, 0.3)
    age = int(rng.integers(18, 93))
    limits: dict[str, Any] = {"rate": (61, 95), "rr_range": (0.01, 0.08), "respiration": (0.16, 0.32)}
    drawn = between(rng, **limits, pr=(0.13, 0.19), p_amplitude=(0.08, 0.17), qrs=(0.078, 0.102))
    drawn["axis"] = float(np.clip(rng.normal(42, 22), -15, 85))
    drawn |= between(rng, depth=(0.7, 1.4), qtc=(0.37, 0.43), t_axis=(30, 65))
    drawn["qtc"] += 0.01 if sex == "Female" else 0.0
    drawn |= {"voltage": voltage, "t_amplitude": t_amplitude, "t_back": -t_amplitude * rng.uniform(0.5, 1.15)}
    drawn |= {"st": _st_deviation(rng), "variation": tuple(rng.uniform(0.8, 1.2, 5)), "local": _local_activity(rng)}
    return Parameters(age, sex, **drawn)


Draw = Callable[[Rng, Parameters, float], dict[str, Any]]


def _atrial_fibrillation(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    rate = float(np.clip(rng.normal(92, 24), 45, 160))
    rr_range, atrial_rate = 60 / rate * rng.uniform(0.15, 0.28), 60 * rng.uniform(4.5, 8.5)
    drawn = {"rhythm": "fibrillation", "rate": rate, "rr_range": rr_range, "pr": None, "atrial_rate": atrial_rate}
    return drawn | between(rng, atrial_amplitude=(0.07, 0.24))


def _atrial_flutter(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    atrial_rate, block = rng.uniform(250, 350), int(rng.choice([2, 3, 4, 0], p=[0.35, 0.1, 0.3, 0.25]))
    drawn = {"rhythm": "flutter", "rate": atrial_rate / (block or 3), "pr": None, "atrial_rate": atrial_rate}
    return drawn | between(rng, atrial_amplitude=(0.18, 0.4), block=block)


def _bradycardia(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    if rng.random() < 0.4:
        rate = rng.uniform(36, 58)
        return _atrial_fibrillation(rng, p, seconds) | {"rate": rate, "rr_range": 60 / rate * rng.uniform(0.12, 0.2)}
    drawn = between(rng, rhythm="junction", rate=(38, 58), rr_range=(0.005, 0.03), pr=None)
    return drawn | {"retrograde": rng.uniform(0.11, 0.16) if rng.random() < 0.4 else None}  # otherwise hidden in QRS


def _tachycardia(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    # The faster, the shorter QT even when corrected and PR, so that P stays clear of the T wave before it.
    rate = rng.triangular(102, 106, 176)
    rr_range, qtc = rng.uniform(0.003, 0.03) * min(1.0, 120 / rate), min(p.qtc, 0.41 - 0.001 * (rate - 120))
    return between(rng, rate=rate, rr_range=rr_range, pr=(0.12, 0.16 if rate < 130 else 0.13), qtc=qtc)


def pacing(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    site = between(rng, qrs=(0.14, 0.18), axis=(-85, -50))
    where = rng.choice(["right ventricle", "apex", "both ventricles"], p=[0.5, 0.3, 0.2])
    if where == "apex":  # away from it and from V6
        site |= between(rng, axis=(-110, -80), depth=(0.15, 0.35))
    elif where == "both ventricles":  # the left one leads: narrower, to the right and to the front
        axis = rng.choice([rng.uniform(-150, -95), rng.uniform(100, 150)])
        site = {"qrs_shape": "LV", "qrs": rng.uniform(0.12, 0.15), "axis": float(axis), "depth": rng.uniform(0.4, 1.0)}
    atrial = rng.random() < 0.35  # both chambers; otherwise the ventricle alone, after a P wave or without one
    tracked = rng.random() < 0.5
    rr_range, pr = (0.01, 0.04) if tracked and not atrial else 0.0, (0.13, 0.2) if atrial or tracked else None
    limits: dict[str, Any] = {"rate": (60, 90), "rr_range": rr_range, "pr": pr, "spike": (0.4, 3.0)}
    return _left_bundle(rng, p, seconds) | between(rng, rhythm="paced", **limits, atrial_spike=bool(atrial)) | site


def _sinus_arrhythmia(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    rate = rng.uniform(50, 90)
    return {"rate": rate, "rr_range": rng.uniform(0.2, 0.45) * 60 / rate + 0.02, "age": int(rng.integers(16, 70))}


def _long_pr(code: str) -> Draw:
    def draw(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
        # Both codes in 0.2 of each: as the two take turns, in a third of the recordings with either.
        codes = ("IAVB", "LPR") if rng.random() < 0.2 else (code,)
        return {"pr": rng.uniform(0.21, max(0.23, min(0.36, 0.5 * 60 / p.rate))), "pr_codes": codes}

    return draw


def _premature(rng: Rng, seconds: float) -> tuple[str, int]:
    """How premature beats come, and how many."""
    most = max(2, round(0.3 * seconds) + 1)
    pattern = str(rng.choice(["single", "bigeminy", "couplets", "runs"], p=[0.65, 0.15, 0.12, 0.08]))
    low, high = {"single": (1, most), "bigeminy": (3, most + 2), "couplets": (2, most), "runs": (3, most + 2)}[pattern]
    return pattern, int(rng.integers(low, max(high, low + 1)))


def _premature_atrial(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    pattern, count = _premature(rng, seconds)
    blocked, aberrant = [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6)][rng.choice(3, p=[0.7, 0.15, 0.15])]
    return {"pac": count, "pattern": pattern, "pac_blocked": blocked, "pac_aberrant": aberrant}


def _ventricular_form(rng: Rng, voltage: float) -> Ventricular:
    shape = str(rng.choice(["RV", "LV"]))
    axes = [rng.uniform(-80, -40), rng.uniform(70, 110)] if shape == "RV" else [rng.uniform(-120, -70), 120.0]
    return Ventricular(shape, float(rng.choice(axes)), rng.uniform(0.13, 0.17), voltage * rng.uniform(1.1, 1.7))


def _premature_ventricular(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    pattern, count = _premature(rng, seconds)
    forms = [_ventricular_form(rng, max(p.voltage, 0.8)) for _ in range(2 if rng.random() < 0.25 else 1)]
    return {"pvc": count, "pattern": pattern, "pvc_forms": tuple(forms)}


def _right_bundle(low: float, high: float) -> Draw:
    def draw(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
        return {"qrs_shape": "RBBB+LAFB" if p.qrs_shape == "LAFB" else "RBBB", "qrs": rng.uniform(low, high)}

    return draw


def _left_bundle(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    voltage = rng.uniform(0.65, 1.3)
    drawn = between(rng, qrs_shape="LBBB", qrs=(0.125, 0.165), axis=(-60, 50), voltage=voltage)
    # Nearly all of T is secondary.
    return drawn | {"t_amplitude": voltage * rng.uniform(0.08, 0.16), "t_back": -voltage * rng.uniform(0.05, 0.15)}


def _left_anterior_fascicle(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    right = p.qrs_shape == "RBBB"
    shape, qrs = ("RBBB+LAFB", p.qrs) if right else ("LAFB", rng.uniform(0.09, 0.109))
    return {"qrs_shape": shape, "qrs": qrs, "axis": rng.uniform(-75, -46)}


def _q_waves(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    shape = str(rng.choice(["inferior Q", "anterior Q"]))
    axis = rng.uniform(-10, 25) if shape == "inferior Q" else p.axis
    return {"qrs_shape": shape, "qrs": rng.uniform(0.094, 0.109), "axis": axis}


def _inverted_t(rng: Rng, p: Parameters, seconds: float) -> dict[str, Any]:
    place = rng.choice(["anterior", "lateral", "inferior"])
    both = {"tab_beside_tinv": bool(rng.random() < 1 / 3)}
    if place == "anterior":
        return both | {"t_amplitude": rng.uniform(0.05, 0.15), "t_back": rng.uniform(0.18, 0.4)}
    axis = rng.uniform(160, 200) if place == "lateral" else rng.uniform(-85, -50)
    return both | {"t_axis": axis, "t_amplitude": rng.uniform(0.18, 0.4), "t_back": rng.uniform(-0.1, 0.12)}


_DRAWS: dict[str, Draw] = {
    "NSR": lambda rng, p, s: {}, "SB": lambda rng, p, s: {"rate": rng.uniform(40, 59)},
    "STach": _tachycardia, "SA": _sinus_arrhythmia, "Brady": _bradycardia, "AF": _atrial_fibrillation,
    "AFL": _atrial_flutter, "PR": pacing, "IAVB": _long_pr("IAVB"), "LPR": _long_pr("LPR"),
    "PAC": _premature_atrial, "PVC": _premature_ventricular, "LBBB": _left_bundle,
    "CRBBB": _right_bundle(0.122, 0.16), "IRBBB": _right_bundle(0.111, 0.118), "LAnFB": _left_anterior_fascicle,
    "NSIVCB": lambda rng, p, s: {"qrs_shape": "nonspecific", "qrs": rng.uniform(0.113, 0.14)},
    "LAD": lambda rng, p, s: {"axis": rng.uniform(-44, -32)},
    "RAD": lambda rng, p, s: {"axis": 91 + min(rng.exponential(12), 45.0),
                              "qrs_shape": "vertical" if p.qrs_shape == "normal" else p.qrs_shape},
    "LQRSV": lambda rng, p, s: {"voltage": (v := rng.uniform(0.22, 0.45)), "t_amplitude": v * 0.3, "t_back": -v * 0.2},
    "LQT": lambda rng, p, s: {"qtc": rng.uniform(0.47, 0.56)},
    "TAb": lambda rng, p, s: {"t_amplitude": rng.uniform(-0.03, 0.05) * p.voltage, "t_back": rng.uniform(-0.06, 0.03)},
    "TInv": _inverted_t, "QAb": _q_waves,
}  # fmt: skip

# What a diagnosis decides; two that decide the same thing exclude each other.
_DECIDES: dict[str, str] = {
    "NSR": "rhythm", "SB": "rhythm", "STach": "rhythm pr qt", "SA": "rhythm", "Brady": "rhythm pr pac",
    "AF": "rhythm pr pac", "AFL": "rhythm pr pac pvc qt", "PR": "rhythm pr pac pvc qrs left axis t q voltage qt",
    "IAVB": "pr", "LPR": "pr", "PAC": "pac", "PVC": "pvc",
    "LBBB": "qrs left axis t q voltage", "CRBBB": "qrs t", "IRBBB": "qrs", "NSIVCB": "qrs left t",
    "LAnFB": "left axis", "LAD": "axis", "RAD": "axis", "QAb": "q qrs left axis",
    "LQRSV": "voltage", "LQT": "qt", "TAb": "t", "TInv": "t",
}  # fmt: skip


def draw_parameters(rng: Rng, diagnosis: str, seconds: float = 10.0, comorbidity: bool = True) -> Parameters:
    """Draw a heart that shows a diagnosis, and often others that can occur with it.

    `diagnosis`: abbreviation or SNOMED CT code. `seconds`: length of the recording, s: how many premature beats fit.
    `comorbidity`: whether to add up to two other diagnoses. The labels contain the diagnosis.
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
        parameters = healthy(rng)
        for each in asked:
            parameters = replace(parameters, **_DRAWS[each](rng, parameters, seconds))
        if CODES[name] in labels_of(parameters):
            return parameters
    raise RuntimeError(f"{name}: no parameters with this label in 100 draws")
