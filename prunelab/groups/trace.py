"""trace(net, example): follow a network with torch.fx and find its groups of coupled channels.

Beside every activation travels a *label tensor* of the same shape: at each position the atom (see
`evidence`) of the channel that stands there. Layers that write channels make new atoms; operations
that move data (flatten, permute, concatenate, ...) are run on the labels themselves, so their
effect is exact; additions unite atoms; what mixes channels fixes them, with a reason.
Activations live on the meta device: no arithmetic is done and no memory is used for them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx, nn

from prunelab import meta
from prunelab.groups.evidence import Evidence
from prunelab.groups.following import bound, first
from prunelab.groups.group import Groups
from prunelab.groups.labels import thin, varying
from prunelab.groups.values import Tracked

PICKING = (nn.Linear, nn.Conv2d)


@dataclass(frozen=True)
class ChannelAxis:
    """The channels of one group in one activation.

    Attributes:
        axis: the axis along which they stand.
        channel: (n,) for each position of that axis the channel of the group, or -1.
    """

    axis: int
    channel: np.ndarray


@dataclass(frozen=True, eq=False)
class Flow:
    """What tracing saw.

    Attributes:
        graph: the network's graph, as in evaluation.
        root: a copy of the network on the meta device; owns constants made in `forward`.
        groups: the prunable groups.
        values: node name -> what it gave while the network was followed.
    """

    graph: fx.Graph
    root: nn.Module
    groups: Groups
    values: dict[str, object]
    evidence: Evidence

    def place(self, node: str, group: str) -> ChannelAxis | None:
        """Where `group` stands in the output of `node`.

        None if it does not, if the output is no single tensor, or if its channels are spread over
        more than one axis.
        """
        value = self.values[node]
        if not isinstance(value, Tracked):
            return None
        axes = varying(value.labels) or [1]
        if len(axes) > 1 or value.labels.ndim < 2:
            return None
        few = thin(value.labels, tuple(axes))
        index = [0] * few.ndim
        index[axes[0]] = slice(None)
        channel = self.evidence.carried(group, few[tuple(index)].numpy())
        return ChannelAxis(axes[0], channel) if (channel >= 0).any() else None


def trace(net: nn.Module, example: object) -> Groups:
    """Find the groups of channels of `net` that can be pruned.

    The network is followed as in evaluation; parts that only run in training (auxiliary
    classifiers) are followed too, so that they fit the pruned network. `net` is not changed.

    Args:
        net: any module torch.fx can trace; of a wrapped one (`nn.DataParallel`, `torch.compile`)
            the inner network, with its names.
        example: an input batch (N, ...), a tuple of arguments, or a dict of keyword arguments; only
            shapes and dtypes matter. The first axis of each tensor in it is the batch.

    Returns:
        The prunable groups in order of execution; `.fixed` says why other layers are not offered.

    Raises:
        TypeError: `example` is none of these, or `net` is no module.
        ValueError: `net` cannot be followed, or `example` does not fit it.
    """
    return _flow(net, example)[0].groups


@torch.no_grad()  # as in evaluation: with gradients, some writes in place are errors
def flow(net: nn.Module, example: object) -> Flow:
    """The groups together with the graph in which they were found, which runs on any batch.

    Arguments and errors as `trace`; ValueError also where the code of `net` depends on the number
    of samples in a batch, as its graph is that of one number.
    """
    found, why = _flow(net, example)
    if why:
        raise ValueError(f"trace: cannot follow `net` ({type(net).__name__}): {why}")
    return found


def _flow(net: nn.Module, example: object) -> tuple[Flow, str]:
    """What was found, and why its graph fits one size of batch only, if so."""
    net, evidence = meta.network(net, "trace"), Evidence()
    seen = first(net, example, evidence, "trace", training=False)
    why = bound(net, example, evidence, "trace", seen)
    used = seen.used
    if any(name not in used for name, _ in net.named_parameters()):  # auxiliary classifiers
        first(net, example, evidence, "trace", training=True)
    groups = evidence.groups(_reads(net, seen.graph))
    return Flow(seen.graph, seen.root, groups, seen.values, evidence), why


def _reads(net: nn.Module, graph: fx.Graph) -> dict[str, int]:
    """Layer -> entries that it reads, for the layers of which single ones can be picked.

    They run (more than lend their weight to other code), and no other layer has their weight.
    """
    run = {name for node in graph.nodes for name in node.meta.get("nn_module_stack", ())}
    owners = Counter(id(p) for _, p in net.named_parameters(remove_duplicate=False))
    return {
        name: m.weight.shape[1]
        for name, m in net.named_modules()
        if isinstance(m, PICKING) and getattr(m, "groups", 1) == 1
        if name in run and owners[id(m.weight)] == 1
    }
