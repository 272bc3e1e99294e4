"""Program: the network as a list of steps that can run again from any point.

A batch goes forward once. Then a group's replay (see `replays`) runs the NEW steps alone, on kept
channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, fx, nn

from prunelab import meta
from prunelab.groups import Flow
from prunelab.sensitivity.scanning import calls
from prunelab.sensitivity.scanning.folding import folded, is_plain, norms_of, without_hooks
from prunelab.sensitivity.scanning.replays import Replay, owners, replay_of
from prunelab.sensitivity.scanning.small_maps import quick
from prunelab.sensitivity.scanning.trial import Trial
from prunelab.sensitivity.scanning.watching import needed_by


class Program:
    """A network ready to be run from any point.

    The fast form (norms folded, channels-last memory) is tried on a few images. If its logits
    differ from the network's, the plain form is used.

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
        self.quick: dict[tuple, object] = {}

    def _is_merged(self, node: fx.Node) -> bool:
        return node.op == "call_module" and node.target in self.merged

    def start(self, x: Tensor) -> dict[fx.Node, object]:
        """The values with which a run on the images `x` starts."""
        if x.ndim == 4:
            x = x.contiguous(memory_format=self.layout)
        x = x.to(self.dtype) if x.is_floating_point() else x
        first, *others = [n for n in self.nodes if n.op == "placeholder"]
        return {first: x} | {n: n.args[0] if n.args else None for n in others}

    def inputs(self, node: fx.Node) -> list[fx.Node]:
        """The nodes that a node reads, without folded norms."""
        return [self.alias.get(n, n) for n in node.all_input_nodes]

    def tensors(self, node: fx.Node) -> Mapping[str, str]:
        """A node's own tensors: name in its module ("" = itself) -> name that groups use."""
        named = node.op in ("call_module", "get_attr")
        return self.owners.get(node.target, {}) if named else {}

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
            env: values that they read; theirs are added, and dropped after their last use.
            layers: target -> what replaces the network's own module.
            keep: nodes whose values stay in `env`.
        """
        steps, layers = list(steps), layers or {}
        last = {n: step for step in steps for n in self.inputs(step)}
        kept = {*keep, *env}
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
                env[node] = call(*args, **kwargs)
            for n in self.inputs(node):
                if last[n] is node and n not in kept:
                    env.pop(n, None)
        return out

    def _quickest(self, node: fx.Node, args: tuple) -> object:
        """What a node calls, in the form that is best for maps of this size."""
        call = self.calls[node]
        if type(call) is not nn.Conv2d or not self.fast or not args or not is_plain(call):
            return call
        key = node, args[0].shape[1:]
        if key not in self.quick:
            self.quick[key] = quick(call, args[0]) or call
        return self.quick[key]

    def _load(self, node: fx.Node, env: dict[fx.Node, object]) -> object:
        return env[self.alias.get(node, node)]
