"""A folder's recordings shared out over several processes, by the same rule for every command."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """One of so many equal parts of a folder, such as 3/16."""

    number: int = 1  # `number`, `count`: which one, from 1, of how many
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
