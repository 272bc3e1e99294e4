"""The order of a network's boxes before they are placed: columns, lanes, blocks, line breaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

LAYERS = ("conv", "linear")
MEETINGS = ("add", "multiply", "cat")
SMALL = 6
Edge = tuple[str, str]


@dataclass(frozen=True)
class ModuleSpan:
    """Layers of one module between two columns of the main path."""

    first: int
    last: int
    module: str
    layers: tuple[str, ...]


class Columns:
    """Rows of `prunelab.groups.diagram` in columns and lanes.

    Attributes:
        rows: name -> row.
        edges: (source, target), with chains of concatenations in short form.
        column: name -> length of the longest path from the input.
        main: the longest path, one row per column.
        lane: name -> 0 on the main path, 1, 2, ... beside it.
        track: edge -> the lane it runs along; -1, -2, ... for an arc over the main path.
        blocks: parts of the network with a name of their own.
    """

    def __init__(self, rows: Sequence[Mapping]) -> None:
        self.rows = {row["name"]: row for row in rows}
        self.edges = condensed(rows)
        self._layers = [name for name, row in self.rows.items() if row["kind"] in LAYERS]
        self._before: dict[str, list[str]] = defaultdict(list)
        self._after: dict[str, list[str]] = defaultdict(list)
        for source, target in self.edges:
            self._before[target].append(source)
            self._after[source].append(target)
        self.column: dict[str, int] = {}
        for name in self.rows:
            self.column[name] = max((self.column[s] + 1 for s in self._before[name]), default=0)
        self.main = self._longest()
        self.lane = dict.fromkeys(self.main, 0) | self._lanes()
        self.track = self._tracks()
        self.blocks = self._blocks()

    def _longest(self) -> list[str]:
        path = [max(self.rows, key=self.column.get)]
        while before := self._before[path[-1]]:
            path.append(max(before, key=self.column.get))
        return path[::-1]

    def _lanes(self) -> dict[str, int]:
        """Each branch takes the nearest lane that is free from its fork to its end."""
        busy: dict[int, list[tuple[int, int]]] = defaultdict(list)
        lanes: dict[str, int] = {}
        for branch in self._branches():
            start = min((self.column[s] + 1 for s in self._before[branch[0]]), default=0)
            ends = [self.column[t] - 1 for name in branch for t in self._after[name]]
            end = max([*ends, self.column[branch[-1]]])
            lane = _free(busy, start, end, first=1)
            lanes |= dict.fromkeys(branch, lane)
        return lanes

    def _branches(self) -> list[list[str]]:
        """The rows beside the main path as chains; those that lead nowhere else come last."""
        left = dict.fromkeys(name for name in self.rows if name not in set(self.main))
        branches = []
        while left:
            branch = [next(iter(left))]
            while True:
                del left[branch[-1]]
                following = [t for t in self._after[branch[-1]] if t in left]
                if not following:
                    break
                branch.append(following[0])
            branches.append(branch)
        return sorted(branches, key=lambda branch: not self._after[branch[-1]])

    def _tracks(self) -> dict[Edge, int]:
        tracks, arcs = {}, []
        for source, target in self.edges:
            if self.lane[source] or self.lane[target]:
                tracks[source, target] = self.lane[source] or self.lane[target]
            elif self.column[target] == self.column[source] + 1:
                tracks[source, target] = 0
            else:
                arcs.append((source, target))
        busy: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for source, target in sorted(arcs, key=lambda e: self.column[e[1]] - self.column[e[0]]):
            start, end = self.column[source], self.column[target] - 1
            tracks[source, target] = -_free(busy, start, end, first=1)
        return tracks

    def crossing(self, column: int, readers: Collection[str] | None = None) -> list[str]:
        """The rows that are still read after `column`, by any row or by some `readers`."""
        edges = [(s, t) for s, t in self.edges if readers is None or t in readers]
        return list(dict.fromkeys(s for s, t in edges if self.column[s] <= column < self.column[t]))

    def map_size(self, column: int) -> tuple[int, ...]:
        """(height, width) of the maps on the main path; empty for vectors and single pixels."""
        size = tuple(self.rows[self.main[column]]["out"][1:])
        return size if len(size) == 2 and max(size) > 1 else ()

    def _blocks(self) -> list[ModuleSpan]:
        """Parts that everything enters and leaves once, if they are layers of one module.

        Layers in a row with no branch between them form a block if their module is small.
        """
        found: list[ModuleSpan] = []
        growing = ""  # the small module whose layers are being collected
        for first, last, layers in self._parts():
            if growing and all(name.startswith(f"{growing}.") for name in layers):
                first, layers = found[-1].first, found[-1].layers + layers
                found.pop()
            else:
                growing = self._small_module(layers[0]) if len(layers) == 1 else ""
            found.append(ModuleSpan(first, last, common_module(layers), layers))
        return [block for block in found if len(block.layers) > 1 and block.module]

    def _parts(self) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """(first column, last column, layers) between places where only the main path goes on.

        What does not lead to its end (an auxiliary classifier) is left out.
        """
        heart = self._before_end()
        last = len(self.main) - 1
        cuts = [c for c in range(last) if set(self.crossing(c, heart)) == {self.main[c]}]
        for before, end in pairwise([-1, *cuts, last]):
            names = [name for name in self._layers if name in heart]
            inside = tuple(name for name in names if before < self.column[name] <= end)
            if inside:
                yield before + 1, end, inside

    def _small_module(self, layer: str) -> str:
        """The outermost module around `layer` that has at most `SMALL` layers, or ""."""
        parts = layer.split(".")[:-1]
        for i in range(len(parts)):
            module = ".".join(parts[: i + 1])
            if sum(name.startswith(f"{module}.") for name in self._layers) <= SMALL:
                return module
        return ""

    def _before_end(self) -> set[str]:
        """The rows that the last one depends on."""
        found, left = {self.main[-1]}, [self.main[-1]]
        while left:
            fresh = set(self._before[left.pop()]) - found
            found |= fresh
            left += fresh
        return found

    def breaks(self, widths: Sequence[float], room: float) -> list[int]:
        """Columns after which a new line starts, so that no line is wider than `room`.

        The fewest lines; breaks where the maps change size and where little is cut are preferred.
        """
        count = len(widths)
        best: list[tuple[float, list[int]]] = [(0.0, [])]
        for end in range(1, count + 1):
            price = 0.0 if end == count else self._price(end - 1)
            options = []
            for start in range(end - 1, -1, -1):
                wide = sum(widths[start:end])
                if wide > room and start < end - 1:
                    break
                slack = 0.0 if end == count else max(0.0, 1 - wide / room)
                cost, earlier = best[start]
                cuts = [*earlier, end - 1] if end < count else earlier
                options.append((cost + 1 + price + slack**2 / 2, cuts))
            best.append(min(options))
        return best[-1][1]

    def _price(self, column: int) -> float:
        same = self.map_size(column) == self.map_size(column + 1)
        inside = any(block.first <= column < block.last for block in self.blocks)
        return 0.25 * same + 0.5 * inside + 0.6 * (len(self.crossing(column)) - 1)


def condensed(rows: Sequence[Mapping]) -> list[Edge]:
    """The edges; a concatenation that begins as an earlier one does reads that one instead.

    A dense block would otherwise have an edge from every layer to every later one. What is
    concatenated stays the same.
    """
    seen: list[tuple[list[str], str]] = []
    edges = []
    for row in rows:
        inputs = list(row["inputs"])
        if row["kind"] == "cat":
            for earlier, name in reversed(seen):
                if inputs[: len(earlier)] == earlier:
                    inputs = [name, *inputs[len(earlier) :]]
                    break
            seen.append((list(row["inputs"]), row["name"]))
        edges += [(source, row["name"]) for source in inputs]
    return edges


def common_module(names: Sequence[str]) -> str:
    """The innermost module that holds all the layers named."""
    parts = [name.split(" ")[0].split(".")[:-1] for name in names]
    shared = []
    for level in zip(*parts):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return ".".join(shared)


def _free(busy: dict[int, list[tuple[int, int]]], start: int, end: int, first: int) -> int:
    """The first lane that is free from column `start` to `end`; it is taken from now on."""
    lane = first
    while any(a <= end and start <= b for a, b in busy[lane]):
        lane += 1
    busy[lane].append((start, end))
    return lane
