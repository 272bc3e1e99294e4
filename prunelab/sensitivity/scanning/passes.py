"""Passes: one batch forward, then every group at every ratio, running only what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import cross_entropy, linear

from prunelab.groups import Place
from prunelab.sensitivity.scanning.cutting import cut_layers
from prunelab.sensitivity.scanning.folding import is_plain
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.replays import Replay
from prunelab.sensitivity.scanning.stacking import stacked

CLOSE = 1e-5  # two logits nearer than this share of their size may swap by rounding
LEAST = 8  # channels a partial sum must add, or one convolution over all of them is cheaper


@dataclass(frozen=True)
class Judged:
    """What a network said of some images.

    Attributes:
        correct: (n,) bool.
        loss: summed cross-entropy, nats.
        close: (n,) bool, True where the two best logits are within `CLOSE` of their size.
    """

    correct: Tensor
    loss: float
    close: Tensor


@dataclass(frozen=True)
class Sweep:
    """One group, its replay, and the masks to try, from the fewest channels to the most."""

    group: str
    replay: Replay
    keeps: Mapping[object, Tensor]  # point -> (size,) bool; each contains the one before


def judge(logits: Tensor, labels: Tensor) -> Judged:
    """Right answers, loss and close calls of (n, classes) logits."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    best = logits.topk(min(2, logits.shape[1]), dim=1).values
    near = (best[:, 0] - best[:, -1]) < CLOSE * best.abs().amax(1)
    loss = cross_entropy(logits, labels, reduction="sum").double().item()
    return Judged(logits.argmax(1) == labels, loss, near & (logits.shape[1] > 1))


def forward(
    program: Program, x: Tensor, sweeps: list[Sweep], layers: Mapping[str, object] | None = None
) -> tuple[Tensor, dict[fx.Node, object]]:
    """The whole network on one batch; its output, and the values that the sweeps will read."""
    keep = {n for sweep in sweeps for n in sweep.replay.reads}
    env = program.start(x)
    out = program.run(program.nodes, env, layers, keep)
    return out, {n: v for n, v in env.items() if n in keep} | {program.output: out}


def points(
    program: Program,
    sweep: Sweep,
    values: Mapping[fx.Node, object],
    change: Callable[[object, dict], dict] | None = None,
) -> Iterator[tuple[object, Tensor]]:
    """(point, logits) for each mask of a sweep.

    A layer that reads nothing but the group is a sum over channels: from one mask to the next only
    the channels that come back are added. Where the maps have become small, all masks go on as one
    batch.

    Args:
        program: the network.
        sweep: what is tried.
        values: what `forward` kept.
        change: (point, layers) -> the layers to use, for batch norms that are re-estimated.
    """
    replay, entries = sweep.replay, {}
    if not replay.steps:  # an auxiliary classifier: what is evaluated does not depend on it
        yield from ((point, values[program.output]) for point in sweep.keeps)
        return
    before: Tensor | None = None
    clean = {n: values[n] for n in replay.clean}
    waiting, rest = [], []
    for point, keep in sweep.keeps.items():
        layers = cut_layers(
            program, sweep.group, [n for n in replay.steps if n not in entries], keep
        )
        layers = change(point, layers) if change else layers
        added = keep if before is None else keep & ~before
        for node in entries or _sums(program, sweep, layers):
            entries[node] = _sum(program, sweep, node, values, layers, entries, added, keep)
        cut = _still_read(replay, entries)
        env = {n: _kept(program, values[n], replay.cut[n], keep) for n in cut}
        steps = [n for n in replay.steps if n not in entries]
        steps, rest = stacked(program, steps, layers, len(sweep.keeps))
        env |= {**clean, **entries}
        logits = program.run(steps, env, layers, keep=[*entries, *steps[-1:]])
        if rest:
            waiting.append(env[steps[-1]])
        else:
            yield point, logits
        before = keep
    if waiting:
        logits = program.run(rest, {steps[-1]: torch.cat(waiting)})
        yield from zip(sweep.keeps, logits.chunk(len(waiting)))


def _still_read(replay: Replay, entries: Mapping[fx.Node, Tensor]) -> list[fx.Node]:
    """CUT values that other steps than the partial sums read."""
    if not entries:
        return list(replay.cut)
    others = {n for step in replay.steps if step not in entries for n in step.all_input_nodes}
    alone = {n.args[0] for n in entries}
    return [n for n in replay.cut if n in others or n not in alone]


def _sums(program: Program, sweep: Sweep, layers: Mapping[str, object]) -> list[fx.Node]:
    """Entries that are plain sums over the group's channels."""
    chunk = min((b.sum() - a.sum() for a, b in _pairs(list(sweep.keeps.values()))), default=0)
    if chunk < LEAST:
        return []
    return [
        n
        for n in sweep.replay.entries
        if n.op == "call_module" and _is_sum(program.calls[n], layers.get(n.target), sweep, n)
    ]


def _pairs(keeps: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(keeps, keeps[1:]))


def _is_sum(whole: nn.Module, small: object, sweep: Sweep, node: fx.Node) -> bool:
    if not isinstance(small, nn.Conv2d | nn.Linear) or getattr(whole, "groups", 1) != 1:
        return False
    axis = sweep.replay.cut[node.args[0]].axis
    is_conv = isinstance(whole, nn.Conv2d)
    if not is_plain(whole) or len(node.args) != 1:
        return False
    plain = not is_conv or (whole.padding_mode == "zeros" and isinstance(whole.padding, tuple))
    return plain and len(small.weight) == len(whole.weight) and (axis == 1 or not is_conv)


def _sum(program, sweep, node, values, layers, entries, added, keep) -> Tensor:
    """The layer's output on all kept channels: the last mask's, and what the new ones add."""
    whole = program.calls[node]
    if node not in entries:
        x = _kept(program, values[node.args[0]], sweep.replay.cut[node.args[0]], keep)
        return layers[node.target](x)
    place = sweep.replay.cut[node.args[0]]
    rows = _rows(place, added)
    x = _select(program, values[node.args[0]], place.axis, rows)
    weight = whole.weight.index_select(1, rows.to(whole.weight.device))
    if isinstance(whole, nn.Linear):
        return linear(x, weight).add_(entries[node])
    conv = whole._conv_forward(x, weight.contiguous(memory_format=program.layout), None)
    return conv.add_(entries[node])


def _rows(place: Place, keep: Tensor) -> Tensor:
    """Positions of an axis that stay: kept channels of the group."""
    channel = torch.as_tensor(place.channel)
    return ((channel >= 0) & keep[channel.clamp(min=0)]).nonzero()[:, 0]


def _kept(program: Program, value: Tensor, place: Place, keep: Tensor) -> Tensor:
    """A CUT value: without the removed channels of the group."""
    channel = torch.as_tensor(place.channel)
    rows = ((channel < 0) | keep[channel.clamp(min=0)]).nonzero()[:, 0]
    return _select(program, value, place.axis, rows)


def _select(program: Program, value: Tensor, axis: int, rows: Tensor) -> Tensor:
    if len(rows) == value.shape[axis]:
        return value
    rows = rows.to(value.device)
    if value.ndim == 4 and axis == 1 and program.fast:  # in memory order: channels stand last
        return value.permute(0, 2, 3, 1).index_select(3, rows).permute(0, 3, 1, 2)
    return value.index_select(axis, rows)


def without(sweep: Sweep, known: set) -> Sweep | None:
    """The sweep without the points that are known; None if nothing is left."""
    keeps = {point: keep for point, keep in sweep.keeps.items() if point not in known}
    return replace(sweep, keeps=keeps) if keeps else None
