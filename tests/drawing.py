"""Random choices for files that tests draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

RATE = 100  # Hz: short files are quick


RATE = 100  # Hz: short files are quick


class Draw:
    """Random choices."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def of(self, *usual: Any, rare: Sequence[Any] = ()) -> Any:
        """One of the usual values, or now and then one of the rare ones, which are mostly wrong."""
        values = rare if rare and self.rng.random() < 0.03 else usual
        return values[int(self.rng.integers(len(values)))]

    def maybe(self, text: str) -> str:
        return text if self.rng.random() < 0.75 else ""

    def integers(self, n_leads: int, n_samples: int = 150, largest: int = 900) -> np.ndarray:
        return self.rng.integers(-largest, largest + 1, (n_leads, n_samples))

    def edge(self) -> int:
        """A sample at an end of 16 bits, or an ordinary one."""
        return self.of(5, 5, 32767, 32768, -32767, -32768, -32769)

    def some(self, parts: Sequence[str]) -> list[str]:
        return [part for part in parts if self.rng.random() < 0.75]

    def shuffled(self, parts: Sequence[Any]) -> list[Any]:
        return [parts[i] for i in self.rng.permutation(len(parts))]

    def date(self) -> tuple[int, int, int]:
        years = self.of(1931, 1955, 1987, 2019, rare=(1866, 1900, 2031))
        return (years, 1, 1) if years == 1900 else (years, self.of(1, 3, 11, 12), self.of(1, 8, 20, 21, 28, rare=(31,)))

    def moment(self) -> tuple[int, int, int, int, int, int]:
        day = self.of((2022, 11, 20), (2021, 2, 3), (1999, 12, 31), rare=((0, 0, 0),))
        return *day, self.of(0, 8, 14, 23, rare=(25,)), self.of(0, 5, 59), self.of(0, 1, 30, 59)

    def number(self) -> str:
        return self.of("48", "138", "96.5", "-20", "452", "+7", "1e2", rare=("---", "Failed", "", "0x10", "nan", "1_0"))

    def statements(self) -> list[str]:
        lines = ("Sinus rhythm", "Left axis  deviation", "Confirmed by Dr. No", "Unconfirmed", "*** edited by X", "AF,")
        return self.shuffled(self.some(lines))


def element(tag: str, text: object) -> str:
    return f"<{tag}>{text}</{tag}>"


def joined(row: np.ndarray, separator: str = " ") -> str:
    return separator.join(map(str, row.tolist()))
