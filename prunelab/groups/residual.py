"""Residual roles: which layers write to a stream, enter a block from one, or project past a block.

A stream is what is added to: the channels of a residual network that every block reads and writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prunelab.groups.group import IN, OUT


@dataclass
class Site:
    """One axis of one tensor, with the atom (later: the channel) at each of its positions."""

    tensor: str
    axis: int
    role: str
    atoms: np.ndarray

    @property
    def layer(self) -> str:
        """Name of the module that owns the tensor."""
        return self.tensor.rpartition(".")[0] or self.tensor


def residual_roles(sites: Iterable[Site], added: set[int]) -> dict[str, set[str]]:
    """The layers of each role, as `Groups` takes them.

    Args:
        sites: where each channel is read and written.
        added: channels that are an operand of an addition.

    Returns:
        writers: layers that write added channels. shortcuts: the projections, writers beside which
        another layer reads the same input and leads to the same addition. entries: other layers
        that read a stream, or what a projection reads, and lead to an addition.
    """
    wiring = _Wiring(sites, added)
    shortcuts = {w for w in wiring.writers if wiring.is_projection(w)}
    stream = added.union(*(wiring.reads[s] for s in shortcuts))
    inside = {layer for c in stream for layer in wiring.readers[c]} - wiring.writers
    entries = {layer for layer in inside if wiring.ends(layer)}
    return {"writers": wiring.writers, "shortcuts": shortcuts, "entries": entries}


class _Wiring:
    """Which layer reads what another one writes."""

    def __init__(self, sites: Iterable[Site], added: set[int]) -> None:
        self.reads: dict[str, set[int]] = defaultdict(set)
        self.writes: dict[str, set[int]] = defaultdict(set)
        for site in sites:
            if site.role in (IN, OUT):
                channels = self.reads if site.role == IN else self.writes
                channels[site.layer].update(site.atoms.tolist())
        self.readers: dict[int, set[str]] = defaultdict(set)
        for layer, channels in self.reads.items():
            for channel in channels:
                self.readers[channel].add(layer)
        self.writers = {layer for layer, channels in self.writes.items() if channels & added}

    def after(self, channels: set[int]) -> set[str]:
        """Layers that read any of these channels."""
        return set().union(*(self.readers[c] for c in channels))

    def ends(self, layer: str) -> set[str]:
        """The writers at which every path from `layer` on first meets a stream."""
        seen, todo, found = {layer}, [layer], set()
        while todo:
            here = todo.pop()
            if here in self.writers:
                found.add(here)
                continue
            fresh = self.after(self.writes[here]) - seen
            seen |= fresh
            todo += fresh
        return found

    def is_projection(self, writer: str) -> bool:
        """Whether another reader of its input leads to the same addition through another writer."""
        beside = self.after(self.reads[writer]) - {writer}
        others = set().union(*(self.ends(layer) for layer in beside)) - {writer}
        return any(self.writes[writer] & self.writes[other] for other in others)
