"""Small bar charts as inline SVG: no script, no font, no address. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 180, 56, 26, 10


def bars(title: str, values: Sequence[tuple[str, float]], *, unit: str, top: float = 0.0) -> str:
    """A bar a value, labels below.

    Args:
        values: `(label, value)` from left to right.
        unit: what the values are, for the description.
        top: the scale's end, if the largest value should not set it.
    """
    most = max([top, *(value for _, value in values)], default=0.0) or 1.0
    width = (_WIDTH - _LEFT) / max(1, len(values))
    plot = _HEIGHT - _BOTTOM - _TOP
    parts = []
    every = max(1, -(-len(values) // 10))
    for at, (label, value) in enumerate(values):
        height = plot * value / most
        x, y = _LEFT + at * width, _TOP + plot - height
        parts.append(
            f'<rect x="{x + width * 0.1:.1f}" y="{y:.1f}" width="{width * 0.8:.1f}" '
            f'height="{height:.1f}"><title>{escape(label)}: {value:g} {escape(unit)}</title></rect>'
        )
        if at % every == 0:
            parts.append(
                f'<text x="{x + width / 2:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )
    lines = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{_TOP + plot * (1 - part):.1f}" '
        f'y2="{_TOP + plot * (1 - part):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + plot * (1 - part) + 4:.1f}" text-anchor="end">'
        f"{_number(most * part)}</text>"
        for part in (0.0, 0.5, 1.0)
    )
    about = (
        f"{title}: {len(values)} bars, largest {most:g} {unit}. The table below has the numbers."
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-label="{escape(about)}">'
        f"<title>{escape(title)}</title><desc>{escape(about)}</desc>{lines}{''.join(parts)}"
        "</svg></figure>"
    )


def rows(title: str, values: Sequence[tuple[str, float]], *, unit: str) -> str:
    """A bar a value from left to right, each with its label before and its number behind.

    Args:
        values: `(label, value)` from top to bottom.
    """
    most = max([value for _, value in values], default=0.0) or 1.0
    height, left, right = 20, 300, 90
    parts = []
    for at, (label, value) in enumerate(values):
        y, width = at * height, (_WIDTH - left - right) * value / most
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{left}" y="{y + 3}" width="{width:.1f}" height="{height - 6}"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + 14}">{value:,.0f}</text>'
        )
    about = f"{title}: {len(values)} bars, in {unit}. The table below has the numbers."
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg role="img" viewBox="0 0 {_WIDTH} {max(1, len(values)) * height}" '
        f'aria-label="{escape(about)}"><title>{escape(title)}</title><desc>{escape(about)}</desc>'
        f"{''.join(parts)}</svg></figure>"
    )


def _number(value: float) -> str:
    """Short enough for the axis: 1,295,000 is 1.3 M."""
    if value >= 1e6:
        return f"{value / 1e6:,.1f} M"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"
