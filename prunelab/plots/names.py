"""Labels beside marks, each placed where it covers least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from prunelab.plots.frame import GREY

INK = "#333333"
SIZE = 9.5  # of the letters
CLEAR = 5.0  # points around a name without lines
RIM = 7.0  # points from the middle of a mark
ROUNDS = 3  # in which each name moves to where it then does least harm

# Places of a name: points right of and above its mark, and the share of it that lies left of there.
BESIDE = [(10 - 20 * side, y, side) for y in (0, 13, -13) for side in (0, 1)]
AROUND = [
    (sign * far * np.sin(angle), far * np.cos(angle), (1 - sign) / 2)
    for far in (20, 32, 46, 62, 80, 100)
    for sign, turns in ((0, (0, 180)), (1, (30, 60, 120, 150)), (-1, (30, 60, 120, 150)))
    for angle in np.radians(turns)
]
PLACES = np.array(BESIDE + AROUND)
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
    ground = _Ground(ax, names)
    for i in list(range(len(names))) * ROUNDS:
        ground.move(i)
    for name, place, size in zip(names, ground.chosen, ground.sizes / ground.point):
        x, y, side = PLACES[place]
        ax.annotate(
            name.text, (name.x, name.y), (x, y), size=SIZE, color=name.colour, weight=name.weight,
            textcoords="offset points", ha=ALIGNED[side], va="center", zorder=5,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip
        if y:
            _leader(ax, name, np.array([x, y - np.sign(y) * size[1] / 2 * (side == 0.5)]))


def _leader(ax: Axes, name: Name, end: np.ndarray) -> None:
    """A thin line from the rim of a mark to a name; `end` in points from the mark."""
    ends = np.stack([RIM * end / np.hypot(*end), end]) / 72
    at = ax.figure.dpi_scale_trans + ScaledTranslation(name.x, name.y, ax.transData)
    ax.add_line(Line2D(*ends.T, transform=at, color=GREY, lw=0.8, zorder=3))


class _Ground:
    """Where names are put, and the cost of each of PLACES; lengths in dots.

    Attributes:
        low, high: (names, places, 2) corners of the words.
        leaders: (names, places, 12, 2) along the lines to the marks.
        harm: (names, places) by all that is not a name.
        chosen: (names,) index into PLACES; -1 = nowhere yet.
    """

    def __init__(self, ax: Axes, names: Sequence[Name]):
        self.point = ax.figure.dpi / 72
        self.sizes = np.array([_size(ax, name) for name in names])
        marks = ax.transData.transform([(name.x, name.y) for name in names])
        left_and_below = np.stack([PLACES[:, 2], np.full(len(PLACES), 0.5)], axis=1)
        offsets = self.point * PLACES[:, :2]
        self.low = marks[:, None] + offsets - self.sizes[:, None] * left_and_below
        self.high = self.low + self.sizes[:, None]
        along = np.linspace(0.1, 1, 12)[:, None]
        self.leaders = marks[:, None, None] + offsets[:, None] * along
        self.chosen = np.full(len(names), -1)
        drawn = np.concatenate([_along(line) for line in ax.lines])
        self.harm = np.stack([self._fixed(ax, i, marks, drawn) for i in range(len(names))])

    def _fixed(self, ax: Axes, i: int, marks: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """(places,) The edge weighs most, then marks, then lines, single dots and the way."""
        low, high = self.low[i], self.high[i]
        outside = (low < ax.bbox.min).any(1) | (high > ax.bbox.max).any(1)
        covered = _inside(marks, low, high, RIM * self.point).sum(0)
        crossed = _inside(drawn, low, high, CLEAR * self.point).sum(0)
        others = marks[np.hypot(*(marks - marks[i]).T) > 1]
        ways = np.hypot(*np.moveaxis(self.leaders[i][:, :, None] - others, -1, 0))
        passed = (ways < RIM * self.point).any(1).sum(1)
        way = np.where(PLACES[:, 1] == 0, 0, 30 * passed + np.hypot(*PLACES[:, :2].T) / 10)
        return 1000 * outside + 200 * covered + crossed + way

    def move(self, i: int) -> None:
        """Move name `i` to the place of least cost; the first of equal ones."""
        others = np.flatnonzero((self.chosen >= 0) & (np.arange(len(self.chosen)) != i))
        low, high = (corner[others, self.chosen[others]] for corner in (self.low, self.high))
        over = (self.low[i][:, None] < high) & (self.high[i][:, None] > low)
        through = _inside(self.leaders[i], low, high, 0).any(1) & (PLACES[:, 1:2] != 0)
        self.chosen[i] = (self.harm[i] + 1000 * over.all(2).sum(1) + 100 * through.sum(1)).argmin()


def _inside(at: np.ndarray, low: np.ndarray, high: np.ndarray, room: float) -> np.ndarray:
    """(points..., boxes) bool: which points lie in which boxes, widened by `room`."""
    at = at[..., None, :]
    return ((at > low - room) & (at < high + room)).all(-1)


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
