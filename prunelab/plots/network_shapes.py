"""The parts of a network's picture, in pixels, y downwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CORNER = 5.0  # radius of the turns of a line
Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """How large things are drawn, in pixels."""

    wide: float
    high: float
    small: float
    gap: float
    font: float


@dataclass(frozen=True)
class Box:
    """A row's place: top left corner, extent, and the short label under it."""

    name: str
    kind: str
    x: float
    y: float
    wide: float
    high: float
    label: str

    @property
    def middle(self) -> Point:
        return self.x + self.wide / 2, self.y + self.high / 2


@dataclass(frozen=True)
class Note:
    """A label: of a block, with the area behind it, or of the size of the maps from here on."""

    kind: str
    text: str
    x: float
    y: float
    wide: float
    high: float


@dataclass(frozen=True)
class Layout:
    """A picture of a network in pixels, y downwards.

    Attributes:
        boxes: row name -> its box.
        edges: (source, target) -> corners of the line between them, all turns at right angles.
        notes: labels of blocks and map sizes.
        width: of the whole picture; height: likewise.
        font: height of the letters.
    """

    boxes: dict[str, Box]
    edges: dict[tuple[str, str], list[Point]]
    notes: list[Note]
    width: float
    height: float
    font: float


def straightened(points: Sequence[Point]) -> list[Point]:
    """Without points that repeat or lie on the way between their neighbours."""
    kept: list[Point] = []
    for p in points:
        if kept and kept[-1] == p:
            continue
        if len(kept) > 1 and any(kept[-2][i] == kept[-1][i] == p[i] for i in (0, 1)):
            kept.pop()
        kept.append(p)
    return kept


def rounded(corners: Sequence[Point]) -> list[tuple]:
    """A line through `corners` with its turns rounded.

    Returns:
        ("M", x, y), ("L", x, y) and ("Q", x1, y1, x, y) as in the paths of SVG.
    """
    path: list[tuple] = [("M", *corners[0])]
    for before, corner, after in zip(corners, corners[1:], corners[2:]):
        path.append(("L", *_toward(corner, before)))
        path.append(("Q", *corner, *_toward(corner, after)))
    return [*path, ("L", *corners[-1])]


def _toward(corner: Point, other: Point) -> Point:
    """The point where the turn at `corner` begins or ends, on the way from or to `other`."""
    length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    share = min(CORNER / length, 0.5)
    return tuple(c + share * (o - c) for c, o in zip(corner, other))
