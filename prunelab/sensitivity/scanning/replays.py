"""Replays: what runs again when one group is pruned.

A value of the network is then one of three things:

* CLEAN: it does not depend on the group;
* CUT: it is the whole network's value without the removed channels (what the group's filters write,
  and everything that works channel by channel on it);
* NEW: it depends on a sum over the channels, so it has other numbers: it is computed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import fx

from prunelab.groups import ChannelAxis

if TYPE_CHECKING:
    from prunelab.sensitivity.scanning.program import Program


@dataclass(frozen=True, eq=False)
class Replay:
    """The steps that run again when a group is pruned, and what they read."""

    steps: list[fx.Node]  # the NEW nodes that the output depends on, in order
    cut: dict[fx.Node, ChannelAxis]  # CUT values that these steps read -> place of the group
    clean: list[fx.Node]  # nodes whose CLEAN values these steps read

    @property
    def reads(self) -> set[fx.Node]:
        """Values of the whole network that must be kept for this replay."""
        return {*self.cut, *self.clean}


def replay_of(program: Program, group: str) -> Replay:
    """What runs again when `group` is pruned."""
    slices = program.flow.groups[group].slices
    touched = {s.tensor for s in slices}
    readers = {s.tensor for s in slices if s.role == "in"}
    cut: dict[fx.Node, ChannelAxis] = {}
    new: dict[fx.Node, None] = {}
    for node in program.nodes:
        inputs = node.all_input_nodes
        own = set(program.tensors(node).values())
        if not own & touched and not any(n in cut or n in new for n in inputs):
            continue
        place = program.flow.place(node.name, group) if node.op != "output" else None
        reads = node.op == "get_attr" or own & readers
        if place is None or reads or any(n in new for n in inputs):
            new[node] = None
        else:
            cut[node] = place
    needed = {program.output}
    for node in reversed(new):
        if node in needed:
            needed.update(node.all_input_nodes)
    steps = [n for n in new if n in needed]
    reads = {n: None for step in steps for n in step.all_input_nodes if n not in new}
    return Replay(steps, {n: cut[n] for n in reads if n in cut}, [n for n in reads if n not in cut])
