"""Tables beside the criteria: exclusions, limits of single leads, acute statements, the statements of each class."""

import math

import pytest

from ecg.interpretation.exclusions import exclude
from ecg.interpretation.interpret import CERTAINTIES, Statement, _rank, _with_acute, policies
from ecg.interpretation.quantities import Quantity
from ecg.interpretation.statement_list import read_table, terms_of_class
from ecg.labels.diagnoses import load_diagnoses

RHYTHMS = [20, 21, 22, 27, 33, 34, 35, 38, 39, 42, *range(50, 57), 63, 64, 65, 70, 72, 73, 74, 75, 76, *range(180, 185)]
PACED = range(181, 185)
NOT_OF_WIDE_COMPLEXES = [128, 142, 143, 144, 145, 146, 147, 160, 161, 162, 163, 165, 166]
"""Hypertrophy, R progression, ST-T and infarction, which a left bundle branch block or a pacemaker hides."""


def pairs(some, others=None):
    return [(a, b) for a in some for b in (some if others is None else others) if a != b]


ONE_STAYS = [*pairs(RHYTHMS), *pairs([104, 105, 106, 108]), *pairs([101, 102]), *pairs([80, 82]),
             *pairs(range(83, 89)), *pairs([120, 121, 122, 123]), *pairs([148, 149])]  # fmt: skip
# The first goes, the second stays.
FIRST_GOES = [
    *pairs([23], [code for code in RHYTHMS if code not in (20, 21, 22)]),
    *pairs([107], [104, 105, 106, 108]),
    (102, 104),
    *pairs([23, 80, 82], range(83, 89)),
    *pairs([80, 82], [27, 50, 51, *range(70, 77), 180, *PACED]),
    *pairs([101, 102, 104, 105, 106, 107, 108, *NOT_OF_WIDE_COMPLEXES], PACED),
    *pairs(NOT_OF_WIDE_COMPLEXES, [104]),
    *pairs([1], [21, 22, 50, 82, 121, 147, 2]),
    *pairs([2], [50, 82, 104, 142, 147, 160]),
]
BOTH_STAY = [(1, 20), (1, 23), (1, 228), (23, 20), (23, 22), (30, 20), (60, 50), (2, 22), (2, 121), (101, 106),
             (101, 105), (82, 20), (82, 106), (147, 106), (142, 121), (148, 104), (121, 181),
             (36, 20), (50, 104)]  # fmt: skip


@pytest.mark.parametrize("strong", [0, 1])
def test_of_statements_that_exclude_each_other_the_surer_one_stays(strong):
    for pair in ONE_STAYS:
        ranks = {pair[strong]: 2, pair[1 - strong]: 1}
        assert exclude(ranks, lambda rank: rank) == {pair[strong]: 2}, pair


def test_some_give_way_however_sure_they_are():
    for gone, stays in FIRST_GOES:
        assert set(exclude({gone: 2, stays: 1}, lambda rank: rank)) == {stays}, (gone, stays)


def test_what_goes_together_stays():
    for pair in BOTH_STAY:
        assert set(exclude(dict.fromkeys(pair, 1), lambda rank: rank)) == set(pair), pair


def test_the_table_names_no_other_code():
    rows = read_table("exclusions.csv")
    codes = {int(code) for row in rows for code in f"{row['codes']} {row['beside']}".split()}
    assert codes <= {code for pair in (*ONE_STAYS, *FIRST_GOES, *BOTH_STAY) for code in pair} | {71, 36}


LEADS_OF = {
    "st_elevation": [("V2 V3", "st_j >= 0.2"), ("I II III aVL aVF V1 V4 V5 V6", "st_j >= 0.1")],
    "st_depression": [("I II III aVL aVF V1 V2 V3 V4 V5 V6", "st_low <= -0.05")],
    "t_inversion": [("I II aVL aVF V2 V3 V4 V5 V6", "t_of_upright <= -0.1")],
    "t_low": [("I II aVL V4 V5 V6", "t_share_of_r < 0.1")],
    "q_anterior": [("V3 V4", "q_score >= 1")],
    "q_anteroseptal": [("V1 V2 V3", "q_score >= 1")],
    "q_inferior": [("II III aVF", "q_score >= 1")],
    "q_lateral": [("I aVL V5 V6", "q_score >= 1")],
    "j_point": [("II III aVF I aVL V4 V5 V6", "j_notch >= 0.1")],
}


def test_limits_of_single_leads_for_a_man_of_60():
    found = {}
    for row in read_table("lead_limits.csv"):
        low, high = float(row["age_from"] or 0), float(row["age_to"] or math.inf)
        if low <= 60 < high and row["sex"] in ("", "Male"):
            limit = f"{row['measured']} {row['relation']} {float(row['limit']):g}"
            found.setdefault(row["quantity"], []).append((row["leads"], limit))
    assert found == LEADS_OF
    assert {row["age_from"] for row in read_table("lead_limits.csv")} == {"18", "40"}


def test_what_decides_about_a_statement():
    decided = {}
    for code, policy in policies().items():
        decided.setdefault(policy.decided_by, set()).add(code)
    assert decided == {
        "model": {1},
        "measurement": {80, 82, 120, 121, 122, 125, 148, 149},
        "both": {23, 30, 60, *range(83, 87), 88, 101, 102, *range(104, 109), 128, *range(140, 144), 145, 147, 155,
                 *range(160, 164), 165, 186},
        "rhythm": {20, 21, 22, 38, 42, 50, 51, 55, 56, 70, 76, 181},
    }  # fmt: skip
    assert {code for code, policy in policies().items() if policy.floor != "possible"} == {120, 121, 122}
    assert {code: policy.limits for code, policy in policies().items() if policy.limits != (0.5, 0.35, 0.1)} == {
        30: (0.5, 0.2, 0.15)
    }


def acute(code, certainty="definite", modifiers=(), **values):
    quantities = {name: Quantity(values.get(name, math.nan), "") for name in ("rate", "qtc")}
    return _with_acute(Statement(code, "", certainty, 0.9, "", modifiers), quantities).acute


ACUTE = [
    (145, (363,), {}, "possible", "ST ELEVATION"),
    (88, (), {}, "possible", "COMPLETE AV BLOCK"),
    *((code, (), {}, "possible", "SECOND-DEGREE AV BLOCK") for code in (83, 84, 85, 86)),
    *((code, (), {}, "possible", "WIDE-QRS OR VENTRICULAR TACHYCARDIA") for code in (70, 72, 73, 74, 76)),
    (55, (), {"rate": 151}, "probable", "TACHYCARDIA ABOVE 150"),
    *(
        (code, (), {"rate": 151}, "possible", "RATE ABOVE 150")
        for code in (20, 21, 27, 34, 50, 51, 52, 53, 54, 56, 181)
    ),
    *((code, (), {"rate": 39}, "possible", "RATE BELOW 40") for code in (20, 22, 27, 38, 42, 50, 51, 181)),
    (148, (), {"qtc": 501}, "possible", "QTc ABOVE 500"),
    (186, (), {}, "possible", "PACEMAKER MAY FAIL TO CAPTURE"),
]


@pytest.mark.parametrize(("code", "modifiers", "values", "least", "words"), ACUTE)
def test_what_is_acute_from_which_number_and_certainty_on(code, modifiers, values, least, words):
    for rank, certainty in enumerate(CERTAINTIES):
        found = acute(code, certainty, modifiers, **values)
        assert found.startswith(words) == (rank <= CERTAINTIES.index(least))
    if modifiers:
        assert acute(code, modifiers=()) == acute(code, modifiers=(362,)) == ""
    for name, value in values.items():
        at_the_limit = value - 1 if "ABOVE" in words else value + 1
        assert acute(code, **{name: at_the_limit}) == "" == acute(code)


def test_the_surer_statement_ranks_higher_then_the_likelier_one():
    sure = [("definite", 0.2), ("probable", 0.9), ("probable", math.nan), ("probable", 0.4), ("possible", 0.99)]
    ranks = [_rank(Statement(20, "", certainty, probability, "")) for certainty, probability in sure]
    assert ranks == sorted(ranks, reverse=True)  # a measured one counts as one half


def test_all_else_is_not_acute():
    rows = read_table("acute.csv")
    assert {int(code) for row in rows for code in row["codes"].split()} == {each[0] for each in ACUTE}
    assert len(rows) == 9


# The AHA/ACC/HRS code of each class, with modifiers behind a plus; several where the class says several things.
CHALLENGE = (
    "270492004:82 164947007:82 164889003:50 164890007:51 426627000:42 713427006:106 713426002:105 445118002:101 "
    "39732003:121 164909002:104 251146004:125 698252002:107 10370003:181 284470004:30 427172004:60 111975006:148 "
    "47665007:120 427393009:23 426177001:22 426783006:20 427084000:21 164934002:147 59931005:147+367"
)
PTB_XL = (
    "NDT:147+321 NST_:145+321 DIG:205 LNGQT:148 NORM:1 IMI:161 ASMI:165 LVH:142 LAFB:101 ISC_:226 IRBBB:105 1AVB:82 "
    "IVCD:107 ISCAL:226 CRBBB:106 CLBBB:104 ILMI:161,163 LAO/LAE:140 AMI:160 ALMI:160,163 ISCIN:226 INJAS:220 LMI:163 "
    "ISCIL:226 LPFB:102 ISCAS:226 INJAL:220 ISCLA:226 RVH:143 ANEUR:227 RAO/RAE:141 WPW:108 ILBBB:107 "
    "IPLMI:161,162,163 ISCAN:226 IPMI:161,162 INJIN:220 INJLA:220 PMI:162 3AVB:88 INJIL:220 2AVB:86 PVC:60 "
    "STD_:145+362 LOWT:147+366 NT_:147+321 PAC:30 LPR:82 INVT:147+367 LVOLT:125 TAB_:147 STE_:145+363 SR:20 AFIB:50 "
    "STACH:21 SARRH:23 SBRAD:22 PACE:181 AFLT:51 SVTAC:55 PSVT:55"
)


@pytest.mark.parametrize(("name", "written"), [("challenge", CHALLENGE), ("ptb-xl", PTB_XL)])
def test_which_statement_a_class_means(name, written):
    found = {}
    for row in read_table("classes.csv"):
        if row["set"] == name:
            found.setdefault(row["class"], []).append("+".join(filter(None, (row["code"], row["modifiers"]))))
    assert " ".join(f"{label}:{','.join(codes)}" for label, codes in found.items()) == written


@pytest.mark.parametrize("joined", [each for each in load_diagnoses("challenge-2021").classes if "|" in each])
def test_a_class_of_several_codes_means_what_one_of_them_does(joined):
    means = {"164909002": 104, "713427006": 106, "284470004": 30, "427172004": 60}
    [expected] = {means[code] for code in joined.split("|") if code in means}
    for label in (joined, "|".join(joined.split("|")[::-1]), f"1|2|{joined}"):
        assert [term.code for term in terms_of_class(label)] == [expected]
    assert terms_of_class("1|2") == ()
