"""Program: the network as a list of steps that can run again from any point.

A batch goes forward once. Then a group's replay (see `replays`) runs the NEW steps alone, on kept
channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property

import torch
from torch import Tensor, fx, nn

from prunelab import meta
from prunelab.groups import Flow
from prunelab.sensitivity.scanning import calls
from prunelab.sensitivity.scanning.folding import folded, norms_of, without_hooks
from prunelab.sensitivity.scanning.replays import Replay, owners, replay_of
from prunelab.sensitivity.scanning.trial import Trial
from prunelab.sensitivity.scanning.watching import needed_by


class Program:
    """A network ready to be run from any point.

    The fast form (norms folded, memory in channels-last order) is tried on a few images. Where it
    does not give what the network gives, a plain form is taken.

    Args:
        net: any network; a copy is made, in evaluation mode.
        flow: from `prunelab.groups.flow` on `net`; its graph is made free of writes in place.
        fold: fold batch norms into convolutions.
        logits: which entry of the output holds the logits, as for `train.evaluate`.
        example: (n, ...) images to try it on; None = random ones.

    Raises:
        TypeError: the output of `net` is no tensor and `logits` is not given.
        ValueError: `net` does not run on these images, or cannot be replayed (see `Trial`).
    """

    def __init__(
        self,
        net: nn.Module,
        flow: Flow,
        *,
        fold: bool = True,
        logits: str | int | None = None,
        example: Tensor | None = None,
    ):
        self.flow, self.source, self.owners = flow, net, owners(net)
        self.logits, self.dtype = logits, meta.dtype_of(net)
        trial = Trial(net, flow, logits, example)
        self.seen = trial.seen
        for layout in (torch.channels_last, torch.contiguous_format):
            self.layout = layout
            self._build(fold and self.fast)
            if trial.passed_by(self):
                return
        raise ValueError(
            f"scan: `net` ({type(net).__name__}) gives something else when it runs step by step"
            f" in {self.dtype}"
        )

    @property
    def fast(self) -> bool:
        """Whether this is the fast form."""
        return self.layout == torch.channels_last

    def _build(self, fold: bool) -> None:
        graph = self.flow.graph
        norms = norms_of(graph, self.source) if fold else {}
        self.net = without_hooks(folded(self.source, norms, self.layout))
        for module in self.net.modules():
            if getattr(module, "inplace", False) is True:
                module.inplace = False
        self.merged = set(norms.values())
        self.output = next(n for n in graph.nodes if n.op == "output")
        needed = needed_by(self.output)
        self.nodes = [
            n
            for n in graph.nodes
            if n.op == "placeholder" or (n in needed and not self._is_merged(n))
        ]
        self.alias = {n: n.args[0] for n in graph.nodes if self._is_merged(n)}
        self.calls = {n: calls.call_of(n, self.net, self.seen) for n in self.nodes}

    def _is_merged(self, node: fx.Node) -> bool:
        return node.op == "call_module" and node.target in self.merged

    def start(self, x: Tensor) -> dict[fx.Node, object]:
        """The values that a run on the images `x` begins with."""
        if x.ndim == 4:
            x = x.contiguous(memory_format=self.layout)
        x = x.to(self.dtype) if x.is_floating_point() else x
        first, *others = [n for n in self.nodes if n.op == "placeholder"]
        return {first: x} | {n: n.args[0] if n.args else None for n in others}

    def inputs(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that a node reads, folded norms left out."""
        return [self.alias.get(n, n) for n in node.all_input_nodes]

    def users(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that read a node, folded norms left out."""
        direct = [u for u in node.users if not self._is_merged(u)]
        return direct + [u for n in node.users if self._is_merged(n) for u in n.users]

    def size(self, node: fx.Node) -> int:
        """Numbers that a value of the network has for one image; 0 if it is no tensor."""
        shape = getattr(getattr(self.flow.values.get(node.name), "meta", None), "shape", (0,))
        return math.prod(shape[1:]) if len(shape) > 1 else 0

    @cached_property
    def largest(self) -> int:
        """Numbers of the largest activation for one image."""
        return max(self.size(node) for node in self.nodes)

    def replay(self, group: str) -> Replay:
        """What runs again when `group` is pruned."""
        return replay_of(self, group)

    def run(
        self,
        steps: Iterable[fx.Node],
        env: dict[fx.Node, object],
        layers: Mapping[str, object] | None = None,
        keep: Iterable[fx.Node] = (),
    ) -> Tensor:
        """Run steps; returns the network's logits.

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
                call = layers[node.target] if own else self.calls[node]
                spare = self._spare(node, mine, kept)
                env[node] = calls.apply(call, args, kwargs, spare)
            for n in self.inputs(node):
                if last[n] is node and n not in kept:
                    env.pop(n, None)
        return out

    def _load(self, node: fx.Node, env: dict[fx.Node, object]) -> object:
        return env[self.alias.get(node, node)]

    def _spare(self, node: fx.Node, mine: set[fx.Node], kept: set[fx.Node]) -> int | None:
        """Which argument of an activation or an addition nobody else reads: it is overwritten."""
        if not calls.overwritable(self.calls[node], node.target):
            return None
        for place, value in enumerate(node.args[:2]):
            if isinstance(value, fx.Node):
                value = self.alias.get(value, value)
                made = self.calls[value]
                fresh = type(made) in calls.FRESH or made in calls.ADDS
                if fresh and value in mine and value not in kept and len(self.users(value)) == 1:
                    return place
        return None
