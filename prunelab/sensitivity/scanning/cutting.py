"""Cutting: the layers of a program without the removed channels of one group."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from torch import Tensor, fx, nn

from prunelab import surgery
from prunelab.sensitivity.scanning.folding import channels_last
from prunelab.sensitivity.scanning.program import Program

NAMING = ("call_module", "get_attr")


def cut_layers(
    program: Program, group: str, steps: Iterable[fx.Node], keep: Tensor
) -> dict[str, object]:
    """Target -> the shrunk module (or parameter), for the steps that have tensors of `group`.

    Args:
        program: the network.
        group: name of a group.
        steps: nodes of its replay.
        keep: (size,) bool, True = kept.
    """
    steps = list(steps)
    cuts = surgery.cuts(program.source, program.flow.groups, {group: keep})
    out: dict[str, object] = {}
    for node in steps:
        names = program.owners.get(node.target, {}) if node.op in NAMING else {}
        own = {local: cuts[name] for local, name in names.items() if name in cuts}
        if own and node.target not in out:
            call = program.calls[node]
            whole = node.op == "get_attr"
            out[node.target] = _cut(call, own[""]) if whole else _shrunk(program, call, own)
    calls = {node.target: program.calls[node] for node in steps if node.op == "call_module"}
    for s in program.flow.groups[group].widths:  # of norms without tensors
        if s.layer in calls:
            small = copy.copy(out.get(s.layer, calls[s.layer]))
            small.num_features -= s.repeat * int((~keep).sum())
            out[s.layer] = small
    return out


def _cut(tensor: Tensor, axes: Mapping[int, Tensor]) -> Tensor:
    for axis, kept in axes.items():
        tensor = tensor.index_select(axis, kept.nonzero()[:, 0].to(tensor.device))
    return tensor


def _shrunk(
    program: Program, module: nn.Module, own: Mapping[str, Mapping[int, Tensor]]
) -> nn.Module:
    """A layer of the program without the removed channels; a folded bias follows its filters."""
    own = dict(own)
    if 0 in own.get("weight", {}) and getattr(module, "bias", None) is not None:
        own.setdefault("bias", {0: own["weight"][0]})
    small = surgery.rebuild(module, lambda name, t: _cut(t, own.get(name, {})))
    return channels_last(small) if program.fast else small
