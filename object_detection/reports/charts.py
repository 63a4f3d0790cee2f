"""Curves as inline SVG: one line for each class, that of all classes bold."""

import html
from typing import NamedTuple

import numpy as np

from object_detection.structures.drawing import color_of

_WIDTH, _HEIGHT = 460, 320
_LEFT, _TOP, _RIGHT, _BOTTOM = 44, 12, 12, 40  # around the plot
_MAX_COLORED = 12  # with more classes, lines have no colors of their own


class Line(NamedTuple):
    """One curve; both axes run from 0 to 1."""

    name: str
    x: np.ndarray
    y: np.ndarray
    key: str = ""  # of the class, for the page's selection; '': the line of all classes


def chart(title, x_label, y_label, lines):
    """Return a chart as a self-contained `svg` element.

    Args:
        title: Caption, also for screen readers.
        x_label, y_label: Of the axes.
        lines: List of `Line`s.
    """
    colored = sum(bool(line.key) for line in lines) <= _MAX_COLORED
    drawn = "".join(_line(line, color_of(k) if colored else None) for k, line in enumerate(lines))
    title = html.escape(title)
    return (
        f'<figure><figcaption>{title}</figcaption><svg class="chart" role="img" '
        f'aria-label="{title}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"{_axes(x_label, y_label)}{drawn}</svg></figure>"
    )


def legend(lines):
    """Return the names of the lines with their colors; '' if they have none."""
    classes = [line for line in lines if line.key]
    if len(classes) > _MAX_COLORED:
        return ""
    entries = "".join(
        f'<span><i style="background:{color_of(k)}"></i>{html.escape(line.name)}</span>'
        for k, line in enumerate(lines)
        if line.key
    )
    return f'<p class="legend"><span><i class="all"></i>all classes</span>{entries}</p>'


def _axes(x_label, y_label):
    parts = []
    for tick in np.linspace(0, 1, 6):
        x, y = _position(tick, tick)
        low = _position(0, 0)
        high = _position(1, 1)
        parts.append(f'<path class="grid" d="M{x} {low[1]}V{high[1]}M{low[0]} {y}H{high[0]}"/>')
        parts.append(f'<text x="{x}" y="{low[1] + 15}" text-anchor="middle">{tick:.1f}</text>')
        parts.append(f'<text x="{low[0] - 6}" y="{y + 4}" text-anchor="end">{tick:.1f}</text>')
    middle = _position(0.5, 0.5)
    parts.append(
        f'<text x="{middle[0]}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{html.escape(x_label)}</text>"
        f'<text transform="translate(12 {middle[1]}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_label)}</text>"
    )
    return "".join(parts)


def _line(line, color):
    points = " ".join(
        "{},{}".format(*_position(x, y))
        for x, y in zip(line.x, line.y, strict=True)
        if np.isfinite(x) and np.isfinite(y)
    )
    style = f' style="stroke:{color}"' if color and line.key else ""
    kind = "of-class" if line.key else "of-all"
    return (
        f'<polyline class="{kind}" data-class="{html.escape(line.key)}" points="{points}"{style}>'
        f"<title>{html.escape(line.name)}</title></polyline>"
    )


def _position(x, y):
    """Return the position of a point of the plot in the picture."""
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    return round(_LEFT + x * wide, 1), round(_HEIGHT - _BOTTOM - y * high, 1)
