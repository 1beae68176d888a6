"""All that is measured of some hearts and faults, as it was noted: numbers, beats, marks, quality, electrodes.

`python tests/measurements/test_golden_measurements.py` notes it anew: read what has changed before you commit it.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.leads import LEADS, twelve_leads
from ecg.measurements import features, measure
from ecg.measurements.lead_reversal import WEIGHTS, features_of, suspected_swap
from ecg.measurements.measure import measure_for_classifier
from ecg.simulator.noise import Noise, reverse_arms
from ecg.simulator.simulate import simulate

GOLDEN = Path(__file__).with_name("golden_measurements.json")
NUMBERS = (
    *("heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_bazett_ms", "qtc_fridericia_ms"),
    *("p_axis_deg", "qrs_axis_deg", "t_axis_deg", "n_beats", "n_ectopic", "rr_sd_ms", "rmssd_ms"),
)
CLOSE = {"ms": 0.6, "deg": 0.8, "bpm": 0.05, "beats": 0, "ectopic": 0}
HEARTS = {
    name: (diagnosis, seed, rate)
    for name, diagnosis, seed, rate in (
        ("sinus rhythm", "NSR", 3, 500),
        ("fibrillation", "AF", 8, 500),
        ("flutter", "AFL", 4, 500),
        ("pacing", "PR", 6, 1000),
        ("premature ventricular beats", "PVC", 5, 500),
        ("premature atrial beats", "PAC", 9, 500),
        ("left bundle branch block", "LBBB", 5, 250),
        ("first-degree block", "IAVB", 9, 500),
        ("tachycardia", "STach", 2, 100),
        ("low voltage", "LQRSV", 7, 500),
        ("third-degree block", "AVB3", 3, 500),
        ("exchanged arms", "NSR", 12, 500),
        ("mains and wander", "NSR", 13, 500),
        ("a loose chest electrode", "NSR", 14, 500),
        ("an absent lead and gaps", "CRBBB", 15, 500),
    )
}
# Left out are those with something so near its limit that the processor decides.
DRAWN = [f"drawn {k}" for k in range(50)]
DIAGNOSES = [
    *(each.abbreviation for each in CHALLENGE_2020.rows),
    "AVB2to1",
    "MobitzI",
    "VT",
    "SVT",
    "WPW",
    "capture-failure",
]
RATES = (100, 125, 200, 240, 250, 257, 300, 360, 400, 500, 512, 600, 1000)


def drawn_signal(number):
    """A heart of any diagnosis, at any rate and length, begun anywhere in a beat, often with faults."""
    rng = np.random.default_rng([78, number])
    names = sorted(name for names in DIAGNOSES for name in names.split("/")[:1])
    rate, seconds = int(rng.choice(RATES)), float(rng.choice([1.3, 2.5, 4, 7, 10, 10, 10, 15, 40]))
    noise = Noise(wander=rng.choice([0, 0.1, 0.5]), muscle=rng.choice([0.002, 0.02]), powerline=rng.choice([0, 0.1]))
    made = simulate(rng, str(rng.choice(names)), rate, seconds + 1, noise, comorbidity=bool(rng.random() < 0.5))
    start = int(rng.integers(0, rate))
    signal = made.signal[:, start : start + int(seconds * rate)].astype(np.float64)
    n_samples = signal.shape[1]
    for fault in rng.choice(["lead", "limb leads", "gap", "clip", "flat", "step", "late", "none", "none"], 2):
        lead, first = int(rng.integers(12)), int(rng.integers(n_samples))
        if fault == "lead":
            signal[lead] = np.nan
        elif fault == "limb leads":
            signal[2:6] = np.nan
        elif fault == "gap":
            signal[:, first : first + rate // 2] = np.nan
        elif fault == "clip":
            np.clip(signal[lead], -0.2, 0.3, out=signal[lead])
        elif fault == "flat":
            signal[lead, : n_samples // 2 + 1] = 0.1
        elif fault == "step":
            signal[lead, first:] += 1.5
        elif fault == "late":
            signal[:, : rate // 3] = np.nan
    return signal.astype(np.float32), float(rate)


def signal_of(name):
    if name in DRAWN:
        return drawn_signal(DRAWN.index(name))
    diagnosis, seed, rate = HEARTS[name]
    rng = np.random.default_rng([77, seed])
    made = simulate(rng, diagnosis, rate, 10, Noise(wander=0.02, muscle=0.004), comorbidity=False)
    signal, seconds = made.signal.astype(np.float64), np.arange(made.signal.shape[1]) / rate
    if name == "exchanged arms":
        signal = reverse_arms(signal)
    elif name == "mains and wander":
        hum = 0.2 * np.sin(2 * np.pi * 50 * seconds) + 0.5 * np.sin(2 * np.pi * 0.3 * seconds)
        signal = signal + twelve_leads(np.outer((1, 0.5, 1, 1, 1, 0.7, 1, 1), hum))
    elif name == "a loose chest electrode":
        signal[LEADS.index("V3")] += np.where((seconds > 3) & (seconds < 5), 1.5, 0) + np.where(seconds > 8, -1, 0)
    elif name == "an absent lead and gaps":
        signal[LEADS.index("V2")] = np.nan
        signal[:, 2000:2100] = np.nan
    return signal.astype(np.float32), float(rate)


def measured(name, scale=1.0):
    """Numbers, amplitudes by name, positions of beats and marks, words."""
    signal, rate = signal_of(name)
    found = measure(signal * np.float32(scale), rate)
    beat = found.median_beat
    if beat is None:
        return {"words": [*found.quality.leads_off, *found.quality.saturated]}
    scores = features_of(beat)
    arrangements = [] if scores is None else np.einsum("awf,wf->a", scores, WEIGHTS)
    return {
        "numbers": {each: float(getattr(found, each)) for each in NUMBERS},
        "mv": {key: row.tolist() for key, row in asdict(found.amplitudes).items()},
        "uv": [found.quality.noise_uv, found.quality.mains_uv, found.quality.baseline_uv],
        "beats": found.beats.samples.tolist(),
        "peaks": [each.qrs_peak for each in beat.lead_marks],
        "scores": np.asarray(arrangements).tolist(),
        "words": [*found.beats.kinds, *found.quality.leads_off, *found.quality.saturated, str(found.has_p_waves),
                  *found.quality.mains_in, suspected_swap(beat), str(beat.n_beats), str(found.beats.n_blocked_p),
                  str(found.beats.n_lost_spikes)],
    }  # fmt: skip


def as_array(values):
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


@pytest.mark.parametrize("name", [*HEARTS, *DRAWN])
def test_measurements_are_those_that_were_noted(name):
    golden, found = json.loads(GOLDEN.read_text())[name], measured(name)
    assert found["words"] == golden["words"]
    if set(golden) == {"words"}:
        return
    for key, value in found["numbers"].items():
        expected = as_array([golden["numbers"][key]])[0]
        assert value == pytest.approx(expected, abs=CLOSE[key.rsplit("_", 1)[-1]], nan_ok=True), key
    np.testing.assert_allclose(found["beats"], golden["beats"], atol=1)
    np.testing.assert_allclose(as_array(found["peaks"]), as_array(golden["peaks"]), atol=1)
    np.testing.assert_allclose(found["uv"], as_array(golden["uv"]), rtol=0.02, atol=0.5)
    np.testing.assert_allclose(found["scores"], golden["scores"], atol=0.05)
    for key, row in found["mv"].items():
        np.testing.assert_allclose(row, as_array(golden["mv"][key]), atol=0.004, err_msg=key)


@pytest.mark.parametrize("name", [*HEARTS, *DRAWN])
def test_a_classifier_gets_the_same_numbers_in_less_time(name):
    signal, rate = signal_of(name)
    whole, brief = measure(signal, rate), measure_for_classifier(signal, rate)
    np.testing.assert_array_equal(features.features_of(whole), features.features_of(brief))
    assert brief.quality.mains_in == whole.quality.mains_in
    assert (brief.beats.n_blocked_p, brief.beats.n_lost_spikes, brief.quality.suspected_swap) == (0, 0, "")
    assert np.isnan(brief.quality.noise_uv)


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return value if isinstance(value, (str, int)) else None if np.isnan(value) else round(value, 4)


def as_noted(name):
    now = measured(name)
    for scale in (1 - 1e-5, 1 + 1e-5):
        near = measured(name, scale)
        if near["words"] != now["words"] or near.get("beats") != now.get("beats"):
            raise ValueError(f"{name}: something so near its limit that the processor decides; draw another")
    return rounded(now)


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(as_noted(name))}" for name in [*HEARTS, *DRAWN])
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    sys.exit()
