"""What the four methods take in, teach, decide and ask for, on drawn inputs, as it was noted.

`python tests/methods/test_golden_methods.py` notes it anew: read what has changed before you commit it.
"""

import json
import math
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch

import team_code
from ecg.decisions.conventions import CONVENTIONS, convention
from ecg.examination.examine import Examination
from ecg.io.recording import Recording
from ecg.labels.diagnoses import CHALLENGE_2020, Diagnoses, join, load_diagnoses
from ecg.leads import LEAD_SETS, LEADS
from ecg.measurements.features import FEATURES
from ecg.methods import butteam, hybrid, robust
from ecg.methods.base import as_scored, build_method
from ecg.methods.reduced_leads import MaskLeads, check_leads, has_learned, keep_leads, on_leads, with_masked_leads
from ecg.simulator.noise import Noise
from ecg.simulator.simulate import simulate

GOLDEN = Path(__file__).with_name("golden_methods.json")
SETS = {
    "2020": CHALLENGE_2020,
    "2021": load_diagnoses("challenge-2021"),
    "ptb-xl": load_diagnoses("ptb-xl"),
    "both": join(CHALLENGE_2020, load_diagnoses("ptb-xl")),
    "own": Diagnoses("own", ("code", "164884008", "427172004", "426783006")),
}
BUILDERS = team_code.METHODS
NSR, SB = robust.SINUS_RHYTHM, robust.SINUS_BRADYCARDIA


def rounded(value):
    if isinstance(value, dict):
        return {str(key): rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    if isinstance(value, np.ndarray):
        return rounded(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else round(float(value), 5)
    return value


def text_of(work, *words):
    """What an error says, or what there is without one."""
    try:
        return work(*words)
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


# --- What is taught


@cache
def beats(rate, seconds=8.0):
    """Spikes at so many a minute, (12, n), 257 Hz."""
    time = np.arange(int(seconds * 257)) / 257
    beat = np.exp(-0.5 * (((time - 0.3) % (60 / rate) - 0.1) / 0.015) ** 2)
    return np.tile(beat, (12, 1)).astype(np.float32)


def targets():
    """Of codes and rates on both sides of 60 and 100: what each class is taught that is not 0."""
    rng, found = np.random.default_rng(0), {}
    others = (
        "164884008",
        "427172004",
        "427084000",
        "427393009",
        "284470004",
        "164889003",
        "59118001",
        "SR",
        "LVH",
        "x",
    )
    for number in range(28):
        some = [str(code) for code in rng.permutation(others)[: rng.integers(0, 3)]]
        codes = (*((NSR,) if number % 3 else ()), *((SB,) if number % 5 == 0 else ()), *some)
        rate = (45, 58, 62, 75, 97, 104, 140)[number % 7]
        for name, diagnoses in SETS.items():
            for make in (robust.make_targets, hybrid.make_targets) if number % 2 else (hybrid.make_targets, as_scored):
                made = make(codes, beats(rate), diagnoses)
                told = {diagnoses.classes[k]: made[k] for k in np.flatnonzero(made > 0)}
                unknown = int(np.isnan(made).sum())
                place = f"{'+'.join(codes)} at {rate}, {name}, {make.__module__.split('.')[-1]}"
                found[place] = [told, unknown] if unknown else told
    return found


def windows():
    """First sample and length of each window of recordings around the limits."""
    cut = {"zhao": team_code.cut_windows, "robust": robust.cut_windows, "butteam": butteam.cut_chunks}
    lengths = {
        "zhao": (1, 4095, 4096, 4097, 7936, 7937, 30000),
        "robust": (1, 127, 128, 129, 4096, 4097, 7936, 7937, 12000),
        "butteam": (1, 63, 64, 13124, 13125, 13126, 21874, 21875, 21876, 32499, 32500, 60000),
    }
    return {
        f"{name}, {n}": [
            [int(window[0, 0]), window.shape[1], int(window[0].max())]
            for window in cut[name](np.tile(np.arange(1, n + 1, dtype=np.float32), (12, 1)))
        ]
        for name, many in lengths.items()
        for n in many
    }


def training_items():
    """What a draw makes of a recording whose samples are their own numbers."""
    found = {}
    makers = {
        "zhao": team_code.crop_or_pad,
        "robust": robust.augment,
        "butteam": butteam.augment,
        "hybrid": hybrid.augment,
        "masked": MaskLeads(robust.augment),
    }
    for name, make in makers.items():
        for n in (100, 2624, 2625, 4096, 5000):
            recording = np.tile(np.arange(1, n + 1, dtype=np.float32), (12, 1))
            for seed in range(3):
                item = make(recording, np.random.default_rng(seed))
                on = item.any(axis=1)
                lead = item[int(on.argmax())]
                gain = lead[lead > 0].max() / n
                off = [LEADS[k] for k in np.flatnonzero(~on)]
                first = int(np.flatnonzero(lead)[0]) if on.any() else -1
                found[f"{name}, {n}, seed {seed}"] = [item.shape[1], first, lead[first], gain, item[:, -1].sum(), off]
    return found


def standardised():
    """Amplitudes, and what is left of each lead, of recordings of other sizes, some leads off, in a padded batch."""
    rng = np.random.default_rng(1)
    lengths = torch.tensor([500, 300, 128, 400, 500, 450])
    scale = np.array([0.1, 0.02, 3.0, 0.3, 0.04, 0.11])[:, None, None] * rng.uniform(0.3, 3, (6, 12, 1))
    signal = (rng.normal(0, 1, (6, 12, 500)) * scale + rng.normal(0, 0.2, (6, 12, 1))).astype(np.float32)
    signal[0, 3], signal[3, 6:], signal[4, :4] = 0, 0, 0.001 * signal[4, :4]
    signal[5, 2, 100] = 90
    for item, length in zip(signal, lengths, strict=True):
        item[:, length:] = 0
    found, amplitudes = robust.standardise(torch.from_numpy(signal), lengths)
    octaves = [robust.limb_lead_octaves(item[:, :length]) for item, length in zip(signal, lengths, strict=True)]
    return {
        "amplitudes": amplitudes.numpy(),
        "first samples": found[:, :, 0].numpy(),
        "sizes": found.square().sum(dim=2).sqrt().numpy(),
        "largest": found.amax(dim=(1, 2)).numpy(),
        "octaves": [None if math.isinf(each) else each for each in octaves],
        "without a signal": str(robust.limb_lead_octaves(np.zeros((12, 9), np.float32))),
    }


@cache
def heart(name):
    made = simulate(np.random.default_rng([7, len(name)]), name, 500, 6, Noise(), comorbidity=False)
    return made.signal.astype(np.float32)


def features():
    """Some of the features of hearts at plausible and at impossible sizes."""
    found = {}
    for k, (name, scale) in enumerate((("NSR", 1), ("NSR", 0.45), ("NSR", 4.88), ("LBBB", 1), ("LBBB", 0.1))):
        age, sex = ((60.0, "Female"), (math.nan, "Male"), (7.0, "Unknown"))[k % 3]
        given = Recording(heart(name) * np.float32(scale), 500.0, "r", age, sex)
        values = Examination(given, hybrid.hybrid().input).features
        named = dict(zip(FEATURES, values[5:].tolist(), strict=True))
        wanted = ("heart_rate_bpm", "qrs_ms", "qt_ms", "V1_r_mv", "V5_r_mv", "II_t_mv", *hybrid.SIZES)
        kept = {key: named[key] for key in wanted if key in named}
        missing = int(np.isnan(values).sum())
        found[f"{name} times {scale}"] = [
            values[:5],
            {key: None if v != v else round(v, 2) for key, v in kept.items()},
            missing,
        ]
    return found


# --- What is decided


def decisions():
    """Labels and scores of drawn probabilities and thresholds."""
    rng, found, weights = np.random.default_rng(2), {}, CHALLENGE_2020.weights
    for number in range(8):
        members = (1, 2, 3, 5)[number % 4]
        p = rng.uniform(size=(members, 3, 24)) ** (1 + number % 3)
        thresholds = rng.uniform(0.2, 0.8, (members, 24))
        each = {
            "zhao": np.stack([team_code.decide(*pair) for pair in zip(p, thresholds, strict=True)]),
            "butteam": np.stack([butteam.decide(*pair) for pair in zip(p, thresholds, strict=True)]),
            "robust": np.stack([robust.decide(*pair) for pair in zip(p, thresholds, strict=True)]),
            "no weights": np.stack([robust.decide(*pair, None) for pair in zip(p, thresholds, strict=True)]),
        }
        combined = {
            "zhao": team_code.vote(each["zhao"], p, thresholds),
            "butteam": butteam.majority(each["butteam"], p, thresholds),
            "robust": robust.average(each["robust"], p, thresholds, weights),
            "no weights": robust.average(each["robust"], p, thresholds, None),
            "hybrid": hybrid.average(each["robust"], p, thresholds, weights),
        }
        for name, labels in each.items():
            found[f"{number}, members, {name}"] = [np.flatnonzero(row) for row in labels.reshape(-1, 24)]
        for name, (labels, scores) in combined.items():
            found[f"{number}, {name}"] = [[np.flatnonzero(row) for row in labels], scores.mean(axis=1), scores[:, 5]]
        moved = [hybrid.thresholds_of_prevalence(row > 0.5, row, weights, CHALLENGE_2020) for row in p]
        found[f"{number}, moved thresholds"] = np.array(moved)[:, ::6]
        for name in CONVENTIONS:
            measured = np.full(5 + len(FEATURES), np.nan, np.float32)
            measured[5 + FEATURES.index("heart_rate_bpm")] = (48, 75, 130)[number % 3]
            labels, scores = hybrid.by_convention(
                p[:, 0], np.array(moved), measured, convention(name, CHALLENGE_2020.classes)
            )
            found[f"{number}, {name}"] = [np.flatnonzero(labels), scores[::4]]
    found["windows"] = [BUILDERS[name]().decision.merge(p[0]).round(3)[:5] for name in ("zhao", "butteam", "hybrid")]
    return found


# --- What is asked for


def leads():
    """A sentence on missing leads, and the leads that are left."""
    rng, found = np.random.default_rng(3), {}
    methods = {
        "any": team_code.zhao(),
        "two missing": robust.robust(),
        "masked": with_masked_leads(robust.robust()),
        **{f"{n} leads": on_leads(team_code.zhao(), LEAD_SETS[n]) for n in (2, 3, 4, 6)},
        "aVR alone": on_leads(team_code.zhao(), ("aVR",)),
    }
    subsets = [
        tuple(lead for lead in LEADS if rng.random() < share) for share in (0.3, 0.6, 0.85, 0.95) for _ in range(5)
    ]
    subsets += [
        *LEAD_SETS.values(),
        ("I",),
        ("aVR",),
        ("II", "V2"),
        LEADS[6:],
        LEADS[2:],
        LEADS[:10],
        LEADS[:9],
        LEADS[1:],
    ]
    for there in subsets:
        signal = np.where(np.isin(LEADS, there), 1, np.nan)[:, None] * np.ones((1, 3), np.float32)
        said = {name: text_of(check_leads, method, signal) for name, method in methods.items()}
        said["learned"] = [name for name, method in methods.items() if has_learned(method, there)]
        for wanted in (LEAD_SETS[2], LEAD_SETS[4], LEAD_SETS[6], ("aVR",), ("aVR", "V1"), ("II", "aVL")):
            kept = text_of(keep_leads, signal, wanted)
            kept = kept if isinstance(kept, str) else " ".join(np.array(LEADS)[np.isfinite(kept[:, 0])])
            said["kept of " + " ".join(wanted)] = kept
        found[" ".join(there)] = {
            name: each.split(": ")[-1] if isinstance(each, str) else each for name, each in said.items()
        }
    return found


WORDS = (
    "hybrid", "zhao", "robust", "butteam", "nothing", "", "hybrid:width=0.5", "hybrid:width=1", "hybrid:width=x",
    "hybrid:averaged=0", "hybrid:averaged=1,convolutions=true", "hybrid:averaged=true", "hybrid:averaged=2.0",
    "hybrid:measurements=false,", "hybrid:diagnoses=x", "butteam:width=12,threshold_search=coordinate",
    "butteam:width=0",
    "butteam:threshold_search=grid", "butteam:threshold_search=1", "butteam:depth=3", "butteam:augmentation=1",
    "butteam:challenge_loss=false", "zhao:age_mask=false,challenge_stage=true", "zhao:age_mask=no", "robust:width=1",
)  # fmt: skip


def name_of(function):
    while isinstance(function, partial):
        function = function.func
    return function and f"{function.__module__.split('.')[-1]}.{function.__name__}"


def described(method):
    """All that a method says of itself."""
    parameter = [torch.nn.Parameter(torch.zeros(1))]
    training, given, decision = method.training, method.input, method.decision

    def stage(each):
        group = each.make_optimizer(parameter).param_groups[0]
        rates = [each.learning_rate(step / 20) for step in range(20)]
        kept = {key: str(group[key]) for key in ("lr", "weight_decay", "betas", "eps")}
        loss = each.make_loss(np.eye(len(method.classes), dtype=bool), method.diagnoses.weights)
        logits = torch.linspace(-2, 2, len(method.classes))[None]
        value = loss(logits, (logits > 0.5).float())
        return [each.name, each.epochs, each.select, each.average_epochs, kept, rates, float(value)]

    with torch.device("meta"):
        network = method.build_network()
    return {
        "settings": dict(method.settings),
        "name": method.name,
        "parameters": sum(value.numel() for value in network.state_dict().values()),
        "input": [given.sampling_frequency, given.window, given.units, given.band, name_of(given.features)],
        "training": [training.n_folds, training.n_members, training.batch_size, training.simulated_share],
        "mixing": training.mixing,
        "items": [name_of(training.make_targets), name_of(training.use_for_training), name_of(training.augment)],
        "more": [name_of(f) for f in (training.prepare, training.without_size, training.select_classes)],
        "leads": [training.missing_leads, len(training.masked_leads), method.leads],
        "stages": [stage(each) for each in training.stages],
        "decision": [name_of(decision.merge), *map(name_of, (decision.search_thresholds, decision.decide))],
        "members": name_of(decision.combine),
        "conventions": [name_of(decision.by_convention), decision.moves_scores, method.signal_part is not None],
    }  # fmt: skip


def methods():
    """Methods by the words of a command line, for each set of diagnoses."""
    found = {words: text_of(lambda text: described(build_method(text, BUILDERS)), words) for words in WORDS}
    for name in ("2021", "ptb-xl"):
        for words in ("hybrid", "hybrid:convolutions=true", "robust", "butteam", "zhao"):
            found[f"{words}, {name}"] = described(build_method(words, BUILDERS, SETS[name]))
    return found


PARTS = {
    part.__name__: part
    for part in (targets, windows, training_items, standardised, features, decisions, leads, methods)
}


def same(found, expected, place):
    if isinstance(expected, dict):
        assert set(found) == set(expected), place
        for key, value in expected.items():
            same(found[key], value, f"{place}: {key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for k, (one, other) in enumerate(zip(found, expected, strict=True)):
            same(one, other, f"{place}[{k}]")
    elif isinstance(expected, float):
        # Measurements hang on a network; all else is rounded here alone.
        close = {"rel": 0.01, "abs": 0.02} if place.startswith("features") else {"rel": 1e-3, "abs": 1e-4}
        assert found == pytest.approx(expected, **close), place
    else:
        assert found == expected, place


@pytest.mark.parametrize("part", PARTS)
def test_methods_take_teach_decide_and_ask_as_was_noted(part):
    same(rounded(PARTS[part]()), json.loads(GOLDEN.read_text())[part], part)


if __name__ == "__main__":
    noted = {name: rounded(part()) for name, part in PARTS.items()}
    lines = [
        f'"{name}": {{\n' + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in each.items()) + "\n}"
        for name, each in noted.items()
    ]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
