"""Places: where in a network's graph the gates of a layer's units, or of its inputs, stand."""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab import meta
from prunelab.groups import INPUTS, Flow, Group, Groups
from prunelab.groups.following import graph_of
from prunelab.groups.group import IN
from prunelab.groups.operators import HOMOGENEOUS, RELUS
from prunelab.groups.values import Tracked


@dataclass(frozen=True)
class GatePlace:
    """Where a gate stands.

    Attributes:
        name: of the group whose units it gates; `fc1.inputs`: what a layer reads.
        size: number of units.
        axis: of the activation, along which they stand.
        side: side length of one unit's feature map at the gate: the square root of its area, and
            1 where a unit has no map.
        weights: number of weights that go with one unit: those of its filter with the bias; for
            an input or a unit of a linear layer, those that read it.
    """

    name: str
    size: int
    axis: int
    side: int
    weights: int


def sites_of(
    graph: fx.Graph, modules: Mapping[str, nn.Module], seen: Flow, inputs: tuple[str, ...]
) -> list[tuple[GatePlace, fx.Node]]:
    """Each place with the node that its gate follows (or, for inputs, precedes).

    Raises:
        ValueError: no place, a layer that runs twice, an entry of `inputs` that is no layer, or
            units that cannot have gates.
    """
    groups, found = seen.groups, []
    reading = [name for name in groups.reads if name in modules]
    check_inputs("gates", inputs, reading)
    for node in graph.nodes:
        layer = node.target if node.op == "call_module" else None
        if layer in inputs:
            (read,), axis = node.all_input_nodes, -1 if isinstance(modules[layer], nn.Linear) else 1
            side = _side(seen, read, axis)
            weights = modules[layer].weight[:, 0].numel()
            place = GatePlace(layer + INPUTS, groups.reads[layer], axis, side, weights)
            found.append((place, node))
        if layer in groups and groups[layer].producers == (layer,) and layer not in groups.writers:
            last = _behind(node, modules)
            axis, size = seen.place(last.name, layer).axis, groups[layer].size
            _check(seen, layer, last, axis, modules)
            weights = _weights(groups[layer], modules)
            found.append((GatePlace(layer, size, axis, _side(seen, last, axis), weights), last))
    if not found:
        raise ValueError("gates: `net` has no layer whose units can be gated")
    names = [place.name for place, _ in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"gates: `{twice.removesuffix(INPUTS)}` runs more than once in `net`")
    return found


def check_inputs(caller: str, inputs: Collection[str], reading: Collection[str]) -> None:
    """ValueError if one of `inputs` is no layer that reads."""
    for name in inputs:
        if name not in reading:
            raise ValueError(
                f"{caller}: `inputs` names {name!r}; it must be one of {', '.join(reading)}"
            )


def _check(
    seen: Flow, layer: str, last: fx.Node, axis: int, modules: Mapping[str, nn.Module]
) -> None:
    """ValueError unless a factor on each unit of a layer can be folded into those who read it."""
    group, width = seen.groups[layer], seen.values[last.name].meta.shape[axis]
    why = None
    if group.size != width:
        why = f"its {width} channels are pruned as {group.size} units"
    elif barrier := _barrier(seen, last, modules, group.consumers):
        why = f"a factor does not pass `{_name(barrier, modules)}` at `{barrier.name}`"
    if why:
        raise ValueError(f"gates: the units of `{layer}` cannot have gates: {why}")


def _weights(group: Group, modules: Mapping[str, nn.Module]) -> int:
    """How many weights go with one unit of a group; see `Place`."""
    filters = modules[group.name]
    if not isinstance(filters, nn.Linear):
        return filters.weight[0].numel() + (filters.bias is not None)
    reads = [(modules[s.layer].weight, s) for s in group.slices if s.role == IN]
    return sum(s.repeat * weight.numel() // weight.shape[s.axis] for weight, s in reads)


def _barrier(
    seen: Flow, node: fx.Node, modules: Mapping[str, nn.Module], readers: Container[str]
) -> fx.Node | None:
    """The first operation between a gate and the layers that read which is not homogeneous."""
    waiting, known = [node], {node}
    while waiting:
        for after in waiting.pop().users:
            named = [
                n.target.rpartition(".")[0] for n in after.all_input_nodes if n.op == "get_attr"
            ]
            named += [after.target] if after.op == "call_module" else []
            values = pytree.tree_leaves(seen.values[after.name])
            if after in known or any(name in readers for name in named):
                continue
            if not any(isinstance(value, Tracked) for value in values):
                continue  # a size
            if _name(after, modules) not in HOMOGENEOUS:
                return after
            known.add(after)
            waiting.append(after)
    return None


def _name(node: fx.Node, modules: Mapping[str, nn.Module]) -> str:
    """ReLU for a module, relu for a function or method."""
    if node.op == "call_module":
        return type(modules[node.target]).__name__
    return node.target if isinstance(node.target, str) else node.target.__name__


def same_graph(net: nn.Module, example: Tensor) -> tuple[fx.Graph, dict[str, object]]:
    """The graph of `net`, and the modules and tensors that it names.

    Raises:
        ValueError: training and evaluation do not run the same operations.
    """
    with meta.in_mode(net, False):
        still, _ = graph_of(net, example, "gates")
    with meta.in_mode(net, True):
        graph, parts = graph_of(net, example, "gates")
    if str(still) != str(graph):
        raise ValueError("gates: `net` runs other operations in training than in evaluation")
    return graph, parts


def _behind(node: fx.Node, modules: Mapping[str, nn.Module]) -> fx.Node:
    """The last of the batch norms and the ReLU that follow a layer."""
    while len(node.users) == 1:
        after = next(iter(node.users))
        kind = modules.get(after.target) if after.op == "call_module" else None
        if isinstance(kind, nn.ReLU) or (kind is None and after.target in RELUS):
            return after
        if not isinstance(kind, nn.modules.batchnorm._BatchNorm):
            return node
        node = after
    return node


def _side(seen: Flow, node: fx.Node, axis: int) -> int:
    shape = seen.values[node.name].meta.shape
    return round(math.sqrt(math.prod(shape[1:]) / shape[axis]))


def written(groups: Groups, name: str, keep: Mapping[str, Tensor]) -> Tensor:
    """(size,) bool: the units of a place that are written, if no more is kept than `keep`."""
    there = torch.ones(groups[name].size, dtype=torch.bool)
    if name not in groups:  # what a layer reads
        (read,) = groups[name].slices
        for other, kept in keep.items():
            for s in groups[other].slices:
                if (s.tensor, s.axis, s.role) == (read.tensor, read.axis, IN):
                    part = there.narrow(0, s.offset, s.repeat * len(kept))
                    part &= kept.cpu().repeat_interleave(s.repeat)
    return there


def insert(graph: fx.Graph, name: str, place: GatePlace, node: fx.Node) -> None:
    """Put a module in front of (inputs) or behind (units) a node."""
    if place.name.endswith(INPUTS):
        (read,) = node.all_input_nodes
        with graph.inserting_before(node):
            new = graph.call_module(name, (read,))
        node.replace_input_with(read, new)
        return
    with graph.inserting_after(node):
        new = graph.call_module(name, (node,))
    node.replace_all_uses_with(new)
    new.args = (node,)
