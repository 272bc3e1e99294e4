"""Passes: one batch forward, then every group at every ratio, running only what changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import cross_entropy

from prunelab import surgery
from prunelab.groups import ChannelAxis
from prunelab.sensitivity.scanning.folding import channels_last
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.replays import Replay
from prunelab.train.evaluation import precise

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Judged:
    """What a network answered on some images."""

    correct: Tensor  # (n,) bool
    loss: float  # summed cross-entropy, nats


@dataclass(frozen=True)
class Sweep:
    """One group, its replay, and the masks to try."""

    group: str
    replay: Replay
    keeps: Mapping[object, Tensor]  # point -> (size,) bool, True = kept


def judge(logits: Tensor, labels: Tensor) -> Judged:
    """Correct answers and loss of (n, classes) logits."""
    logits = precise(logits)
    loss = cross_entropy(logits, labels, reduction="sum").double().item()
    return Judged((logits.argmax(1) == labels).cpu(), loss)


def forward(
    program: Program, x: Tensor, sweeps: list[Sweep]
) -> tuple[Tensor, dict[fx.Node, object]]:
    """Run the whole network on one batch: its output, and the values that the sweeps will read."""
    keep = {n for sweep in sweeps for n in sweep.replay.reads}
    env = program.start(x)
    out = program.run(program.nodes, env, keep=keep)
    return out, {n: v for n, v in env.items() if n in keep} | {program.output: out}


def points(
    program: Program, sweep: Sweep, values: Mapping[fx.Node, object]
) -> Iterator[tuple[object, Tensor]]:
    """(point, logits) for each mask of a sweep: only what depends on the group runs again.

    The rest comes from `values`, which `forward` kept.
    """
    replay = sweep.replay
    if not replay.steps:  # an auxiliary classifier: the logits do not depend on it
        yield from ((point, values[program.output]) for point in sweep.keeps)
        return
    clean = {node: values[node] for node in replay.clean}
    for point, keep in sweep.keeps.items():
        layers = _cut_layers(program, sweep.group, replay.steps, keep)
        cut = {n: _kept(program, values[n], place, keep) for n, place in replay.cut.items()}
        yield point, program.run(replay.steps, clean | cut, layers)


def _kept(program: Program, value: Tensor, place: ChannelAxis, keep: Tensor) -> Tensor:
    """A CUT value without the removed channels of the group."""
    channel = torch.as_tensor(place.channel)
    rows = ((channel < 0) | keep[channel.clamp(min=0)]).nonzero()[:, 0].to(value.device)
    if len(rows) == value.shape[place.axis]:
        return value
    if value.ndim == 4 and place.axis == 1 and program.fast:  # in memory order: channels are last
        return value.permute(0, 2, 3, 1).index_select(3, rows).permute(0, 3, 1, 2)
    return value.index_select(place.axis, rows)


def _cut_layers(
    program: Program, group: str, steps: list[fx.Node], keep: Tensor
) -> dict[str, object]:
    """Target -> the shrunk module (or parameter), for the steps that have tensors of `group`."""
    cuts = surgery.cuts(program.source, program.flow.groups, {group: keep})
    out: dict[str, object] = {}
    for node in steps:
        own = {local: cuts[name] for local, name in program.tensors(node).items() if name in cuts}
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
    axis = 1 if isinstance(module, TRANSPOSED) else 0  # of the filters
    if axis in own.get("weight", {}) and getattr(module, "bias", None) is not None:
        own.setdefault("bias", {0: own["weight"][axis]})
    small = surgery.rebuild(module, lambda name, t: _cut(t, own.get(name, {})))
    return channels_last(small) if program.fast else small


def without(sweep: Sweep, known: set) -> Sweep | None:
    """The sweep without the points that are known; None if nothing is left."""
    keeps = {point: keep for point, keep in sweep.keeps.items() if point not in known}
    return replace(sweep, keeps=keeps) if keeps else None
