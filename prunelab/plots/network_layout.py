"""Where each box and line of a network's picture goes, in pixels, y downwards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prunelab.plots.network_flow import LAYERS, MEETINGS, Columns, Edge

WIDTH, MARGIN = 900.0, 26.0
ARC, LINE = 8.0, 13.0  # from arc to arc; height of a line of letters
LETTER = 0.6  # width of a letter, in font sizes
Point = tuple[float, float]


class Scale(NamedTuple):
    """How large things are drawn, in pixels."""

    wide: float
    high: float
    small: float
    gap: float
    font: float


SIZES = (Scale(56, 36, 20, 14, 11), Scale(40, 30, 17, 10, 10), Scale(25, 26, 13, 8, 8.5))


class Box(NamedTuple):
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


class Note(NamedTuple):
    """A label: of a block, with the area behind it, or of the size of the maps from here on.

    `module` is the block's name.
    """

    kind: str
    text: str
    x: float
    y: float
    wide: float
    high: float
    module: str = ""


@dataclass(frozen=True)
class Layout:
    """A picture of a network.

    Attributes:
        boxes: row name -> its box.
        edges: (source, target) -> corners of the line between them, one list for each line of the
            picture that it is on.
        notes: labels of blocks and map sizes.
        width: of the whole picture; height: likewise.
        font: height of the letters.
    """

    boxes: dict[str, Box]
    edges: dict[Edge, list[list[Point]]]
    notes: list[Note]
    width: float
    height: float
    font: float


def layout(rows: Sequence[Mapping], width: float = WIDTH) -> Layout:
    """Places for the rows of `prunelab.groups.diagram`.

    The longest path runs straight from left to right, branches in lanes below it, shortcuts in
    arcs above it. A long network goes on in further lines. Boxes shrink as lines are needed.

    Args:
        rows: what `prunelab.groups.diagram` gives.
        width: width of the picture in pixels.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("layout: `rows` is empty")
    flow = Columns(rows)
    for size, lines in zip(SIZES, (1, 2, None)):
        wide = _widths(flow, size)
        starts = flow.starts([w + size.gap for w in wide], width - 2 * MARGIN + size.gap)
        if lines is None or len(starts) <= lines:
            break
    return _Lines(flow, size, wide, starts).layout()


def _widths(flow: Columns, size: Scale) -> list[float]:
    """Width of each column: that of its widest box."""
    wide = [size.small] * len(flow.main)
    for name, column in flow.column.items():
        if flow.rows[name]["kind"] not in MEETINGS:
            wide[column] = size.wide
    return wide


class _Lines:
    """The lines of a picture; line i begins with column starts[i]."""

    def __init__(self, flow: Columns, size: Scale, wide: list[float], starts: list[int]) -> None:
        self.flow, self.size, self.wide, self.starts = flow, size, wide, starts
        self.line = [sum(c >= s for s in starts) - 1 for c in range(len(wide))]
        self.x: list[float] = []
        for column in range(len(wide)):
            fresh = column in starts
            self.x.append(MARGIN if fresh else self.x[-1] + wide[column - 1] + size.gap)
        self.right = max(x + w for x, w in zip(self.x, wide)) + size.gap
        self.step = size.high + size.font + 9
        self.axis: list[float] = []  # y of the main path of each line
        self.tops: list[float] = []
        y = 4.0
        for line in range(len(starts)):
            self.tops.append(y)
            lanes = [*self._lanes(line)]
            titled = any(self.line[b.first] <= line <= self.line[b.last] for b in flow.blocks)
            self.axis.append(y + LINE * (1 + titled) + 4 - ARC * min(lanes) + size.high / 2)
            y = self.axis[-1] - size.high / 2 + (max(lanes) + 1) * self.step + 5
        self.height = y

    def _lanes(self, line: int) -> Iterator[int]:
        """The lanes that are in use on a line."""
        yield 0
        yield from (lane for name, lane in self.flow.lane.items() if self._line_of(name) == line)
        for (source, target), track in self.flow.track.items():
            if self._begins(source) <= line <= self._line_of(target):
                yield track

    def _line_of(self, name: str) -> int:
        return self.line[self.flow.column[name]]

    def _begins(self, source: str) -> int:
        """The line on which an edge turns: that of the column after its source."""
        return self.line[self.flow.column[source] + 1]

    def _y(self, line: int, lane: int) -> float:
        if lane < 0:
            return self.axis[line] - self.size.high / 2 - 3 + ARC * lane
        return self.axis[line] + lane * self.step

    def layout(self) -> Layout:
        boxes = {name: self._box(name) for name in self.flow.rows}
        edges = {edge: [*self._path(edge, boxes)] for edge in self.flow.graph.edges}
        notes = [*self._block_notes(), *self._size_notes()]
        return Layout(boxes, edges, notes, self.right + 8, self.height, self.size.font)

    def _box(self, name: str) -> Box:
        column, kind = self.flow.column[name], self.flow.rows[name]["kind"]
        wide, high, label = self.size.wide, self.size.high, kind
        if kind in MEETINGS:
            wide = high = self.size.small * (0.7 if kind == "cat" else 1)
            label = ""
        elif kind in LAYERS:
            module = next((b.module for b in self.flow.blocks if name in b.layers), "")
            label = fitted(name.removeprefix(f"{module}."), self._letters(wide + self.size.gap))
        x = self.x[column] + (self.wide[column] - wide) / 2
        y = self._y(self.line[column], self.flow.lane[name]) - high / 2
        return Box(name, kind, x, y, wide, high, label)

    def _letters(self, room: float) -> int:
        return int((room - 1) / (LETTER * self.size.font))

    def _path(self, edge: Edge, boxes: Mapping[str, Box]) -> Iterator[list[Point]]:
        """Corners on each line: from the source to a track, along it, and to the target."""
        source, target = (boxes[name] for name in edge)
        first, last = self._begins(edge[0]), self._line_of(edge[1])
        track, gap = self.flow.track[edge], self.size.gap
        column = self.flow.column[edge[0]]
        start, turn = source.x + source.wide, self.x[column] + self.wide[column] + gap / 2
        back, end = self.x[self.flow.column[edge[1]]] - gap / 2, target.middle[1]
        if self.line[column] < first:
            yield [(start, source.middle[1]), (self.right, source.middle[1])]
            start, turn = MARGIN - gap, MARGIN - gap / 2
        for line in range(first, last + 1):
            y, own = self._y(line, track), self._y(line, self.flow.lane[edge[0]])
            path = [(start, own), (turn, own), (turn, y)] if line == first else [(MARGIN - gap, y)]
            if line != last:
                path.append((self.right, y))
            elif track < 0 and target.kind in MEETINGS:
                path += [(target.middle[0], y), (target.middle[0], target.y)]
            else:
                path += [(back, y), (back, end), (target.x, end)]
            yield path

    def _block_notes(self) -> Iterator[Note]:
        """A note for each line that a block is on."""
        pad = self.size.gap / 2 - 1
        for block in self.flow.blocks:
            for line in range(self.line[block.first], self.line[block.last] + 1):
                columns = [c for c in range(block.first, block.last + 1) if self.line[c] == line]
                x, last = self.x[columns[0]] - pad, columns[-1]
                wide = self.x[last] + self.wide[last] + pad - x
                lanes = [self.flow.lane[n] for n in block.layers if self._line_of(n) == line]
                top = self.tops[line] + LINE
                bottom = self._y(line, 1 + max(lanes, default=0)) - self.size.high / 2
                text = fitted(block.module, self._letters(wide))
                yield Note("block", text, x, top, wide, bottom - 2 - top, block.module)

    def _size_notes(self) -> list[Note]:
        """The size of the maps where it changes; of two that would overlap, the second."""
        notes: list[Note] = []
        shown: tuple[int, ...] = ()
        for column in range(len(self.flow.main)):
            size = self.flow.map_size(column)
            if size and (size != shown or column in self.starts):
                shown, x, y = size, self.x[column], self.tops[self.line[column]]
                text = f"{size[0]}×{size[1]}"
                if notes and notes[-1].y == y and notes[-1].x + notes[-1].wide > x:
                    notes.pop()
                notes.append(Note("size", text, x, y, LETTER * self.size.font * len(text), LINE))
        return notes


def fitted(name: str, most: int) -> str:
    """A layer's name in at most so many letters: its last word, or words cut to their initials."""
    name = name.removesuffix(".conv")
    last = name.rpartition(".")[2]
    short = re.sub(r"([A-Za-z])[A-Za-z_]*(?=.*\.)", r"\1", name)
    told = last if re.search("[A-Za-z]", last) else short
    for text in (name, told):
        if len(text) <= most:
            return text
    if told != last:
        return f"…{short[1 - most :]}"
    word, number = re.fullmatch(r"(.*?)([\dx]*)", last).groups()
    return f"{word[: most - len(number)]}{number}"
