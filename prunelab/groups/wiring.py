"""Wiring: the graph of a network, run in parts.

A network with additions inside its modules is counted in residual blocks, each other one in layers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from prunelab import meta
from prunelab.groups.following import graph_of
from prunelab.groups.operators import ADDITIONS

LAYERS = (nn.Conv2d, nn.Linear)
# What stands between a layer and its ReLU without mixing maps; of a residual sum, the sum's ReLU.
TRANSPARENT = ("norm", "add", "pool", "dropout", "identity")
Take = Callable[[fx.Node, Tensor, Tensor], Tensor | None]


@dataclass(frozen=True)
class Wiring:
    """The graph of a network.

    Attributes:
        net: the network.
        graph: in evaluation mode.
        parts: what its nodes name: modules of the network, and constants.
        caller: whom an error names.
    """

    net: nn.Module
    graph: fx.Graph
    parts: dict[str, object]
    caller: str

    @classmethod
    def of(cls, net: nn.Module, example: Tensor, caller: str) -> Wiring:
        """Trace. Errors as `prunelab.groups.following.graph_of`."""
        with meta.in_mode(net, False):
            return cls(net, *graph_of(net, example, caller), caller)

    def blocks(self) -> list[str]:
        """The residual blocks in order of execution; layers but the last if there are none."""
        added = [n for n in self.graph.nodes if is_addition(n) and n.meta.get("nn_module_stack")]
        if added:
            return list(dict.fromkeys([*node.meta["nn_module_stack"]][-1] for node in added))
        layers = [n.target for n in self.graph.nodes if isinstance(self._module(n), LAYERS)]
        return list(dict.fromkeys(layers))[:-1]

    def end(self, place: str | None) -> fx.Node:
        """The last node of a module; None = the output of the network."""
        if place is None:
            (output,) = (n for n in self.graph.nodes if n.op == "output")
            (node,) = output.all_input_nodes
            return node
        return [n for n in self.graph.nodes if place in n.meta.get("nn_module_stack", ())][-1]

    def depth(self, place: str) -> int:
        """How many layers lie on the longest way from the images to the end of a module."""
        found: dict[fx.Node, int] = {}
        for node in self.graph.nodes:
            before = max((found[n] for n in node.all_input_nodes), default=0)
            found[node] = before + isinstance(self._module(node), LAYERS)
        return found[self.end(place)]

    def call(self, layer: str) -> fx.Node:
        """The node that calls a layer, the last if there are several. ValueError if none does."""
        return self.calls(layer)[-1]

    def calls(self, layer: str) -> list[fx.Node]:
        """The nodes that call a layer. ValueError if none does."""
        if found := [n for n in self.graph.nodes if n.op == "call_module" and n.target == layer]:
            return found
        raise ValueError(f"{self.caller}: `net` does not call `{layer}`")

    def activation(self, node: fx.Node) -> fx.Node:
        """The ReLU that follows a node, before any other layer reads it; the node if none does."""
        here = node
        while len(here.users) == 1:
            here = next(iter(here.users))
            kind = self._kind(here)
            if "relu" in kind:
                return here
            if not any(word in kind for word in TRANSPARENT):
                break
        return node

    def _kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.parts[node.target]).__name__.lower()
        return str(getattr(node.target, "__name__", node.target)).lower()

    def maps(self, layer: str, value: Tensor) -> Tensor:
        """(N, C, pixels) of what a layer writes: a linear layer has its channels last."""
        if isinstance(self.parts[layer], nn.Linear):
            value = value.movedim(-1, 1)
        return value.flatten(2) if value.ndim > 2 else value.unsqueeze(2)

    def leads(self, layer: str, place: str | None) -> bool:
        """Whether a place depends on a layer, or is it."""
        return self.end(layer) in _needed(self.end(place))

    def _module(self, node: fx.Node) -> object:
        return self.parts[node.target] if node.op == "call_module" else None

    def cut(self, layers: Sequence[str], place: str | None) -> tuple[nn.Module, nn.Module]:
        """The network up to some layers, and from these layers to a place.

        Args:
            layers: names of modules, which the network calls once each.
            place: where the second part ends, see `end`.

        Returns:
            front: images -> tuple of what the second part reads. rest: these -> output of the
            place. Both run the network's own modules.
        """
        end = self.end(place)
        first = {n for n in self.graph.nodes if n.op == "call_module" and n.target in layers}
        behind = set(first)
        for node in self.graph.nodes:
            if behind & set(node.all_input_nodes):
                behind.add(node)
        inside = [n for n in self.graph.nodes if n in behind and n in _needed(end)]
        read = dict.fromkeys(i for n in inside for i in n.all_input_nodes if i not in behind)
        given = [n for n in read if n.op != "get_attr"]
        return self.part(given), self.part([end], given)

    def part(self, ends: list[fx.Node], given: Sequence[fx.Node] = ()) -> fx.GraphModule:
        """What leads to some nodes: images -> tuple of values, or given nodes -> the first."""
        graph, copies = fx.Graph(), {}
        for node in given:
            copies[node] = graph.placeholder(node.name)
        wanted = set().union(*(_needed(end, given) for end in ends))
        for node in self.graph.nodes:
            if node in wanted and node not in copies:
                copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.output(copies[ends[0]] if given else tuple(copies[n] for n in ends))
        named = {n.target for n in graph.nodes if n.op in ("call_module", "get_attr")}
        return fx.GraphModule({name: self.parts[name] for name in named}, graph)

    def watch(self, wanted: Collection[fx.Node], take: Take) -> Callable[[Tensor], None]:
        """A function that runs the network in evaluation mode up to the last of some nodes.

        Args:
            wanted: the nodes; at least one.
            take: called as (node, its first argument, its value) when a node has run, before
                anything later can overwrite either.
        """
        graph, copies = fx.Graph(), {}
        for node in self.graph.nodes:
            copies[node] = graph.node_copy(node, copies.__getitem__)
            if copies.keys() >= set(wanted):
                break
        graph.output(None)
        told = {copies[node]: node for node in wanted}

        @torch.inference_mode()
        def run(x: Tensor) -> None:
            with meta.in_mode(self.net, False):
                _Watched(self.parts, graph, told, take).run(x.to(meta.dtype_of(self.net)))

        return run

    def traced(
        self, x: Tensor, wanted: Collection[fx.Node]
    ) -> tuple[object, dict[fx.Node, Tensor]]:
        """The output for some images and what some nodes gave, with the gradients between them.

        Runs in evaluation mode. Whatever overwrites a value later, here it is as it was.
        """
        seen: dict[fx.Node, Tensor] = {}

        def take(node: fx.Node, _: Tensor, value: Tensor) -> Tensor:
            seen[node] = value.clone()
            return seen[node].clone()

        with meta.in_mode(self.net, False), torch.enable_grad():
            x = x.detach().to(meta.dtype_of(self.net), copy=True).requires_grad_()
            told = {node: node for node in wanted}
            return _Watched(self.parts, self.graph, told, take).run(x), seen


class _Watched(fx.Interpreter):
    """Runs a graph node by node, and tells what some of them read and write.

    It goes on with what it is given in return, if that is anything.
    """

    def __init__(
        self, parts: dict[str, object], graph: fx.Graph, told: dict[fx.Node, fx.Node], take: Take
    ):
        super().__init__(nn.Module(), graph=graph)
        self.parts, self.told, self.take = parts, told, take

    def fetch_attr(self, target: str) -> object:
        return self.parts[target]

    def run_node(self, node: fx.Node) -> object:
        value = super().run_node(node)
        if node in self.told:
            args, _ = self.fetch_args_kwargs_from_env(node)
            given = self.take(self.told[node], args[0] if args else None, value)
            return value if given is None else given
        return value


def is_addition(node: fx.Node) -> bool:
    """Whether it adds two activations."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    called = node.op in ("call_function", "call_method")
    return called and name.rstrip("_") in ADDITIONS and len(node.all_input_nodes) > 1


def _needed(end: fx.Node, given: Sequence[fx.Node] = ()) -> set[fx.Node]:
    """The nodes that lead to `end`, and it; not those that lead to given ones."""
    seen, todo = set(), [end]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [] if node in given else node.all_input_nodes
    return seen
