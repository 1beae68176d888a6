"""Lines of an interpretation that name a person."""

import re
from collections.abc import Iterable

_SIGNATURE = re.compile(
    r"\W*(?:electronically )?(?:un)?(?:confirmed|reviewed|signed|over-?read|edited|referred|ordered|interpreted)\b",
    re.IGNORECASE,
)


def without_signatures(lines: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Lines apart from those that say who read, ordered or confirmed it ("Confirmed by ..."); the latter numbered."""
    lines = list(lines)
    signed = [line for line in lines if _SIGNATURE.match(line)]
    others = {f"signature {i + 1}": line for i, line in enumerate(signed)}
    return tuple(line for line in lines if line not in signed), others
