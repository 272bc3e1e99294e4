"""Program: the network as a list of steps that can run again from any point.

When only one group is pruned, a value of the network is one of three things:

* CLEAN: it does not depend on the group;
* CUT: it is the whole network's value without the removed channels (what the group's filters write,
  and everything that works channel by channel on it);
* NEW: it depends on a sum over the channels, so it has other numbers: it is computed again.

A batch goes forward once. Then a group's plan runs the NEW steps alone, on kept channels.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from prunelab.groups import Flow, Place
from prunelab.sensitivity.folding import CONVS, NORMS, copy_of, folded, norms_of
from prunelab.sensitivity.small_maps import quick

RELUS = (nn.ReLU, functional.relu, torch.relu, "relu", torch.relu_, "relu_", functional.relu_)
ADDS = (operator.add, operator.iadd, torch.add)
FRESH = (*CONVS, *NORMS, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True, eq=False)
class Plan:
    """What runs again when a group is pruned.

    Attributes:
        steps: the NEW nodes that the output depends on, in order.
        cut: node -> place of the group, for the CUT values that these steps read.
        clean: nodes whose CLEAN values these steps read.
    """

    steps: list[fx.Node]
    cut: dict[fx.Node, Place]
    clean: list[fx.Node]

    @property
    def reads(self) -> set[fx.Node]:
        """Values of the whole network that must be kept for this plan."""
        return {*self.cut, *self.clean}

    @cached_property
    def entries(self) -> list[fx.Node]:
        """Steps that read nothing but one CUT value."""
        return [n for n in self.steps if len(n.all_input_nodes) == 1 and n.args[0] in self.cut]


class Program:
    """A network ready to be run from any point.

    Args:
        net: any network; a copy is made, in evaluation mode.
        flow: from `prunelab.groups.flow` on `net`.
        fold: fold batch norms into convolutions.
        dtype: of weights and activations.
    """

    def __init__(
        self, net: nn.Module, flow: Flow, *, fold: bool = True, dtype: torch.dtype = torch.float32
    ):
        self.flow, self.source, graph = flow, net, flow.graph
        norms = norms_of(graph, net) if fold else {}
        self.net = (folded(net, norms) if fold else copy_of(net)).to(dtype)
        self.dtype, self.merged = dtype, set(norms.values())
        self._follow_in_place()
        self.nodes = [n for n in graph.nodes if not self._is_merged(n)]
        self.alias = {n: n.args[0] for n in graph.nodes if self._is_merged(n)}
        self.output = next(n for n in self.nodes if n.op == "output")
        self.calls = {n: self._call(n) for n in self.nodes}
        self.quick: dict[tuple, object] = {}

    def _is_merged(self, node: fx.Node) -> bool:
        return node.op == "call_module" and node.target in self.merged

    def _follow_in_place(self) -> None:
        """What read a value after it was overwritten reads the new value."""
        order = {n: i for i, n in enumerate(self.flow.graph.nodes)}
        for node in self.flow.graph.nodes:
            module = self.source.get_submodule(node.target) if node.op == "call_module" else None
            name = getattr(node.target, "__name__", str(node.target))
            flagged = getattr(module, "inplace", False) is True or node.kwargs.get("inplace")
            method = node.op == "call_method" and name.endswith("_") and not name.endswith("__")
            if (flagged or method) and node.args and isinstance(node.args[0], fx.Node):
                node.args[0].replace_all_uses_with(
                    node, lambda user, node=node: order[user] > order[node]
                )
            if node.kwargs.get("inplace"):
                node.kwargs = {**node.kwargs, "inplace": False}

    def inputs(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that a node reads, folded norms left out."""
        return [self.alias.get(n, n) for n in node.all_input_nodes]

    def users(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that read a node, folded norms left out."""
        direct = [u for u in node.users if not self._is_merged(u)]
        return direct + [u for n in node.users if self._is_merged(n) for u in n.users]

    def _call(self, node: fx.Node) -> object:
        """What a node calls: a module, a function; or the value of an attribute."""
        if node.op == "call_module":
            return self.net.get_submodule(node.target)
        if node.op == "get_attr":
            try:
                return operator.attrgetter(node.target)(self.net)
            except AttributeError:  # a constant made in `forward` while it was traced
                return operator.attrgetter(node.target)(self.flow.root)
        if node.op == "call_method":
            name = node.target
            name = name[:-1] if name.endswith("_") and not name.endswith("__") else name
            return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)
        return node.target

    def size(self, node: fx.Node) -> int:
        """Numbers that a value of the network has for one image; 0 if it is no tensor."""
        shape = getattr(getattr(self.flow.values.get(node.name), "meta", None), "shape", (0,))
        return math.prod(shape[1:]) if len(shape) > 1 else 0

    @cached_property
    def largest(self) -> int:
        """Numbers of the largest activation for one image."""
        return max(self.size(node) for node in self.nodes)

    def plan(self, group: str) -> Plan:
        """What runs again when `group` is pruned."""
        slices = self.flow.groups[group].slices
        touched = {s.layer for s in slices} | {s.tensor for s in slices}
        readers = {s.layer for s in slices if s.role == "in"}
        cut: dict[fx.Node, Place] = {}
        new: dict[fx.Node, None] = {}
        for node in self.nodes:
            inputs = self.inputs(node)
            own = node.op in ("call_module", "get_attr") and node.target in touched
            if not own and not any(n in cut or n in new for n in inputs):
                continue
            place = self.flow.place(node.name, group) if node.op != "output" else None
            reads = node.op == "get_attr" or (own and node.target in readers)
            if place is None or reads or any(n in new for n in inputs):
                new[node] = None
            else:
                cut[node] = place
        needed = {self.output}
        for node in reversed(new):
            if node in needed:
                needed.update(self.inputs(node))
        steps = [n for n in new if n in needed]
        reads = {n: None for step in steps for n in self.inputs(step) if n not in new}
        return Plan(
            steps, {n: cut[n] for n in reads if n in cut}, [n for n in reads if n not in cut]
        )

    def run(
        self,
        steps: Iterable[fx.Node],
        env: dict[fx.Node, object],
        layers: Mapping[str, object] | None = None,
        keep: Iterable[fx.Node] = (),
    ) -> Tensor:
        """Run steps; returns the network's output.

        Args:
            steps: nodes in order.
            env: values they read; their own are added, and dropped after their last use.
            layers: target -> what stands in place of the network's own module.
            keep: nodes whose values stay in `env`.
        """
        steps, layers = list(steps), layers or {}
        last = {n: step for step in steps for n in self.inputs(step)}
        mine, kept = set(steps), {*keep, *env}
        out = None
        for node in steps:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: self._load(n, env))
            if node.op == "output":
                out = args[0]
            elif node.op == "get_attr":
                env[node] = layers.get(node.target, self.calls[node])
            elif node.op != "placeholder":
                own = node.op == "call_module" and node.target in layers
                call = layers[node.target] if own else self._quickest(node, args)
                spare = self._spare(node, mine, kept)
                env[node] = _apply(call, args, kwargs, spare)
            for n in self.inputs(node):
                if last[n] is node and n not in kept:
                    env.pop(n, None)
        return out

    def _quickest(self, node: fx.Node, args: tuple) -> object:
        """What a node calls, in the form that is best for maps of this size."""
        call = self.calls[node]
        if type(call) is not nn.Conv2d:
            return call
        key = node, args[0].shape[1:]
        if key not in self.quick:
            self.quick[key] = quick(call, args[0]) or call
        return self.quick[key]

    def _load(self, node: fx.Node, env: dict[fx.Node, object]) -> object:
        return env[self.alias.get(node, node)]

    def _spare(self, node: fx.Node, mine: set[fx.Node], kept: set[fx.Node]) -> int | None:
        """Which argument of an activation or an addition nobody else reads: it is overwritten."""
        call = self.calls[node]
        if not (type(call) in RELUS or call in RELUS or call in ADDS or node.target in RELUS):
            return None
        for place, value in enumerate(node.args[:2]):
            if isinstance(value, fx.Node):
                value = self.alias.get(value, value)
                fresh = type(self.calls[value]) in FRESH or self.calls[value] in ADDS
                if fresh and value in mine and value not in kept and len(self.users(value)) == 1:
                    return place
        return None


def _apply(call: object, args: tuple, kwargs: dict, spare: int | None) -> object:
    """The operation itself, written over the spare argument where that gives the same."""
    if spare is None or (kwargs and kwargs != {"inplace": False}):
        return call(*args, **kwargs)
    x, y = args[spare], args[1 - spare] if len(args) > 1 else None
    if call not in ADDS:
        return torch.relu_(x)
    same = isinstance(y, Tensor) and x.shape == y.shape and x.dtype == y.dtype
    return x.add_(y) if same else call(*args)
