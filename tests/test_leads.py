"""The twelve leads: names, sets, and missing or flat leads computed from others by plain equations."""

import numpy as np
import pytest

from ecg.leads import FLAT, LEAD_SETS, LEADS, fill_missing, parse_leads, through_independent, twelve_leads

# What each limb lead is of I and II (Einthoven; Goldberger).
OF = {"I": (1, 0), "II": (0, 1), "III": (-1, 1), "aVR": (-0.5, -0.5), "aVL": (1, -0.5), "aVF": (-0.5, 1)}


def test_the_leads_and_their_sets():
    assert (*OF, "V1", "V2", "V3", "V4", "V5", "V6") == LEADS
    assert {
        12: LEADS,
        6: tuple(OF),
        4: ("I", "II", "III", "V2"),
        3: ("I", "II", "V2"),
        2: ("I", "II"),
    } == LEAD_SETS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((f"{count}", leads) for count, leads in LEAD_SETS.items()),
        (" 4 ", ("I", "II", "III", "V2")),
        ("v6, avr ,ii", ("II", "aVR", "V6")),
        ("V1", ("V1",)),
        *((text, None) for text in ("5", "1", "", ",", "I,", "I,I", "I,i", "I II", "V7", "-2", "12,I")),
    ],
)
def test_leads_by_number_and_by_name_in_their_order(text, expected):
    if expected is not None:
        assert parse_leads(text) == expected
        return
    words = "expected one of 12, 6, 4, 3, 2, or different names such as I,II,V2, found "
    with pytest.raises(ValueError, match=words) as found:
        parse_leads(text)
    assert str(found.value) == f"leads: {words}{text!r}"


def test_twelve_leads_from_the_eight_independent_ones():
    independent = np.arange(16.0).reshape(8, 2)
    i, ii, *chest = independent
    expected = [a * i + b * ii for a, b in OF.values()] + chest
    np.testing.assert_array_equal(twelve_leads(independent), expected)


def plainly_filled(signal):
    """`fill_missing` in so many words."""
    filled = signal.astype(np.float64)
    n_samples = filled.shape[1]
    lost = [k for k, row in enumerate(filled) if np.isnan(row).all()]
    for row in filled:
        known = [j for j in range(n_samples) if not np.isnan(row[j])]
        for j in range(n_samples):
            if known and np.isnan(row[j]):
                before = max((m for m in known if m < j), default=None)
                after = min((m for m in known if m > j), default=None)
                if before is None or after is None:
                    row[j] = row[after if before is None else before]
                else:
                    row[j] = row[before] + (row[after] - row[before]) * (j - before) / (after - before)
    there = [k for k in range(6) if k not in lost]
    flat = [k for k in there if np.ptp(filled[k].astype(np.float32)) <= np.float32(FLAT)]
    others = [k for k in there if k not in flat]
    rules = np.array(list(OF.values()))
    if len(flat) == 1 and len(others) >= 2:
        [k] = flat
        shown = rules[k] @ np.linalg.pinv(rules[others]) @ filled[others]
        if np.ptp(shown) > 0.1:
            filled[k] = shown
    for k in [k for k in range(6) if k in lost and len(there) >= 2]:
        filled[k] = rules[k] @ np.linalg.pinv(rules[there]) @ filled[there]
        lost.remove(k)
    filled[lost] = 0
    return filled


@pytest.mark.parametrize("seed", range(60))
def test_what_is_missing_or_flat_is_filled_as_the_equations_say(seed):
    rng = np.random.default_rng([95, seed])
    size = 10.0 ** rng.uniform(-2.2, 0)  # mV: some differences of flat leads show nothing
    rows = size * rng.normal(size=(8, 40))
    signal = twelve_leads(rows)[: rng.choice([6, 12])] + rng.choice([0, 0.002]) * rng.normal(size=(1, 40))
    for k in rng.choice(len(signal), int(rng.integers(0, 6)), replace=False):
        fault = rng.choice(["lost", "gap", "ends", "flat", "nearly flat"])
        if fault == "lost":
            signal[k] = np.nan
        elif fault == "gap":
            signal[k, 10:15] = signal[k, 20] = np.nan
        elif fault == "ends":
            signal[k, :3] = signal[k, 38:] = np.nan
        elif fault == "flat":
            signal[k] = rng.choice([0, 0.7])
        else:
            signal[k] = 0.3 + rng.choice([0.9, 1.1]) * FLAT * (np.arange(40) == 7)
    given = signal.astype(np.float32)
    before = given.copy()
    filled = fill_missing(given)
    assert filled.dtype == np.float32
    np.testing.assert_allclose(filled, plainly_filled(given), atol=2e-5)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(("off", "follows"), [(0.0, True), (0.0079, True), (0.0081, False), (-0.0081, False)])
@pytest.mark.parametrize("lead", [2, 3, 4, 5])
def test_computed_leads_are_filtered_by_computing_them_again(lead, off, follows):
    signal = twelve_leads(np.random.default_rng(1).normal(size=(8, 30))).astype(np.float32)
    signal[lead, 7] += off
    asked = []

    def linear(leads):
        asked.append(len(leads))
        return 2 * leads[:, ::2]

    filtered = through_independent(signal, linear)
    assert asked == [8 if follows else 12]
    np.testing.assert_allclose(filtered, 2 * signal[:, ::2], atol=0.02)
    limbs = through_independent(signal[:6], linear)
    np.testing.assert_allclose(limbs, filtered[:6], atol=1e-6)
    assert asked[1] == (2 if follows else 6)
