"""Stacking: where the maps are small, the masks of a group go through the last layers as one batch.

Late layers have many weights and few activations: reading the weights once for all masks is
quicker than once for each.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import fx, nn
from torch.nn import functional

from prunelab.groups.operators import CONVS, NORMS, POOLS, RELUS
from prunelab.sensitivity.scanning.calls import ADDS
from prunelab.sensitivity.scanning.program import Program

MODULES = (*CONVS, *NORMS, *POOLS, nn.Linear, nn.ReLU, nn.Dropout, nn.Identity, nn.Flatten)
CALLS = (*RELUS, *ADDS, functional.adaptive_avg_pool2d, functional.avg_pool2d)
FLATTENS = (torch.flatten, "flatten")


def stacked(
    program: Program, steps: list[fx.Node], layers: Collection[str], masks: int
) -> tuple[list[fx.Node], list[fx.Node]]:
    """Steps to run for each mask, and steps to run once for all of them.

    The second part reads nothing but the last value of the first, treats every image alone, and is
    the longest such part whose input, for all masks together, is at most half of the largest
    activation: memory stays at one batch's. It is empty where there is none.

    Args:
        program: the network.
        steps: nodes that run, in order; the last is the output.
        layers: targets of the modules that differ from mask to mask.
        masks: how many.
    """
    best, reads, most = len(steps), set(), program.largest / 2
    for start in range(len(steps) - 1, 0, -1):
        node = steps[start]
        if not _by_image(program, node) or node.target in layers:
            break
        reads = (reads - {node}) | set(program.inputs(node))
        if reads == {steps[start - 1]} and masks * program.size(steps[start - 1]) <= most:
            best = start
    worth = any(isinstance(program.calls[n], nn.Conv2d | nn.Linear) for n in steps[best:])
    return (steps[:best], steps[best:]) if worth and masks > 1 else (steps, [])


def _by_image(program: Program, node: fx.Node) -> bool:
    """Whether a step does the same to every entry of the first axis, whatever stands beside it."""
    if node.op == "call_module":
        call = program.calls[node]
        if type(call) in NORMS and call.running_mean is None:  # it looks at all images together
            return False
        return type(call) in MODULES and getattr(call, "start_dim", 1) > 0 and not call.training
    if node.target in FLATTENS:
        return len(node.args) > 1 and node.args[1] > 0
    return node.op == "output" or node.target in CALLS
