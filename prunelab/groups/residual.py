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
    reads, writes, readers = (defaultdict(set) for _ in range(3))
    for site in sites:
        for channel in site.atoms.tolist():
            if site.role == IN:
                reads[site.layer].add(channel)
                readers[channel].add(site.layer)
            elif site.role == OUT:
                writes[site.layer].add(channel)
    writers = {layer for layer, channels in writes.items() if channels & added}

    def after(channels: set[int]) -> set[str]:
        return set().union(*(readers[c] for c in channels))

    def ends(layer: str) -> set[str]:
        """The writers at which every path from `layer` on first meets a stream."""
        seen, todo = set(), [layer]
        while todo:
            here = todo.pop()
            if here not in seen and here not in writers:
                todo += after(writes[here])
            seen.add(here)
        return seen & writers

    def is_projection(writer: str) -> bool:
        """Whether another reader of its input leads to the same addition by another writer."""
        beside = after(reads[writer]) - {writer}
        others = set().union(*map(ends, beside)) - {writer}
        return any(writes[writer] & writes[other] for other in others)

    shortcuts = set(filter(is_projection, writers))
    stream = added.union(*(reads[s] for s in shortcuts))
    inside = {layer for c in stream for layer in readers[c]} - writers
    return {"writers": writers, "shortcuts": shortcuts, "entries": set(filter(ends, inside))}
