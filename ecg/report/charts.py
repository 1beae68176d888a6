"""Small charts as SVG, coloured by the style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from ecg.arrays import Floats, Ints

_LEFT, _TOP, _SIDE = 46, 8, 150
_TEXT_UNDER = 34


@dataclass(frozen=True)
class Line:
    """A curve; `kind` is one of the style sheet's: first, second (dashed), even (thin).

    Points are drawn where it is known how many recordings each stands for, larger where there are more.
    """

    x: Floats
    y: Floats
    kind: str = "first"
    counts: Ints | None = None


def chart(
    lines: Sequence[Line],
    x_name: str,
    y_name: str,
    title: str,
    *,
    y_range: tuple[float, float] = (0.0, 1.0),
    wide: bool = False,
) -> Markup:
    """Curves over x from 0 to 1; `title` says in words what the chart shows; `wide`: three times as wide."""
    width = _SIDE * (3 if wide else 1)
    low, high = y_range
    parts = [f'<rect class="plot" x="{_LEFT}" y="{_TOP}" width="{width}" height="{_SIDE}"/>']
    for share in (0.0, 0.5, 1.0):
        x, y = _LEFT + share * width, _TOP + (1 - share) * _SIDE
        parts.append(
            f'<path class="tick" d="M{x:g} {_TOP}v{_SIDE}M{_LEFT} {y:g}h{width}"/>'
            f'<text x="{x:g}" y="{_TOP + _SIDE + 13}" class="middle">{share:g}</text>'
            f'<text x="{_LEFT - 4}" y="{y + 4:g}" class="end">{_short(low + share * (high - low))}</text>'
        )
    for line in lines:
        if not len(line.x):
            continue
        across = _LEFT + np.clip(line.x, 0, 1) * width
        down = _TOP + (1 - np.clip((line.y - low) / (high - low), 0, 1)) * _SIDE
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, down, strict=True))
        parts.append(f'<path class="line {line.kind}" d="{path}"/>')
        if line.counts is not None:
            parts += [
                f'<circle class="dot {line.kind}" cx="{a:.1f}" cy="{b:.1f}" r="{1.2 + 1.4 * np.log10(n):.1f}">'
                f"<title>{n} recordings</title></circle>"
                for a, b, n in zip(across, down, line.counts.tolist(), strict=True)
            ]
    parts.append(f'<text class="middle name" x="{_LEFT + width / 2:g}" y="{_TOP + _SIDE + 29}">{escape(x_name)}</text>')
    parts.append(
        f'<text class="middle name" transform="translate(9 {_TOP + _SIDE / 2:g}) rotate(-90)">{escape(y_name)}</text>'
    )
    full_width, height = _LEFT + width + 10, _TOP + _SIDE + _TEXT_UNDER
    return Markup(
        f'<svg class="chart{" wide" if wide else ""}" viewBox="0 0 {full_width} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def interval(value: float, low: float, high: float, second: tuple[float, float, float] | None = None) -> Markup:
    """A value with its interval on a line from -0.2 to 1; a second one below it, dashed."""
    parts = ['<path class="tick" d="M20 0v24M70 0v24M120 0v24"/>']
    rows = [(value, low, high, "first")] + ([(*second, "second")] if second else [])
    for place, (middle, start, end, kind) in enumerate(rows):
        a, b, c = (20 + 100 * float(np.clip(each, -0.2, 1)) for each in (start, middle, end))
        y = 12 if len(rows) == 1 else 7 + 10 * place
        parts.append(
            f'<path class="line {kind}" d="M{a:.1f} {y}H{c:.1f}"/><circle class="dot {kind}" cx="{b:.1f}" '
            f'cy="{y}" r="3.5"/>'
        )
    return Markup(f'<svg class="interval" viewBox="0 0 124 24" aria-hidden="true">{"".join(parts)}</svg>')


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-", "\N{MINUS SIGN}")
