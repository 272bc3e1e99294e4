"""Names beside marks, each where it covers least."""

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
ROUNDS = 3  # in which each name moves to where it then does least harm
RIM = 7.0  # points from the middle of a mark

Place = tuple[float, float, str]  # points right of and above the mark, and the alignment
SIDES = (("left", 10), ("right", -10))
NEAR: list[Place] = [(x, y, side) for y in (0, 13, -13) for side, x in SIDES]
FAR: list[Place] = [
    (sign * far * np.sin(angle), far * np.cos(angle), side)
    for far in (20, 32, 46, 62)
    for side, sign, turns in (
        ("center", 1, (0, 180)),
        ("left", 1, (30, 60, 120, 150)),
        ("right", -1, (30, 60, 120, 150)),
    )
    for angle in np.radians(turns)
]


class Name(NamedTuple):
    """Words that belong to a mark at (x, y) of the axes."""

    text: str
    x: float
    y: float
    colour: str = INK
    weight: str = "normal"


def label(fig: Figure, ax: Axes, names: Sequence[Name]) -> None:
    """Write the names, with a thin line to the mark where it is not right beside.

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
    for name, size, (x, y, side) in zip(names, ground.sizes, ground.places):
        ax.annotate(
            name.text, (name.x, name.y), (x, y), size=SIZE, color=name.colour, weight=name.weight,
            textcoords="offset points", ha=side, va="center", zorder=5,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip
        if y:
            half = np.sign(y) * size[1] / ground.point / 2 if side == "center" else 0
            _leader(ax, name, np.array([x, y - half]))


def _leader(ax: Axes, name: Name, end: np.ndarray) -> None:
    """A thin line from the rim of a mark to a name; `end` in points from the mark."""
    ends = np.stack([RIM * end / np.hypot(*end), end]) / 72
    at = ax.figure.dpi_scale_trans + ScaledTranslation(name.x, name.y, ax.transData)
    ax.add_line(Line2D(*ends.T, transform=at, color=GREY, lw=0.8, zorder=3))


class _Ground:
    """What lies on the axes and where names are put on it, in dots of the picture."""

    def __init__(self, ax: Axes, names: Sequence[Name]):
        self.point, self.frame = ax.figure.dpi / 72, ax.bbox
        self.drawn = np.concatenate([_along(line) for line in ax.lines])
        self.marks = ax.transData.transform([(name.x, name.y) for name in names])
        self.sizes = [_size(ax, name) for name in names]
        self.places = [NEAR[0]] * len(names)
        self.boxes: dict[int, Bbox] = {}  # of the names put so far

    def move(self, i: int) -> None:
        """Put name `i` where it does least harm, the first of equal places."""
        self.boxes.pop(i, None)
        self.places[i] = min(NEAR + FAR, key=lambda place: self._harm(i, place))
        self.boxes[i] = self._box(i, self.places[i])

    def _box(self, i: int, place: Place) -> Bbox:
        (x, y, side), (wide, high) = place, self.sizes[i]
        left = self.marks[i][0] + self.point * x
        left -= {"left": 0, "center": wide / 2, "right": wide}[side]
        return Bbox.from_bounds(left, self.marks[i][1] + self.point * y - high / 2, wide, high)

    def _harm(self, i: int, place: Place) -> float:
        """Other names and the edge weigh most, then marks, then lines and single dots."""
        box = self._box(i, place)
        worst = box.count_overlaps(list(self.boxes.values()))
        worst += not all(self.frame.contains(*corner) for corner in (box.min, box.max))
        marks = box.padded(RIM * self.point).count_contains(self.marks)
        lines = box.padded(CLEAR * self.point).count_contains(self.drawn)
        return 1000 * worst + 200 * marks + lines + (self._leader_harm(i, place) if place[1] else 0)

    def _leader_harm(self, i: int, place: Place) -> float:
        """Names that the line to the mark crosses, marks it passes by, and its length."""
        leader = self.marks[i] + np.linspace(0.1, 1, 12)[:, None] * self.point * np.array(place[:2])
        crossed = sum(bool(other.count_contains(leader)) for other in self.boxes.values())
        others = self.marks[np.hypot(*(self.marks - self.marks[i]).T) > 1]
        away = np.hypot(*(leader[:, None] - others).T).min(axis=1)
        near = int((away < RIM * self.point).sum())
        return 100 * crossed + 30 * near + np.hypot(*place[:2]) / 10


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
