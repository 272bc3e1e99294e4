"""Labels beside marks, each placed where it covers least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox, ScaledTranslation

from prunelab.plots.frame import GREY

INK = "#333333"
SIZE = 9.5  # of the letters
CLEAR = 5.0  # points around a name without lines
RIM = 7.0  # points from the middle of a mark

# Places of a name: points right of and above its mark, and the share of it that lies left of there.
BESIDE = [(10 - 20 * side, y, side) for y in (0, 13, -13) for side in (0, 1)]
AROUND = [
    (sign * far * np.sin(angle), far * np.cos(angle), (1 - sign) / 2)
    for far in (20, 32, 46, 62, 80, 100)
    for sign, turns in ((0, (0, 180)), (1, (30, 60, 120, 150)), (-1, (30, 60, 120, 150)))
    for angle in np.radians(turns)
]
PLACES = BESIDE + AROUND
ALIGNED = {0: "left", 0.5: "center", 1: "right"}


class Name(NamedTuple):
    """Words that belong to a mark at (x, y) of the axes."""

    text: str
    x: float
    y: float
    colour: str = INK
    weight: str = "normal"


def label(fig: Figure, ax: Axes, names: Sequence[Name]) -> None:
    """Write the names, with a thin line to the mark unless it is right beside it.

    Args:
        fig: the figure, complete but for the names.
        ax: the axes, with their limits.
        names: of marks that are drawn.
    """
    if not names:
        return
    fig.draw_without_rendering()  # places the axes
    point = fig.dpi / 72
    marks = ax.transData.transform([(name.x, name.y) for name in names])
    drawn = np.concatenate([_along(line) for line in ax.lines])
    taken: list[Bbox] = []
    for name, mark in zip(names, marks):
        size = np.array(_size(ax, name))
        corners = [mark + point * np.array([x, y]) - size * (side, 0.5) for x, y, side in PLACES]
        boxes = [Bbox.from_bounds(*corner, *size) for corner in corners]
        harm = [_harm(ax, box, point, taken, marks, drawn) for box in boxes]
        # The way weighs least; of equal places the first is taken.
        costs = [h + np.hypot(x, y) / 10 * (y != 0) for h, (x, y, _) in zip(harm, PLACES)]
        chosen = int(np.argmin(costs))
        taken.append(boxes[chosen])
        x, y, side = PLACES[chosen]
        ax.annotate(
            name.text, (name.x, name.y), (x, y), size=SIZE, color=name.colour, weight=name.weight,
            textcoords="offset points", ha=ALIGNED[side], va="center", zorder=5,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip
        if y:
            up = y - np.sign(y) * size[1] / point / 2 * (side == 0.5)
            _leader(ax, name, np.array([x, up]))


def _leader(ax: Axes, name: Name, end: np.ndarray) -> None:
    """A thin line from the rim of a mark to a name; `end` in points from the mark."""
    ends = np.stack([RIM * end / np.hypot(*end), end]) / 72
    at = ax.figure.dpi_scale_trans + ScaledTranslation(name.x, name.y, ax.transData)
    ax.add_line(Line2D(*ends.T, transform=at, color=GREY, lw=0.8, zorder=3))


def _harm(
    ax: Axes, box: Bbox, point: float, taken: list[Bbox], marks: np.ndarray, drawn: np.ndarray
) -> float:
    """What a name in this box would cover, in dots: other names weigh most, then marks."""
    outside = not (ax.bbox.contains(*box.min) and ax.bbox.contains(*box.max))
    covered = box.padded(RIM * point).count_contains(marks)
    crossed = box.padded(CLEAR * point).count_contains(drawn)
    return 1000 * (outside + box.count_overlaps(taken)) + 200 * covered + crossed


def _size(ax: Axes, name: Name) -> tuple[float, float]:
    """Width and height of a name in dots."""
    text = ax.text(name.x, name.y, name.text, size=SIZE, weight=name.weight)
    box = text.get_window_extent()
    text.remove()
    return box.width, box.height


def _along(line: Line2D) -> np.ndarray:
    """(n, 2) places in dots that a line passes; a line of single markers passes those."""
    at = line.get_transform().transform(line.get_xydata())
    if len(at) < 2 or line.get_linestyle() == "None":
        return at
    fine = np.linspace(0, len(at) - 1, 40 * len(at))
    return np.stack([np.interp(fine, np.arange(len(at)), axis) for axis in at.T], axis=1)
