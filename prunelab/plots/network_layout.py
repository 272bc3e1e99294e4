"""Where each box and line of a network's picture goes, in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prunelab.plots.network_flow import LAYERS, MEETINGS, Columns
from prunelab.plots.network_labels import LETTER, endings, fitted, tails
from prunelab.plots.network_shapes import Box, Layout, Note, Point, Scale, straightened

WIDTH, MARGIN = 900.0, 26.0
ARC, LINE = 8.0, 13.0  # from arc to arc; height of a line of letters
SIZES = (Scale(56, 36, 20, 14, 11), Scale(40, 30, 17, 10, 10), Scale(25, 26, 13, 8, 8.5))


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
        breaks = flow.breaks([w + size.gap for w in wide], width - 2 * MARGIN + size.gap)
        if lines is None or len(breaks) < lines:
            break
    return _Lines(flow, size, wide, breaks).layout()


def _widths(flow: Columns, size: Scale) -> list[float]:
    """Width of each column: that of its widest box."""
    wide = [size.small] * len(flow.main)
    for name, column in flow.column.items():
        if flow.rows[name]["kind"] not in MEETINGS:
            wide[column] = size.wide
    return wide


class _Lines:
    """The lines of a picture; line i shows columns starts[i] to starts[i + 1] - 1."""

    def __init__(self, flow: Columns, size: Scale, wide: list[float], breaks: list[int]) -> None:
        self.flow, self.size, self.wide, self.breaks = flow, size, wide, breaks
        self.starts = [0, *(b + 1 for b in breaks)]
        self.line = [sum(c >= s for s in self.starts) - 1 for c in range(len(wide))]
        self.x: list[float] = []
        for column in range(len(wide)):
            fresh = column in self.starts
            self.x.append(MARGIN if fresh else self.x[-1] + wide[column - 1] + size.gap)
        self.returns = {b: self._returning(b) for b in breaks}
        self.step = size.high + size.font + 9
        self.axis: list[float] = []  # y of the main path of each line
        self.tops: list[float] = []
        y = 4.0
        for i in range(len(self.starts)):
            self.tops.append(y)
            above, below = self._lanes(i)
            titled = any(self.line[b.first] <= i <= self.line[b.last] for b in self.flow.blocks)
            head = LINE * (1 + titled) + 4
            self.axis.append(y + head + ARC * above + size.high / 2)
            after = self.returns[breaks[i]] if i < len(breaks) else ()
            y = self.axis[-1] - size.high / 2 + (below + 1) * self.step + 5 + 6 * len(after)
        self.height = y

    def _returning(self, column: int) -> list[tuple[str, int]]:
        """(source, lane) of the lines that go on after a break."""
        flow = self.flow
        crossing = [e for e in flow.edges if flow.column[e[0]] <= column < flow.column[e[1]]]
        return list(dict.fromkeys((e[0], self._lane_at(e, column)) for e in crossing))

    def _lane_at(self, edge: tuple[str, str], column: int) -> int:
        """The lane on which an edge crosses a break; from the last box of a line it goes on."""
        own = self.flow.column[edge[0]] == column
        return self.flow.lane[edge[0]] if own else self.flow.track[edge]

    def _lanes(self, line: int) -> tuple[int, int]:
        """How many arcs lie above the main path of a line, and how many lanes below."""
        here = [lane for name, lane in self.flow.lane.items() if self._line_of(name) == line]
        for edge, track in self.flow.track.items():
            first = self._line_of(edge[0]) + (self.flow.column[edge[0]] in self.breaks)
            if first <= line <= self._line_of(edge[1]):
                here.append(track)
        return max(0, -min(here)), max(0, *here)

    def _line_of(self, name: str) -> int:
        return self.line[self.flow.column[name]]

    def _y(self, line: int, lane: int) -> float:
        if lane < 0:
            return self.axis[line] - self.size.high / 2 - 3 + ARC * lane
        return self.axis[line] + lane * self.step

    def layout(self) -> Layout:
        boxes = {name: self._box(name) for name in self.flow.rows}
        edges = {edge: self._path(edge, boxes) for edge in self.flow.edges}
        ends = [x + wide for x, wide in zip(self.x, self.wide)]
        right = max([*ends, *(x for path in edges.values() for x, _ in path)])
        notes = [*self._block_notes(), *self._size_notes()]
        return Layout(boxes, edges, notes, right + 8, self.height, self.size.font)

    def _box(self, name: str) -> Box:
        column, kind = self.flow.column[name], self.flow.rows[name]["kind"]
        meeting = kind in MEETINGS
        small = self.size.small * (0.7 if kind == "cat" else 1)
        wide, high = (small, small) if meeting else (self.size.wide, self.size.high)
        x = self.x[column] + (self.wide[column] - wide) / 2
        y = self._y(self.line[column], self.flow.lane[name]) - high / 2
        room = self.size.wide + self.size.gap - 1
        names = self._names(name) if kind in LAYERS else [kind]
        label = "" if meeting else fitted(names, room, self.size.font)
        return Box(name, kind, x, y, wide, high, label)

    def _names(self, name: str) -> list[str]:
        """What a layer may be called, the longest first."""
        for block in self.flow.blocks:
            if name in block.layers:
                return endings(name, block.layers, block.module)
        return endings(name, self.flow.rows)

    def _path(self, edge: tuple[str, str], boxes: Mapping[str, Box]) -> list[Point]:
        source, target = (boxes[name] for name in edge)
        first, last = (self.flow.column[name] for name in edge)
        lane, line, gap = self.flow.lane[edge[0]], self.line[first], self.size.gap
        track, goal = self.flow.track[edge], self.flow.lane[edge[1]]
        x = self.x[first] + self.wide[first]
        points = [(source.x + source.wide, source.middle[1])]
        if track < 0 and source.kind in MEETINGS and first not in self.breaks:
            x, points = source.middle[0] - gap / 2, [(source.middle[0], source.y)]
        for cut in (b for b in self.breaks if first <= b < last):
            here = self._lane_at(edge, cut)
            if here != lane:
                points += [(x + gap / 2, points[-1][1]), (x + gap / 2, self._y(line, here))]
            points += self._return(cut, self.returns[cut].index((edge[0], here)), here)
            lane, line, x = here, line + 1, MARGIN - gap
        if track != lane:
            points += [(x + gap / 2, points[-1][1]), (x + gap / 2, self._y(line, track))]
        end = (target.x, target.middle[1])
        if track < 0 and target.kind in MEETINGS:
            points.append((target.middle[0], points[-1][1]))
            end = (target.middle[0], target.y)
        elif track != goal:
            turn = self.x[last] - gap / 2
            points += [(turn, points[-1][1]), (turn, end[1])]
        return straightened([*points, end])

    def _return(self, cut: int, number: int, lane: int) -> list[Point]:
        """From the end of a line to the start of the next, through the space between them."""
        line, aside = self.line[cut], 8 + 4 * min(number, 2)  # more share the margin
        right, left = self.x[cut] + self.wide[cut] + aside, MARGIN - 8 - aside
        between = self.tops[line + 1] - 3 - 6 * number
        down, up = self._y(line, lane), self._y(line + 1, lane)
        return [(right, down), (right, between), (left, between), (left, up), (MARGIN - 8, up)]

    def _block_notes(self) -> Iterator[Note]:
        """A note for each line that a block is on."""
        pad, high = self.size.gap / 2 - 1, self.size.high
        for block in self.flow.blocks:
            for line in range(self.line[block.first], self.line[block.last] + 1):
                columns = [c for c in range(block.first, block.last + 1) if self.line[c] == line]
                here = [name for name in block.layers if self._line_of(name) == line]
                below = 1 + max((self.flow.lane[name] for name in here), default=0)
                x, last = self.x[columns[0]] - pad, columns[-1]
                wide = self.x[last] + self.wide[last] + pad - x
                top, bottom = self.tops[line] + LINE, self.axis[line] - high / 2 + below * self.step
                text = fitted(tails(block.module), wide, self.size.font)
                yield Note("block", text, x, top, wide, bottom - 2 - top)

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
