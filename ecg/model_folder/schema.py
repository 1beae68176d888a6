"""What `config.json` of a model folder says of the model: types by a schema, then numbers for each class as arrays."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from ecg.arrays import Floats
from ecg.decisions.adaptation import Adaptation
from ecg.decisions.calibration import Calibration
from ecg.decisions.conventions import CONVENTIONS, DEFAULT, Convention, ConventionTable, published
from ecg.leads import LEADS
from ecg.measurements.features import FEATURES

_LARGEST = 1e9  # of a coefficient of log odds
_FEWEST = msgspec.Meta(min_length=1)
_FILE = msgspec.Meta(pattern=r"^[\w-]+\.safetensors\Z", description="in the model folder itself")


class MemberConfig(msgspec.Struct, frozen=True):
    """One network: the file of its weights, the checksum of that, and the thresholds of its probabilities."""

    weights: Annotated[str, _FILE]
    sha256: str
    thresholds: dict[str, float]


class AdaptationConfig(msgspec.Struct, frozen=True):
    """An adaptation, by the class that comes out; its weights are in the order of the classes that go in."""

    weights: dict[str, list[float]]
    intercepts: dict[str, float]
    thresholds: dict[str, float] | None = None
    definitions: str | None = None


class Config(msgspec.Struct, frozen=True):
    """All that a model is computed with; other keys are for people.

    `input` and `classes` are what the method has to ask for.
    """

    format: Literal[1]
    method: str
    settings: dict[str, Any]
    input: dict[str, Any]
    classes: list[str]
    members: Annotated[list[MemberConfig], _FEWEST]
    leads: Annotated[list[str], _FEWEST] | None = None  # any will do
    masked_leads: bool = False
    diagnoses: Any = None  # `Diagnoses` has a check of its own
    definitions: str = DEFAULT
    conventions: dict[str, ConventionTable] = {}
    calibration: dict[str, tuple[float, float]] | None = None
    adaptation: AdaptationConfig | None = None

    def __post_init__(self) -> None:
        if self.leads is not None and self.leads != [lead for lead in LEADS if lead in self.leads]:
            raise _problem("leads", f"leads out of {', '.join(LEADS)}, in this order", self.leads)
        if self.definitions not in CONVENTIONS:
            raise _problem("definitions", f"one of {', '.join(CONVENTIONS)}", self.definitions)
        for name, table in self.conventions.items():
            if name not in CONVENTIONS:
                raise _problem(f"conventions.{name}", f"one of {', '.join(CONVENTIONS)}", name)
            for code, row in table.limits.items():
                if row.measured not in FEATURES:
                    raise _problem(f"conventions.{name}.limits.{code}.measured", "the name of a feature", row.measured)

    def read_thresholds(self) -> Floats:
        """The thresholds of all members, (n_members, n_classes)."""
        places = [f"members[{number}].thresholds" for number in range(len(self.members))]
        tables = [member.thresholds for member in self.members]
        return np.stack([self._by_class(*each, 0.0, 1.0) for each in zip(places, tables, strict=True)])

    def read_conventions(self) -> dict[str, Convention]:
        """The conventions that the folder holds, by name."""
        found = {}
        for name, table in self.conventions.items():
            try:
                found[name] = table.for_classes(tuple(self.classes))
            except ValueError as error:
                raise ValueError(f"conventions.{name}.{error}") from None
        return found

    def read_calibration(self) -> Calibration | None:
        """The calibration, where there is one."""
        if self.calibration is None:
            return None
        slopes, intercepts = self._by_class("calibration", self.calibration).T
        self._require_positive("calibration", slopes)
        return Calibration(slopes, intercepts)

    def read_adaptation(self) -> Adaptation | None:
        """The adaptation, where there is one."""
        if self.adaptation is None:
            return None
        for code, row in self.adaptation.weights.items():
            if len(row) != len(self.classes):
                raise _problem(f"adaptation.weights.{code}", f"{len(self.classes)} numbers", row)
        weights = self._by_class("adaptation.weights", self.adaptation.weights)
        self._require_positive("adaptation.weights", weights.diagonal())
        intercepts = self._by_class("adaptation.intercepts", self.adaptation.intercepts)
        stored = self.adaptation.thresholds
        thresholds = None if stored is None else self._by_class("adaptation.thresholds", stored, 0.0, 1.0)
        definitions = self.adaptation.definitions
        if definitions is not None and definitions not in CONVENTIONS:
            raise _problem("adaptation.definitions", f"one of {', '.join(CONVENTIONS)}", definitions)
        return Adaptation(weights.T, intercepts, thresholds, definitions)

    def _by_class(
        self, place: str, table: Mapping[str, object], lowest: float = -_LARGEST, highest: float = _LARGEST
    ) -> Floats:
        """A table's numbers in the order of the classes."""
        if set(table) != set(self.classes):
            raise _problem(place, f"an entry for each of the {len(self.classes)} classes", table)
        values = np.array([table[code] for code in self.classes], dtype=np.float64)
        for code, inside in zip(self.classes, (values >= lowest) & (values <= highest), strict=True):
            if not np.all(inside):  # nor for NaN
                raise _problem(f"{place}.{code}", f"numbers from {lowest:g} to {highest:g}", table[code])
        return values

    def _require_positive(self, place: str, slopes: Floats) -> None:
        if (slopes <= 0).any():
            code = self.classes[int(np.argmin(slopes))]
            raise _problem(f"{place}.{code}", "a slope above 0", float(slopes.min()))


def parse(stored: Any) -> Config:
    """The content of a ``config.json`` by the schema; ValueError says where something else stands."""
    try:
        return msgspec.convert(stored, Config)
    except msgspec.ValidationError as error:
        text = str(error).replace("Number out of range", "Expected a smaller number")
        said, _, place = text.partition(" - at `$.")
        place = place.removesuffix("`")
        if missing := re.fullmatch("Object missing required field `(.*)`", said):
            raise _problem(f"{place}.{missing[1]}".removeprefix("."), "a value", None) from None
        if not place:  # not a JSON object, or from `__post_init__`
            raise ValueError(said.replace("Expected", "expected").replace("got", "found")) from None
        expected, _, found = said.removeprefix("Expected ").partition(", got ")
        raise ValueError(f"{place}: expected {expected}, found {found or _shortened(_at(stored, place))}") from None


def _at(value: Any, place: str) -> Any:
    """The value at a place like ``members[0].weights``; ``[...]`` is where the library does not say which."""
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", place.partition("[...]")[0]):
        value = value[int(index)] if index else value[key]
    return value


def _problem(place: str, expected: str, found: object) -> ValueError:
    return ValueError(f"{place}: expected {expected}, found {'none' if found is None else _shortened(found)}")


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} ..."


def convention_rows() -> dict[str, Any]:
    """The package's conventions as ``config.json`` holds them: what a model decides by then stays with it."""
    return {"definitions": DEFAULT, "conventions": {name: msgspec.to_builtins(published(name)) for name in CONVENTIONS}}


def calibration_rows(classes: Sequence[str], calibration: Calibration) -> dict[str, list[float]]:
    """A calibration as ``config.json`` holds it: slope and intercept by class."""
    lines = zip(classes, calibration.slopes.tolist(), calibration.intercepts.tolist(), strict=True)
    return {code: [round(slope, 6), round(intercept, 6)] for code, slope, intercept in lines}


def adaptation_rows(classes: Sequence[str], adaptation: Adaptation) -> dict[str, Any]:
    """An adaptation as ``config.json`` holds it, see `AdaptationConfig`."""
    parts = {"weights": adaptation.weights.T.round(6), "intercepts": adaptation.intercepts.round(6)}
    if adaptation.thresholds is not None:
        parts["thresholds"] = adaptation.thresholds
    rows: dict[str, Any] = {name: dict(zip(classes, part.tolist(), strict=True)) for name, part in parts.items()}
    return rows if adaptation.definitions is None else {**rows, "definitions": adaptation.definitions}
