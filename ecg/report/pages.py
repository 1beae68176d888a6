"""Pages from templates: strictly escaped, without inline scripts, whole or absent."""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ecg.io.files import write_file
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.leads import LEADS
from ecg.report.findings import NO_DEVICE, not_said

_HERE = Path(__file__).resolve().parent
_ASSETS = "assets"
ORDER = "order.js"
_LONGEST_NAME = 80  # characters of a page's file name before its checksum


def page_name(stem: str) -> str:
    """A file name, without suffix, that is safe in every file system and address; one of its own for each stem."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:_LONGEST_NAME]
    if safe and safe == stem and not re.search(r"-[0-9a-f]{10}$", stem):
        return safe
    checksum = hashlib.sha256(stem.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{safe.strip('_') or 'recording'}-{checksum}"


def printable(text: str) -> str:
    """Text that UTF-8 can hold: a file name may have bytes that are none."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def minus(text: str) -> str:
    """A text of numbers with minus signs that are some."""
    return text.replace("-", "\N{MINUS SIGN}")


def with_digits(value: float | None, digits: int, unit: str = "") -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else minus(f"{value:.{digits}f}{unit}")


def write_assets(folder: Path) -> None:
    """The style sheet and scripts that the pages of a report share."""
    (folder / _ASSETS).mkdir(parents=True, exist_ok=True)
    for file in sorted((_HERE / "static").iterdir()):
        write_file(folder / _ASSETS / file.name, file.read_bytes())


def write_order(folder: Path, pages: Iterable[tuple[str, str]]) -> None:
    """The script by which pages lead to each other: the file and the name of each in ``pages/``, in their order."""
    write_file(folder / ORDER, f"window.ORDER = {as_json(list(pages))};\n")


def render(
    template: str, title: str, *, root: str, scripts: Sequence[str], data: str = "", note: str = "", **context: Any
) -> str:
    """A page that loads style sheet and scripts from the report's folder.

    `root`: the way from the page to the report's folder: "" or "../". `scripts`: beside the one for light and dark.
    `data`: a script with data, from the report's folder; none if empty. `note`: a sentence for the top of the page.
    """
    sources = [f"{root}{_ASSETS}/{name}" for name in ("theme.js", *scripts)]
    if data:
        sources.insert(1, f"{root}{data}")
    head = Markup(f'<link rel="stylesheet" href="{root}{_ASSETS}/report.css">\n') + Markup("\n").join(
        Markup('<script src="{}"></script>').format(source) for source in sources
    )
    policy = _policy("'self'", "'self'")
    return _render(template, title=title, root=root, note=note, head=head, policy=policy, **context)


def render_single(template: str, title: str, *, scripts: Sequence[str], note: str = "", **context: Any) -> str:
    """A page with everything in it; its policy lets in what it was made with and nothing else, by checksum."""
    style = (_HERE / "static" / "report.css").read_text(encoding="utf-8")
    codes = [(_HERE / "static" / name).read_text(encoding="utf-8") for name in ("theme.js", *scripts)]
    head = Markup(f"<style>{style}</style>\n") + Markup("\n").join(Markup(f"<script>{code}</script>") for code in codes)
    policy = _policy(" ".join(map(_checksum, codes)), _checksum(style))
    return _render(template, title=title, root="", note=note, head=head, policy=policy, **context)


def _policy(scripts: str, styles: str) -> str:
    return f"default-src 'none'; script-src {scripts}; style-src {styles}; base-uri 'none'; form-action 'none'"


def _checksum(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _render(template: str, **context: Any) -> str:
    words = not_said(context.pop("diagnoses", CHALLENGE_2020))
    return _environment().get_template(template).render(no_device=NO_DEVICE, not_said=words, leads=LEADS, **context)


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def as_script(data: object) -> str:
    """Data as a script file that a page opened from a disk can load (it can't fetch)."""
    return f"window.REPORT = {as_json(data)};\n"


def as_json(data: object) -> Markup:
    """JSON that may stand inside a page: no character of it can end a script element."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
