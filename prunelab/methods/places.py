"""Places: where in a network's graph the gates of a layer's units, or of its inputs, stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional

from prunelab.groups import INPUTS, Flow
from prunelab.groups.tracer import graph_of

RELUS = (nn.ReLU, functional.relu, torch.relu, "relu", torch.relu_, "relu_", functional.relu_)
NORMS = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True)
class Place:
    """Where a gate stands.

    Attributes:
        name: of the group whose units it gates; `fc1.inputs`: what a layer reads.
        size: number of units.
        axis: of the activation, along which they stand.
        side: side length of a unit's map there, 1 where it has none.
        weights: weights and biases that hang on one unit: of its filter, or that read an input.
    """

    name: str
    size: int
    axis: int
    side: int
    weights: int


def sites_of(
    graph: fx.Graph, modules: Mapping[str, nn.Module], seen: Flow, inputs: tuple[str, ...]
) -> list[tuple[Place, fx.Node]]:
    """Each place with the node that its gate follows (or, for inputs, precedes)."""
    groups, found = seen.groups, []
    for name in inputs:
        if name not in groups.reads:
            raise ValueError(
                f"gates: `inputs` names {name!r}; it must be one of {', '.join(groups.reads)}"
            )
    for node in graph.nodes:
        layer = node.target if node.op == "call_module" else None
        if layer in inputs:
            read, axis = node.args[0], -1 if isinstance(modules[layer], nn.Linear) else 1
            side = _side(seen, read)
            weights = modules[layer].weight[:, 0].numel()
            found.append((Place(layer + INPUTS, groups.reads[layer], axis, side, weights), node))
        if layer in groups and groups[layer].producers == (layer,) and layer not in groups.writers:
            last, weight = _behind(node, modules), modules[layer].weight
            place = seen.place(last.name, layer)
            bias = modules[layer].bias is not None
            weights = weight[0].numel() + bias
            size = groups[layer].size
            found.append((Place(layer, size, place.axis, _side(seen, last), weights), last))
    if not found:
        raise ValueError("gates: `net` has no layer whose units can be gated")
    return found


def same_graph(net: nn.Module) -> tuple[fx.Graph, dict[str, nn.Module]]:
    """The graph of `net`; ValueError if training and evaluation do not run the same operations."""
    with _mode(net, False):
        still = graph_of(net, "gates")[0]
    with _mode(net, True):
        graph, modules = graph_of(net, "gates")
    if [(n.op, str(n.target)) for n in still.nodes] != [(n.op, str(n.target)) for n in graph.nodes]:
        raise ValueError("gates: `net` runs other operations in training than in evaluation")
    return graph, modules


@contextmanager
def _mode(net: nn.Module, training: bool) -> Iterator[None]:
    before = {module: module.training for module in net.modules()}
    net.train(training)
    try:
        yield
    finally:
        for module, was in before.items():
            module.training = was


def _behind(node: fx.Node, modules: Mapping[str, nn.Module]) -> fx.Node:
    """The last of the batch norms and the ReLU that follow a layer."""
    while len(node.users) == 1:
        after = next(iter(node.users))
        kind = modules.get(after.target) if after.op == "call_module" else None
        if isinstance(kind, nn.ReLU) or (kind is None and after.target in RELUS):
            return after
        if not isinstance(kind, NORMS):
            return node
        node = after
    return node


def _side(seen: Flow, node: fx.Node) -> int:
    shape = seen.values[node.name].meta.shape
    return shape[-1] if len(shape) > 2 else 1


def attributes(net: nn.Module, graph: fx.Graph) -> dict[str, object]:
    """What the graph reads of `net` beside its layers."""
    found = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            owner, _, name = node.target.rpartition(".")
            found[node.target] = getattr(net.get_submodule(owner), name)
    return found


def insert(graph: fx.Graph, name: str, place: Place, node: fx.Node) -> None:
    """Put a module in front of (inputs) or behind (units) a node."""
    if place.name.endswith(INPUTS):
        with graph.inserting_before(node):
            new = graph.call_module(name, (node.args[0],))
        node.args = (new, *node.args[1:])
        return
    with graph.inserting_after(node):
        new = graph.call_module(name, (node,))
    node.replace_all_uses_with(new)
    new.args = (node,)
