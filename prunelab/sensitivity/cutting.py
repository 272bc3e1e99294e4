"""Cutting: the layers of a program without the removed channels of one group."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, fx, nn

from prunelab import surgery
from prunelab.sensitivity.program import Program


def cut_layers(
    program: Program, group: str, steps: Iterable[fx.Node], keep: Tensor
) -> dict[str, object]:
    """Target -> the shrunk module (or parameter), for the steps that have tensors of `group`.

    Args:
        program: the network.
        group: name of a group.
        steps: nodes of its plan.
        keep: (size,) bool, True = kept.
    """
    steps = list(steps)
    cuts = surgery.cuts(program.source, program.flow.groups, {group: keep})
    out: dict[str, object] = {}
    for node in steps:
        if node.op == "get_attr" and node.target in cuts:
            out[node.target] = _cut(program.calls[node], cuts[node.target])
        elif node.op == "call_module" and node.target not in out:
            own = {n.rpartition(".")[2]: c for n, c in cuts.items()
                   if n.rpartition(".")[0] == node.target}  # fmt: skip
            if own:
                out[node.target] = _shrunk(program.calls[node], own)
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


def _shrunk(module: nn.Module, own: Mapping[str, Mapping[int, Tensor]]) -> nn.Module:
    """A layer of the program without the removed channels; a folded bias follows its filters."""
    own = dict(own)
    if 0 in own.get("weight", {}) and getattr(module, "bias", None) is not None:
        own.setdefault("bias", {0: own["weight"][0]})
    small = surgery.rebuild(module, lambda name, t: _cut(t, own.get(name, {})))
    four = any(p.ndim == 4 for p in small.parameters())
    return small.to(memory_format=torch.channels_last) if four else small
