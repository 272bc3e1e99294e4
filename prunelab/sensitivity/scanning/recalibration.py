"""Batch-norm re-estimation: running statistics of the pruned network itself, not of the whole one.

Every batch norm takes mean and variance from one batch of calibration images that goes through the
pruned network; weights stay. Norms before the pruned group see the same activations at every point,
so they are estimated once.

Source: Li et al. 2020, EagleEye, section 4 (adaptive batch normalisation).
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from prunelab.data import Split
from prunelab.groups import Flow
from prunelab.groups.operators import NORMS
from prunelab.sensitivity.scanning.passes import Sweep, forward, points
from prunelab.sensitivity.scanning.program import Program

Layers = dict[str, object]


def recalibrated(
    net: nn.Module, flow: Flow, sweeps: list[Sweep], images: Split, logits: str | int | None = None
) -> tuple[Program, Callable[[object, Layers], Layers]]:
    """The network with re-estimated norms, and for each point the norms after its pruning.

    Args:
        net: any network; unchanged.
        flow: from `prunelab.groups.flow` on `net`; not shared with another program.
        sweeps: the points; their replays must be of a program that does not fold.
        images: calibration images; all go through in one batch.
        logits: as for `Program`.

    Returns:
        A program, and `change` for `prunelab.sensitivity.scanning.passes.points`.
    """
    program = Program(net, flow, fold=False, logits=logits)
    sweeps = [Sweep(sweep.group, program.replay(sweep.group), sweep.keeps) for sweep in sweeps]
    norms = {
        node.target: module
        for node in program.nodes
        if isinstance(module := program.calls[node], NORMS) and module.running_mean is not None
    }
    found: dict[object, dict[str, nn.Module]] = {}

    def watch(point: object, layers: Layers) -> Layers:
        fresh = {name: _listening(layers.get(name, norm)) for name, norm in norms.items()}
        found[point] = fresh
        return layers | fresh

    with torch.no_grad():
        x, _ = images.batch(slice(0, len(images)))
        base = {name: _listening(norm) for name, norm in norms.items()}
        _, values = forward(program, x, sweeps, base)
        for sweep in sweeps:
            for point, _ in points(program, sweep, values, watch):
                ran = {n.target for n in sweep.replay.steps}
                found[point] = {k: m.eval() for k, m in found[point].items() if k in ran}
    for name, norm in norms.items():
        norm.load_state_dict(base[name].state_dict())
    return program, lambda point, layers: layers | found[point]


def _listening(norm: nn.Module) -> nn.Module:
    """A copy that normalises by the batch and remembers its statistics."""
    fresh = copy.deepcopy(norm)
    fresh.reset_running_stats()
    fresh.momentum = None  # the average over batches; of one batch, itself
    return fresh.train()
