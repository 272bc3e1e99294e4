"""The order of a network's boxes before they are placed: columns, lanes, blocks, line breaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, pairwise
from os.path import commonprefix
from typing import NamedTuple

import networkx as nx

LAYERS = ("conv", "linear")
MEETINGS = ("add", "multiply", "cat")
Edge = tuple[str, str]


class Block(NamedTuple):
    """Layers of one module between two columns of the main path."""

    first: int
    last: int
    module: str
    layers: list[str]


class Columns:
    """Rows of `prunelab.groups.diagram` in columns and lanes.

    Attributes:
        rows: name -> row.
        graph: of their names, with chains of concatenations in short form.
        column: name -> length of the longest path from the input.
        main: the longest path, one row per column.
        lane: name -> 0 on the main path, 1, 2, ... beside it.
        track: edge -> the lane it runs along; -1, -2, ... for an arc over the main path.
        cuts: columns after which only the main path goes on.
        blocks: parts between two cuts, if they are layers of one module.
    """

    def __init__(self, rows: Sequence[Mapping]) -> None:
        self.rows = {row["name"]: row for row in rows}
        self.graph = nx.DiGraph()
        self.graph.add_nodes_from(self.rows)
        self.graph.add_edges_from(condensed(rows))
        generations = enumerate(nx.topological_generations(self.graph))
        self.column = {name: column for column, names in generations for name in names}
        self.main = nx.dag_longest_path(self.graph)
        # What does not lead to the end (an auxiliary classifier) takes no part in cuts and blocks.
        self._heart = nx.ancestors(self.graph, self.main[-1]) | {self.main[-1]}
        self.lane = self._lanes()
        self.track = self._tracks()
        self.cuts = [c for c in range(len(self.main) - 1) if self._crossing(c) == {self.main[c]}]
        self.blocks = list(self._blocks())

    def _lanes(self) -> dict[str, int]:
        """A row beside the main path goes on in the lane of its source, or takes the first free."""
        lanes = dict.fromkeys(self.main, 0)
        busy: dict[int, list[tuple[int, int]]] = defaultdict(list)
        beside = [name for name in self.rows if name not in lanes]
        for name in sorted(beside, key=lambda name: (name not in self._heart, self.column[name])):
            own, sources = self.column[name], self.graph.pred[name]
            start = min([own, *(self.column[s] + 1 for s in sources if not lanes[s])])
            end = max([own, *(self.column[t] - 1 for t in self.graph.succ[name])])
            wanted = [lanes[s] for s in sources if lanes[s]]
            lanes[name] = _free(busy, start, end, wanted)
        return lanes

    def _tracks(self) -> dict[Edge, int]:
        tracks, busy = {}, defaultdict(list)
        for source, target in sorted(self.graph.edges, key=self._length):
            tracks[source, target] = self.lane[source] or self.lane[target]
            if not tracks[source, target] and self._length((source, target)) > 1:
                start, end = self.column[source], self.column[target] - 1
                tracks[source, target] = -_free(busy, start, end)
        return tracks

    def _length(self, edge: Edge) -> int:
        return self.column[edge[1]] - self.column[edge[0]]

    def _crossing(self, column: int) -> set[str]:
        """The rows that are still read after `column`."""
        edges = [(s, t) for s, t in self.graph.edges if t in self._heart]
        return {s for s, t in edges if self.column[s] <= column < self.column[t]}

    def _blocks(self) -> Iterator[Block]:
        layers = [n for n in self.rows if n in self._heart and self.rows[n]["kind"] in LAYERS]
        for before, last in pairwise([-1, *self.cuts, len(self.main) - 1]):
            inside = [name for name in layers if before < self.column[name] <= last]
            shared = commonprefix([name.split(".")[:-1] for name in inside])  # noqa: RUF071 -- lists
            if len(inside) > 1 and shared:
                yield Block(before + 1, last, ".".join(shared), inside)

    def map_size(self, column: int) -> tuple[int, ...]:
        """(height, width) of the maps on the main path; empty for vectors and single pixels."""
        size = tuple(self.rows[self.main[column]]["out"][1:])
        return size if len(size) == 2 and max(size) > 1 else ()

    def starts(self, widths: Sequence[float], room: float) -> list[int]:
        """The columns that begin a line, so that no line is wider than `room`.

        If possible, a line ends, at least three quarters full, where the maps change size, or else
        after a block.
        """
        starts = [0]
        while True:
            ends = range(starts[-1] + 1, len(widths) + 1)
            fitting = [end for end in ends if sum(widths[starts[-1] : end]) <= room] or [ends[0]]
            if fitting[-1] == len(widths):
                return starts
            whole = [end for end in fitting[len(fitting) * 3 // 4 :] if end - 1 in self.cuts]
            stages = [end for end in whole if self.map_size(end - 1) != self.map_size(end)]
            starts.append((stages or whole or fitting)[-1])


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


def _free(
    busy: dict[int, list[tuple[int, int]]], start: int, end: int, wanted: Sequence[int] = ()
) -> int:
    """A lane that is free from column `start` to `end`, if possible a wanted one; now taken."""

    def free(lane: int) -> bool:
        return not any(a <= end and start <= b for a, b in busy[lane])

    lane = next(filter(free, chain(wanted, count(1))))
    busy[lane].append((start, end))
    return lane
