"""How good statements are, on recordings with diagnoses in their headers.

A statement counts as right if the header has a scored diagnosis that means the same. Sinus rhythm is left out, and so
are statements that no scored diagnosis stands for. The models must not have been trained on these recordings. The
command is `ecg benchmark statements`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecg.inference.classifier import load_model
from ecg.inference.interpret_recordings import interpret_recordings
from ecg.interpretation import Statement, contradictions, doubts
from ecg.interpretation.statement_list import terms_of_class
from ecg.io.formats import read
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.measurements.types import Measurements
from ecg.runtime.progress import progress
from ecg.studies import markdown_tables
from ecg.training.folds import in_folds, read_folds

SINUS_RHYTHM = 20
_MORE_CODES = {"164884008": 60}  # ventricular ectopic beats, which PTB-XL's headers have and no score asks for


@dataclass
class Quality:
    """What was counted over recordings."""

    recordings: int = 0
    statements: int = 0
    contradicted: int = 0
    uncertain: int = 0
    acute: int = 0
    # `right`, `wrong`, `missed`: of the statements said as definite or probable; of the header's diagnoses those that
    # none of them says.
    right: int = 0
    wrong: int = 0
    missed: int = 0
    found: int = 0
    # Right (True) and wrong (False) statements.
    by_certainty: dict[str, Counter[bool]] = field(default_factory=lambda: defaultdict(Counter))
    # Right and wrong ones of the recordings that are not uncertain.
    sure: Counter[bool] = field(default_factory=Counter)

    def add(
        self,
        statements: Sequence[Statement],
        measured: Measurements,
        labels: Iterable[str],
        *,
        age: float = math.nan,
        definitions: str = "clinical",
    ) -> None:
        """Count a recording; `labels`: codes of its header, `age`: years, `definitions`: the statements' convention."""
        wanted = codes_of_labels(labels)
        unsure = bool(doubts(statements, measured))
        self.recordings += 1
        self.statements += len(statements)
        self.uncertain += unsure
        self.acute += any(each.acute for each in statements)
        self.contradicted += bool(contradictions(statements, measured, age=age, definitions=definitions))
        said = set()
        for each in statements:
            if each.code not in SCORED:
                continue
            right = each.code in wanted
            self.by_certainty[each.certainty][right] += 1
            if each.certainty != "possible":
                said.add(each.code)
                self.right, self.wrong = self.right + right, self.wrong + (not right)
                self.sure[right] += not unsure
        self.found += len(wanted & said)
        self.missed += len(wanted - said)

    def rows(self) -> list[tuple[str, str]]:
        """What was found, for people."""
        shares = {word: _share(count[True], count[False]) for word, count in self.by_certainty.items()}
        words = [word for word in ("definite", "probable", "possible") if word in shares]
        return [
            ("recordings", str(self.recordings)),
            ("precision of definite and probable", _share(self.right, self.wrong)),
            ("recall", _share(self.found, self.missed)),
            *((f"precision of {word}", shares[word]) for word in words),
            ("recordings with a contradiction", _share(self.contradicted, self.recordings - self.contradicted)),
            ("statements a recording", f"{self.statements / max(self.recordings, 1):.2f}"),
            ("recordings with an acute statement", _share(self.acute, self.recordings - self.acute)),
            ("uncertain recordings", _share(self.uncertain, self.recordings - self.uncertain)),
            ("precision without the uncertain", _share(self.sure[True], self.sure[False])),
        ]


def codes_of_labels(labels: Iterable[str]) -> set[int]:
    """The statements that mean what a header's diagnoses mean, without sinus rhythm."""
    found: set[int] = set()
    for label in labels:
        column = CHALLENGE_2020.column_of.get(label)
        terms = terms_of_class(CHALLENGE_2020.classes[column]) if column is not None else ()
        found |= {term.code for term in terms} | ({_MORE_CODES[label]} if label in _MORE_CODES else set())
    return found - {SINUS_RHYTHM}


SCORED = codes_of_labels([*CHALLENGE_2020.classes, *_MORE_CODES])


def _share(yes: int, no: int) -> str:
    return f"{yes / max(yes + no, 1):.3f} ({yes} of {yes + no})"


def table(qualities: Mapping[str, Quality]) -> str:
    """All as a table in Markdown, a column for each group of recordings."""
    columns = {name: dict(quality.rows()) for name, quality in qualities.items()}
    names = dict.fromkeys(name for rows in columns.values() for name in rows)
    rows = ([name, *(rows.get(name, "") for rows in columns.values())] for name in names)
    return markdown_tables.table(["", *columns], rows) + "\n"


def measure_statements(data: Path, models: Sequence[Path], definitions: str, fold: int | None) -> str:
    """Interpret a folder's recordings, or those of a fold, and count; the table in Markdown.

    `data`: folder of recordings with diagnoses. With a `folds.csv` there is a column for each database. `models`:
    folders of trained models. `definitions`: the convention.
    """
    paths = in_folds(data, () if fold is None else (fold,))
    if not paths:
        raise ValueError(f"{data}: expected recordings (of the fold), found none")
    databases = {name: database for name, (database, _) in read_folds(data).items()}
    qualities: dict[str, Quality] = defaultdict(Quality)
    found = interpret_recordings(paths, [load_model(folder) for folder in models], definitions)
    for path, each in zip(paths, progress(found, len(paths), "Interpreting"), strict=True):
        if each.measured is not None:
            recording = read(path)
            quality = qualities[databases.get(path.stem, "all")]
            quality.add(each.statements, each.measured, recording.labels, age=recording.age, definitions=definitions)
    return table(qualities)
