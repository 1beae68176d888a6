"""A folder's recordings shared out over several processes, by the same rule for every command."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """One of so many equal parts of a folder, such as 3/16.

    Attributes
    ----------
    number, count : int
        Which one, from 1, of how many.
    """

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, place: int) -> bool:
        """Whether what stands at this place in the folder, from 0, is in the shard: they take turns."""
        return place % self.count == self.number - 1


WHOLE = Shard()


def parse_shard(text: str) -> Shard:
    """A shard from its text, such as "3/16"; ValueError if it is none."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"{text}: expected K/N with K from 1 to N, such as 3/16")
    return Shard(int(match[1]), int(match[2]))


def places_of_groups(groups: Iterable[Iterable[str]]) -> list[int]:
    """By which place each group of recordings is shared out: its own, from 0, or an earlier one's.

    Groups that have a name in common get one place: of recordings of one name the first that can be read counts, which
    one process has to find out.

    Parameters
    ----------
    groups : iterable of iterables of str
        The names in each group, in the order of the folder.
    """
    places: list[int] = []
    first: dict[str, int] = {}

    def place_of(number: int) -> int:
        while places[number] != number:
            number = places[number]
        return number

    for number, names in enumerate(groups):
        places.append(number)
        for name in names:
            one, other = sorted((place_of(first.setdefault(name, number)), place_of(number)))
            places[other] = one
    return [place_of(number) for number in range(len(places))]
