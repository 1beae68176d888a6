"""Hearts beyond the scored diagnoses: infarction, ischaemia, hypertrophy, pre-excitation, blocks, electrolytes.

Criteria: the fourth universal definition of myocardial infarction (Thygesen et al. 2018), parts III and V of the
AHA/ACCF/HRS recommendations (see `ecg.simulator.diagnoses`), for electrolytes Diercks et al. 2004 (J Emerg Med
27:153-160). A heart is drawn until its leads meet them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ecg.arrays import Array, Rng
from ecg.leads import LEADS
from ecg.simulator import dipole as heart
from ecg.simulator.diagnoses import Parameters
from ecg.simulator.draws import between, healthy, pacing

TERRITORIES = {
    "anterior": ("V2", "V3", "V4"), "inferior": ("II", "III", "aVF"), "lateral": ("I", "aVL", "V5", "V6"),
    "septal": ("V1", "V2", "V3"), "most": ("I", "II", "aVF", "V4", "V5", "V6"),
}  # fmt: skip
_DIRECTIONS = {  # clinical vectors
    "anterior": (0.35, 0.0, -1.0), "inferior": (-0.15, 1.0, 0.1), "lateral": (0.75, -0.35, 0.3),
    "septal": (-0.15, 0.05, -1.0), "most": (0.6, 0.6, -0.2),
}  # fmt: skip


def _towards(territory: str, size: float) -> Array:
    """A clinical vector that each of these leads sees with at least `size` mV."""
    rows = [LEADS.index(lead) for lead in TERRITORIES[territory]]
    vector = np.array(_DIRECTIONS[territory])
    return vector * size / heart.leads_of_vectors(vector[None])[rows].min()


def _t(vector: Array) -> dict[str, Any]:
    angle = float(np.degrees(np.arctan2(vector[1], vector[0])))
    return {"t_axis": angle, "t_amplitude": float(np.hypot(*vector[:2])), "t_back": float(vector[2])}


def _st_t(territory: str, st: float, t: float) -> dict[str, Any]:
    """ST deviation from the J point on and a T wave, mV, as these leads see them."""
    return {"injury": tuple(_towards(territory, st).tolist()), "qrs": 0.09, **_t(_towards(territory, t))}


Draw = Callable[[Rng, Parameters], dict[str, Any]]


def _infarction(territory: str) -> Draw:
    lowest = 0.32 if territory == "anterior" else 0.16
    return lambda rng, p: _st_t(territory, lowest * rng.uniform(1.1, 2.2), rng.uniform(0.2, 0.5))


def _ischaemia(territory: str) -> Draw:
    return lambda rng, p: _st_t(territory, -rng.uniform(0.12, 0.25), -rng.uniform(0.25, 0.45))


def _left_hypertrophy(rng: Rng, p: Parameters) -> dict[str, Any]:
    drawn = _st_t("lateral", -rng.uniform(0.1, 0.22), -rng.uniform(0.2, 0.4))
    drawn |= between(rng, voltage=(1.7, 2.6), depth=(1.2, 1.7), axis=(-20, 50), qrs=(0.092, 0.108))
    return drawn | {"age": int(rng.integers(36, 90))}


def _second_degree(conduction: str, conducted: float) -> Draw:
    def draw(rng: Rng, p: Parameters) -> dict[str, Any]:
        atrial_rate = rng.uniform(64, 95)
        drawn = {"conduction": conduction, "atrial_rate": atrial_rate, "rate": conducted * atrial_rate}
        return drawn | between(rng, rr_range=(0.005, 0.03), pr=(0.15, 0.19))

    return draw


def _third_degree(rng: Rng, p: Parameters) -> dict[str, Any]:
    wide = rng.random() < 0.5  # the ventricles' own rhythm; otherwise that of the AV junction
    limits: dict[str, Any] = {"atrial_rate": (65, 100), "rate": (28, 40) if wide else (40, 55), "rr_range": (0.0, 0.02)}
    drawn = between(rng, rhythm="escape", conduction="none", **limits, pr=None)
    return drawn | (between(rng, qrs_shape="RV", qrs=(0.13, 0.17), axis=(-80, -40)) if wide else {})


def _supraventricular_tachycardia(rng: Rng, p: Parameters) -> dict[str, Any]:
    drawn = between(rng, rhythm="svt", rate=(150, 215), rr_range=(0.0, 0.006), pr=None)
    drawn["retrograde"] = rng.uniform(0.07, 0.1) if rng.random() < 0.5 else None  # otherwise hidden in QRS
    return drawn | between(rng, qtc=(0.32, 0.36))


def _ventricular_tachycardia(rng: Rng, p: Parameters) -> dict[str, Any]:
    shape = str(rng.choice(["RV", "LV"]))
    axes = (rng.uniform(-80, -40), rng.uniform(70, 110)) if shape == "RV" else (rng.uniform(-120, -70), 120.0)
    # The atria keep their own rhythm.
    drawn = between(rng, conduction="none", atrial_rate=(65, 100), rate=(130, 210), rr_range=(0.0, 0.015), pr=None)
    drawn |= between(rng, rhythm="vt", qrs_shape=shape, qrs=(0.142, 0.17))
    return drawn | between(rng, axis=float(rng.choice(axes)), voltage=(1.2, 2.2), qtc=(0.33, 0.37))


def _hypokalaemia(rng: Rng, p: Parameters) -> dict[str, Any]:
    lateral = _towards("lateral", -rng.uniform(0.07, 0.14))
    drawn = _t(_towards("most", rng.uniform(0.02, 0.05)))
    drawn["injury"] = tuple((lateral + _towards("most", -0.03)).tolist())
    drawn["u_wave"] = tuple(_towards("anterior", rng.uniform(0.15, 0.3)).tolist())
    return drawn | between(rng, qrs=0.09, rate=(61, 72), qtc=(0.38, 0.41))


_DRAWS: dict[str, Draw] = {
    **{f"STEMI-{where}": _infarction(where) for where in ("anterior", "inferior", "lateral")},
    **{f"ischaemia-{where}": _ischaemia(where) for where in ("anterior", "inferior", "lateral")},
    "LVH": _left_hypertrophy, "SVT": _supraventricular_tachycardia, "VT": _ventricular_tachycardia,
    "RVH": lambda rng, p: _st_t("septal", -rng.uniform(0.08, 0.2), -rng.uniform(0.25, 0.45)) | between(
        rng, qrs_shape="RVH", voltage=(1.0, 1.8), depth=(1.0, 1.5), axis=(100, 150)),
    "WPW": lambda rng, p: between(rng, qrs_shape="WPW", qrs=(0.122, 0.15), pr=(0.085, 0.115), axis=(-20, 80),
                                  voltage=(1.0, 1.8)),
    "MobitzI": _second_degree("MobitzI", 0.75), "MobitzII": _second_degree("MobitzII", 0.7),
    "AVB2to1": _second_degree("AVB2to1", 0.5), "AVB3": _third_degree,
    "LPFB": lambda rng, p: between(rng, qrs_shape="LPFB", qrs=(0.09, 0.109), axis=(95, 140)),
    "pericarditis": lambda rng, p: _st_t("most", rng.uniform(0.18, 0.35), rng.uniform(0.2, 0.4)) | {
        "pr_segment": tuple(_towards("most", -rng.uniform(0.06, 0.1)).tolist())},
    "hyperkalaemia": lambda rng, p: _t(_towards("anterior", rng.uniform(1.0, 1.4))) | between(
        rng, t_is_tented=True, p_amplitude=(0.03, 0.06), pr=(0.17, 0.2), qrs=(0.095, 0.109), qtc=(0.36, 0.4)),
    "hypokalaemia": _hypokalaemia,
    "capture-failure": lambda rng, p: pacing(rng, p, 0.0) | {"captured": int(rng.integers(2, 5))},
    # The mirror image in V1 to V3: depressed ST, upright T.
    "STEMI-posterior": lambda rng, p: _st_t("septal", -rng.uniform(0.1, 0.25), rng.uniform(0.15, 0.35)),
}  # fmt: skip


def draw_statement(rng: Rng, name: str) -> Parameters:
    """Draw a heart that shows one of `ecg.simulator.diagnoses.STATEMENTS` and nothing else that is asked for."""
    for _ in range(1000):
        p = healthy(rng)
        p = replace(p, **_DRAWS[name](rng, p), statement=name)
        if _shows(p, name):
            return p
    raise RuntimeError(f"{name}: no parameters with this finding in 1000 draws")


def _shows(p: Parameters, name: str) -> bool:
    """Whether the leads of a beat without noise meet the criteria; what the parameters decide alone is taken as met."""
    kind, _, territory = name.partition("-")
    qrs = heart.sample_leads(p.qrs_waves(), p.qrs)
    r, s = dict(zip(LEADS, qrs.max(axis=1), strict=True)), dict(zip(LEADS, -qrs.min(axis=1), strict=True))
    waves = [*p.qrs_waves(), p.t_wave(p.qt), heart.injury_wave(p.qt, p.qrs, np.array(p.injury))]
    j = heart.sample_leads(waves, p.qrs + 0.0401, p.qrs)[:, [0, 40]]  # at the J point and 40 ms later, mV
    t = heart.sample_leads(waves, p.qt, 0.75 * p.qt).mean(axis=1)

    def of(values: Array, where: str) -> Array:
        return values[[LEADS.index(lead) for lead in TERRITORIES[where]]]

    if name == "STEMI-posterior":
        return bool(of(j, "septal").max() <= -0.06 and of(t, "septal").min() > 0)
    if kind == "STEMI":
        return bool(of(j, territory).min() >= (0.27 if territory == "anterior" else 0.12))
    if kind == "ischaemia":
        return bool(of(j, territory).max() <= -0.06 and of(t, territory).max() <= -0.1)
    if kind == "LVH":
        return bool(s["V1"] + max(r["V5"], r["V6"]) > 3.6 and of(j, "lateral").max() < -0.06)
    if kind == "RVH":
        high = np.ptp(qrs[6:], axis=1).max() > 1.2 and r["V1"] > max(0.65, 1.1 * s["V1"])
        return bool(high and of(j, "septal").max() < -0.06)
    if kind == "LPFB":
        rs, qr = ([LEADS.index(lead) for lead in leads] for leads in (("I", "aVL"), ("III", "aVF")))
        order = qrs.argmax(axis=1) < qrs.argmin(axis=1)  # R before S
        high = all(s[lead] > r[lead] > 0.05 for lead in ("I", "aVL")) and all(r[lead] > 0.3 for lead in ("III", "aVF"))
        return bool(high and order[rs].all() and not order[qr].any())
    if kind == "pericarditis":
        return bool(of(j, "most").min() >= 0.1)
    return True
