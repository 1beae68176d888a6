"""From measurements and a model's probabilities to statements of the AHA/ACC/HRS list."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from scipy.special import expit, logit

from ecg.interpretation.criteria import Verdict, verdict_on
from ecg.interpretation.exclusions import exclude
from ecg.interpretation.quantities import ADULT, Quantities, beyond, quantities_of
from ecg.interpretation.recording_quality import quality_warnings
from ecg.interpretation.statement_list import read_table, statement_list, terms_of_class, words_of
from ecg.measurements.types import Measurements

Certainty = Literal["definite", "probable", "possible"]
CERTAINTIES: tuple[Certainty, ...] = ("definite", "probable", "possible")
Opinions = Mapping[str, Mapping[str, float]]
"""Probabilities of classes by the name of a model: ``{"model": {"164889003": 0.9}, "statements": {"AFIB": 0.95}}``."""

SINUS, SINUS_TACHYCARDIA, SINUS_BRADYCARDIA, UNCERTAIN_RHYTHM = 20, 21, 22, 27
NORMAL, OTHERWISE_NORMAL, UNINTERPRETABLE = 1, 2, 4
REVERSED, MISSING_LEADS, POOR_QUALITY = 10, 12, 15
_SINUS_RHYTHMS = (SINUS, SINUS_TACHYCARDIA, SINUS_BRADYCARDIA)
FIBRILLATION, PACED, RBBB = 50, 181, 106
_MEASURED_TACHYCARDIAS = (76, 56)  # wide, narrow: regular without P waves
# Probabilities from which a statement is definite, probable or possible; their precision is in docs/statements.md.
LIMITS: dict[str, tuple[float, float, float]] = {
    "model": (0.8, 0.5, 0.3),
    "met": (0.5, 0.35, 0.1),
    "borderline": (1.1, 0.5, 0.15),
    "not met": (1.1, 0.5, 0.35),
}
_BORDERLINE = (SINUS_BRADYCARDIA, 30, 60, 120, 121)  # beside which an ECG is otherwise normal
_CLOSEST = 1e-6
_POOR = ("noise", "mains", "gain?", "clipped")
_RBBB_LEADS = ("V1", "V2", "V3")  # their ST-T follows from the block (part IV)


@dataclass(frozen=True)
class Statement:
    """A statement about a recording.

    `code` is that of the AHA/ACC/HRS list, `statement` has its modifiers, in the list's words. `certainty` is
    "definite", "probable" or "possible". `probability` is that of the model's classes for it, NaN where measurements
    alone say it. `evidence` holds the numbers for it or against it. `acute` says what a reader must not miss; "" for
    most.
    """

    code: int
    statement: str
    certainty: Certainty
    probability: float
    evidence: str
    modifiers: tuple[int, ...] = ()
    acute: str = ""


def interpret(
    measured: Measurements, age: float, sex: str, opinions: Opinions | None = None, definitions: str = "clinical"
) -> list[Statement]:
    """Put a recording into statements.

    `age`: years, NaN where unknown. `sex`: "Female", "Male" or "Unknown". `opinions`: calibrated probabilities of each
    model, by the codes of the Challenge or of PTB-XL; without them the criteria alone decide. `definitions`: the
    convention whose limits hold: "clinical" or "ptb-xl". What is acute comes first, then the others in the order of the
    list; none contradict.
    """
    technical = _technical(measured)
    if measured.n_beats == 0:
        return [_made(UNINTERPRETABLE, "definite", math.nan, ["no heart beat found"])]
    quantities = quantities_of(measured, age, sex)
    reader = _Reader(age, sex, definitions, *probabilities_of_codes(opinions or {}), quantities)
    others = [code for code in policies() if code not in _rhythms()]
    made = (each for each in (reader.rhythm(), *map(reader.of_code, others)) if each)
    found = {each.code: _with_acute(each, quantities) for each in made}
    if RBBB in found:
        reader = replace(reader, quantities=quantities_of(measured, age, sex, _RBBB_LEADS))
        for code in (145, 147):
            found.pop(code, None)
            if again := reader.of_code(code):
                found[code] = _with_acute(again, quantities)
    if technical:
        found.pop(NORMAL, None)
    kept = exclude(_overall(found), _rank)
    kept |= {each.code: each for each in _secondary(kept, reader)}
    order = list(statement_list())
    return sorted([*technical, *kept.values()], key=lambda each: (not each.acute, order.index(each.code)))


@dataclass(frozen=True)
class Policy:
    """How a statement is decided: a row of ``data/policy.csv``."""

    # "measurement": made where its criterion is met, the model says how certain; "both": made by the model, its
    # criterion makes it more or less certain; "model": by the model alone; "rhythm": one of these stands for the
    # recording.
    decided_by: str
    # One of "definite", "probable", "possible": the least certainty of a statement that is measured, or always said,
    # where its criterion is clearly met.
    floor: Certainty
    # Probabilities from which it is definite, probable or possible where its criterion is met.
    limits: tuple[float, ...]


@cache
def policies() -> dict[int, Policy]:
    """The policy of every statement that can be made by itself."""
    floors: dict[str, Certainty] = {each: each for each in CERTAINTIES}
    found = {}
    for row in read_table("policy.csv"):
        limits = tuple(float(row[word] or usual) for word, usual in zip(CERTAINTIES, LIMITS["met"], strict=True))
        found[int(row["code"])] = Policy(row["decided_by"], floors[row["floor"]], limits)
    return found


def is_rhythm(code: int) -> bool:
    """Whether a statement is about the dominant rhythm."""
    return code == UNCERTAIN_RHYTHM or code in _rhythms()


@cache
def _rhythms() -> tuple[int, ...]:
    return tuple(code for code, policy in policies().items() if policy.decided_by == "rhythm")


def probabilities_of_codes(opinions: Opinions) -> tuple[dict[int, float], dict[int, tuple[int, ...]]]:
    """The probability of each statement, and the modifiers of the class that says it most.

    Classes of one model that mean the same statement are taken as independent signs of it: ``1 - prod(1 - p)``. Models
    are averaged in log odds.
    """
    each: dict[int, list[float]] = {}
    loudest: dict[int, tuple[float, tuple[int, ...]]] = {}
    for probabilities in opinions.values():
        absent: dict[int, float] = {}
        for label, probability in probabilities.items():
            for term in terms_of_class(label) if math.isfinite(probability) else ():
                absent[term.code] = absent.get(term.code, 1.0) * (1 - probability)
                loudest[term.code] = max(loudest.get(term.code, (-1.0, ())), (probability, term.modifiers))
        for code, none in absent.items():
            each.setdefault(code, []).append(float(logit(min(max(1 - none, _CLOSEST), 1 - _CLOSEST))))
    probabilities_by_code = {code: float(expit(sum(odds) / len(odds))) for code, odds in each.items()}
    return probabilities_by_code, {code: modifiers for code, (_, modifiers) in loudest.items()}


def certainty_of(policy: Policy, verdict: Verdict, probability: float | None) -> Certainty | None:
    """How certain a statement is by the criteria and the model together; None where it is not made."""
    decided_by, floor = policy.decided_by, policy.floor
    if not verdict.allowed:
        return None
    made = verdict.state in ("met", "borderline")
    if probability is None:
        if decided_by == "model" or verdict.state != "met":
            return None
        return "definite" if decided_by == "measurement" else "possible"
    if decided_by == "measurement" and not made:
        return None
    state = "model" if decided_by == "model" or verdict.state == "unknown" else verdict.state
    limits = policy.limits if state == "met" else LIMITS[state]
    by_model = next((word for word, limit in zip(CERTAINTIES, limits, strict=True) if probability >= limit), None)
    if (decided_by == "measurement" and verdict.state == "met") or verdict.always:
        return min(by_model or floor, floor, key=CERTAINTIES.index)
    return by_model


@dataclass(frozen=True)
class _Reader:
    """A recording whose statements are being made."""

    age: float
    sex: str
    definitions: str
    probabilities: dict[int, float]
    modifiers: dict[int, tuple[int, ...]]
    quantities: Quantities

    def verdict(self, code: int) -> Verdict:
        return verdict_on(code, self.quantities, self.age, self.sex, self.definitions)

    def of_code(self, code: int) -> Statement | None:
        """The statement of a code that is not a dominant rhythm, as far as it alone goes."""
        policy = policies()[code]
        if self.definitions != "clinical":  # limits that were read off labels make nothing certain
            policy = replace(policy, floor="possible")
        verdict = self.verdict(code)
        certainty = certainty_of(policy, verdict, self.probabilities.get(code))
        return None if certainty is None else self._statement(code, certainty, verdict)

    def _statement(self, code: int, certainty: Certainty, verdict: Verdict) -> Statement:
        probability = self.probabilities.get(code, math.nan)
        made = verdict.state in ("met", "borderline")
        modifiers = verdict.modifiers if made else self.modifiers.get(code, ())
        evidence = [*verdict.evidence]
        if verdict.name and code in (142, 143, 145, 147):
            evidence[0] = f"{verdict.name}: {evidence[0]}"
        if not made and verdict.state == "not met":
            evidence.append("the criterion is not met")
        return _made(code, certainty, probability, evidence, modifiers, verdict.leads)

    def rhythm(self) -> Statement:
        """The dominant rhythm."""
        if not self.probabilities:
            return self._measured_rhythm()
        sinus = 1.0
        for code in _SINUS_RHYTHMS:
            sinus *= 1 - self.probabilities.get(code, 0.0)
        rivals = {SINUS: 1 - sinus}
        for code in _rhythms():
            if code not in _SINUS_RHYTHMS and self.verdict(code).allowed:
                rivals[code] = self.probabilities.get(code, 0.0)
        code = max(rivals, key=lambda each: rivals[each])
        probability = rivals[code]
        fast = any(self.verdict(each).state == "met" for each in _MEASURED_TACHYCARDIAS)
        if probability < LIMITS["model"][0 if fast else 2]:
            # No rhythm is likely. P waves before every complex still are what sinus rhythm is, and fast complexes
            # without P waves a tachycardia, wherever it comes from.
            found = self._measured_rhythm()
            by_measurement = found.code in (*_SINUS_RHYTHMS, *_MEASURED_TACHYCARDIAS)
            return found if by_measurement else replace(found, certainty="possible")
        limits = zip(CERTAINTIES, LIMITS["model"], strict=True)
        certainty: Certainty = next(word for word, limit in limits if probability >= limit)
        p_waves = self.quantities["p_waves"].value
        against = p_waves == 0 if code == SINUS else p_waves == 1 and code in (FIBRILLATION, *_MEASURED_TACHYCARDIAS)
        if against and certainty == "definite":
            certainty = "probable"
        if code == SINUS:
            if p_waves == 1:  # the criterion is met: as of other statements that have one
                certainty = "definite" if probability >= LIMITS["met"][0] else "probable"
            return self._sinus(certainty, probability)
        return self._statement(code, certainty, self.verdict(code))

    def _sinus(self, certainty: Certainty, probability: float = math.nan) -> Statement:
        """Sinus rhythm, by its rate as it is printed a bradycardia or a tachycardia; a child's as the model says."""
        rate = self.quantities["rate"].value
        slowest = 60 if self.definitions == "clinical" else 50
        if self.age < ADULT and self.probabilities:
            code = max(_SINUS_RHYTHMS, key=lambda each: self.probabilities.get(each, 0.0))
        elif self.age < ADULT or not math.isfinite(rate):
            code = SINUS
        else:
            code = SINUS_TACHYCARDIA if round(rate) > 100 else SINUS_BRADYCARDIA if round(rate) < slowest else SINUS
        verdict = self.verdict(code)
        evidence = [self.quantities[name].words for name in ("rate", "p_waves", "pr")]
        modifiers = verdict.modifiers if verdict.state == "met" else ()
        return _made(code, certainty, probability, evidence[: 2 + (code == SINUS)], modifiers)

    def _measured_rhythm(self) -> Statement:
        for code in (PACED, *_MEASURED_TACHYCARDIAS, FIBRILLATION):
            verdict = self.verdict(code)
            if verdict.state in ("met", "borderline") and verdict.allowed:
                return self._statement(code, "probable" if verdict.state == "met" else "possible", verdict)
        if self.quantities["p_waves"].value == 1:
            return self._sinus("probable")
        evidence = tuple(self.quantities[name].words for name in ("rate", "p_waves", "rr_variation"))
        return self._statement(UNCERTAIN_RHYTHM, "possible", Verdict("met", True, evidence=evidence))


def _made(
    code: int,
    certainty: Certainty,
    probability: float,
    evidence: Sequence[str],
    modifiers: tuple[int, ...] = (),
    leads: Sequence[str] = (),
) -> Statement:
    words = [*evidence] if math.isnan(probability) else [*evidence, f"model {probability:.2f}"]
    return Statement(code, words_of(code, modifiers, leads), certainty, probability, ", ".join(words), modifiers)


def _technical(measured: Measurements) -> list[Statement]:
    """What is wrong with the recording as a recording."""
    quality, found = measured.quality, []
    if quality.suspected_swap:
        words = f"limb leads fit {quality.suspected_swap.replace('-', ' and ')} exchanged"
        found.append(_made(REVERSED, "probable", math.nan, [words]))
    if quality.leads_off:
        found.append(_made(MISSING_LEADS, "definite", math.nan, [f"no signal in {', '.join(quality.leads_off)}"]))
    poor = [sentence.rstrip(".") for word, sentence in quality_warnings(measured) if word in _POOR]
    if poor:
        found.append(_made(POOR_QUALITY, "probable", math.nan, poor))
    return found


def _rank(statement: Statement) -> tuple[int, float]:
    """What counts more where two statements exclude each other: certainty, then probability."""
    probability = statement.probability if math.isfinite(statement.probability) else 0.5
    return -CERTAINTIES.index(statement.certainty), probability


def _overall(found: dict[int, Statement]) -> dict[int, Statement]:
    """Settle "Normal ECG" against all else: what is only possible gives way, what is more makes the ECG not normal."""
    normal = found.get(NORMAL)
    if normal is None:
        return found
    certain = normal.certainty != "possible"
    fine = (SINUS, 23, NORMAL)
    rest = [
        each
        for each in found.values()
        if each.code not in fine and not (certain and each.certainty == "possible" and not each.acute)
    ]
    if not certain or any(each.code not in _BORDERLINE or each.acute for each in rest):
        return {code: each for code, each in found.items() if code != NORMAL}
    kept = {each.code: each for each in (*rest, *(found[code] for code in fine[:2] if code in found))}
    overall = OTHERWISE_NORMAL if rest else NORMAL
    return {overall: replace(normal, code=overall, statement=words_of(overall)), **kept}


def _secondary(kept: Mapping[int, Statement], reader: _Reader) -> list[Statement]:
    """Secondary statements that the model makes, beside a primary one that they may accompany."""
    found = []
    for code, term in statement_list().items():
        beside = next((each for each in kept if each in term.accompanies), None)
        if beside is None:
            continue
        probability = reader.probabilities.get(code, 0.0)
        if term.kind == "secondary" and probability >= LIMITS["model"][1]:
            certainty: Certainty = "definite" if probability >= LIMITS["model"][0] else "probable"
            found.append(_made(code, certainty, probability, [f"beside {words_of(beside)}"]))
        elif code == 202 and reader.quantities["coved_v1"].value:
            found.append(_made(code, "possible", math.nan, [reader.quantities["coved_v1"].words]))
    return found


def _with_acute(statement: Statement, quantities: Quantities) -> Statement:
    for row in read_table("acute.csv"):
        quantity = quantities.get(row["quantity"])
        if (
            str(statement.code) in row["codes"].split()
            and all(int(modifier) in statement.modifiers for modifier in row["modifiers"].split())
            and CERTAINTIES.index(statement.certainty) <= [*CERTAINTIES].index(row["least"])  # type: ignore[arg-type]
            and (quantity is None or beyond(quantity.value, row["relation"], float(row["limit"])))
        ):
            return replace(statement, acute=row["words"])
    return statement
