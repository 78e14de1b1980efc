"""Compute the geometry of line charts as positions within an SVG; the page draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .curves import Points

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 34
STEPS = (1, 2, 2.5, 5, 10)
WHOLE_STEPS = (1, 2, 5, 10)  # for epochs and steps


@dataclass(frozen=True)
class Line:
    """A curve of a chart.

    Attributes:
        name: What it shows.
        points: (x, value).
        colour: The number of its colour on the page.
        dashes: The number of its dash pattern, 0 for a solid line.
    """

    name: str
    points: Points
    colour: int = 0
    dashes: int = 0


@dataclass(frozen=True)
class Chart:
    """A chart with all positions computed.

    Attributes:
        title: What is shown.
        unit: What x counts.
        lines: The curves.
        paths: The ``d`` of each curve's SVG path.
        x_ticks: Positions and labels at the bottom.
        y_ticks: Positions and labels at the left.
        mark: Position of a vertical line; None for none.
        x_range: Smallest and largest x.
        y_range: Smallest and largest value.
    """

    title: str
    unit: str
    lines: Sequence[Line]
    paths: list[str]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    mark: float | None
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def line_chart(title: str, unit: str, lines: Sequence[Line], mark: float | None = None) -> Chart:
    """Compute the layout of a chart.

    Args:
        title: What is shown.
        unit: What x counts.
        lines: The curves, with at least one point.
        mark: The x of a vertical line, such as the best epoch.

    Raises:
        ValueError: If there is no point.
    """
    kept = [line for line in lines if line.points]
    if not kept:
        raise ValueError(f'{title}: there is no point to plot')
    xs = [x for line in kept for x, _ in line.points]
    ys = [y for line in kept for _, y in line.points]
    x_range = _widened(min(xs), max(xs))
    y_ticks = ticks(*_widened(min(ys), max(ys)), 5)
    y_range = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)
    whole = ticks(*x_range, 7, WHOLE_STEPS)
    x_ticks = [x for x in whole if x_range[0] <= x <= x_range[1] and x == int(x)]

    def across(x: float) -> float:
        return round(_scaled(x, x_range, LEFT, WIDTH - RIGHT), 1)

    def up(y: float) -> float:
        return round(_scaled(y, y_range, HEIGHT - BOTTOM, TOP), 1)

    return Chart(
        title=title,
        unit=unit,
        lines=kept,
        paths=['M' + 'L'.join(f'{across(x)} {up(y)}' for x, y in line.points) for line in kept],
        x_ticks=[(across(x), f'{x:g}') for x in x_ticks],
        y_ticks=[(up(y), f'{y:.4g}') for y in y_ticks],
        mark=across(mark) if mark is not None and x_range[0] <= mark <= x_range[1] else None,
        x_range=x_range,
        y_range=y_range,
    )


def ticks(low: float, high: float, most: int, steps: Sequence[float] = STEPS) -> list[float]:
    """Return round numbers that cover a range.

    Args:
        low: Its lower end.
        high: Its upper end, larger.
        most: About how many numbers to return.
        steps: Allowed distances between two of them, times a power of ten.

    >>> ticks(0.3, 9.2, 5)
    [0.0, 2.5, 5.0, 7.5, 10.0]
    """
    raw = (high - low) / max(most - 1, 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(s * power for s in steps if s * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _widened(low: float, high: float) -> tuple[float, float]:
    if high > low:
        return low, high
    spread = abs(low) * 0.1 or 0.5
    return low - spread, high + spread


def _scaled(value: float, limits: tuple[float, float], start: float, end: float) -> float:
    return start + (value - limits[0]) / (limits[1] - limits[0]) * (end - start)
