"""Program: the network as a list of steps that can run again from any point.

A batch goes forward once. Then a group's replay (see `replays`) runs the NEW steps alone, on kept
channels.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, fx, nn

from prunelab import meta
from prunelab.groups import Flow
from prunelab.sensitivity.scanning import trial
from prunelab.sensitivity.scanning.folding import folded, is_plain, norms_of, without_hooks
from prunelab.sensitivity.scanning.replays import Replay, replay_of
from prunelab.sensitivity.scanning.small_maps import quick
from prunelab.sensitivity.scanning.watching import completed, unwritten
from prunelab.surgery import tensors_of


class Program:
    """A network ready to be run from any point.

    The fast form (norms folded, channels-last memory) is tried on a few images. If its logits
    differ from the network's, the plain form is used.

    Args:
        net: any network; a copy is made, in evaluation mode.
        flow: from `prunelab.groups.flow` on `net`; its graph is made free of writes in place.
        example: (n, ...) images to try it on, in the network's own type.
        logits: which entry of the output holds the logits, as for `train.evaluate`.

    Raises:
        TypeError: the output of `net` is no tensor and `logits` is not given.
        ValueError: `net` does not run on these images, or cannot be replayed.
    """

    def __init__(
        self, net: nn.Module, flow: Flow, example: Tensor, logits: str | int | None = None
    ):
        self.flow, self.source, self.dtype = flow, net, meta.dtype_of(net)
        self._names = {id(tensor): name for name, tensor in tensors_of(net).items()}
        # Neither one image, nor the two that a network is traced with.
        x = example[torch.arange(3) % len(example)]
        with torch.inference_mode(False):
            wanted = trial.expected(net, x, logits)
            self.seen = trial.replayable(net, flow, x, logits, wanted)
        self.output = flow.graph.output_node()
        self.norms = norms_of(flow.graph, net)
        self._build(torch.channels_last)
        if not self._gives(x, wanted):
            self._build(torch.contiguous_format)
            if not self._gives(x, wanted):
                raise ValueError(
                    f"scan: `net` ({type(net).__name__}) gives something else when it runs step by"
                    f" step in {self.dtype}"
                )

    @property
    def fast(self) -> bool:
        """Whether this is the fast form."""
        return self.layout == torch.channels_last

    def _build(self, layout: torch.memory_format) -> None:
        self.layout = layout
        self.norms = self.norms if self.fast else {}
        fused = without_hooks(folded(self.source, self.norms, layout))
        self.net = completed(fused, self.flow.graph, self.flow.root)
        for module in self.net.modules():
            if getattr(module, "inplace", False) is True:
                module.inplace = False
        self.nodes = [*self.flow.graph.nodes]
        self.calls = {n: self._call(n) for n in self.nodes}
        self.quick: dict[tuple, object] = {}

    def _call(self, node: fx.Node) -> object:
        """What a node calls in a replay, where nothing may be overwritten; or an attribute."""
        if node.op == "get_attr":
            return operator.attrgetter(node.target)(self.net)
        call = node.target
        if node.op == "call_module":
            call = self.net.get_submodule(node.target)
            if hasattr(call, "inplace"):  # it is not, by now
                return call
        if node.op == "call_method":
            call = _view if node.target == "view" else _method(node.target)
        return unwritten(call, self.seen.writes[node]) if node in self.seen.writes else call

    def _gives(self, x: Tensor, wanted: Tensor) -> bool:
        """Whether this form runs and gives the logits `wanted`."""
        try:
            with torch.inference_mode():
                out = self.run(self.nodes, self.start(x.clone()))
        except Exception:  # whatever the network's own code raises in another memory
            return False
        return trial.close(out, wanted, self.dtype)

    def start(self, x: Tensor) -> dict[fx.Node, object]:
        """The values with which a run on the images `x` starts."""
        if x.ndim == 4:
            x = x.contiguous(memory_format=self.layout)
        first, *others = [n for n in self.nodes if n.op == "placeholder"]
        return {first: x} | {n: n.args[0] if n.args else None for n in others}

    def tensors(self, node: fx.Node) -> Mapping[str, str]:
        """A node's own tensors: name in its module ("" = itself) -> name that groups use."""
        if node.op not in ("call_module", "get_attr"):
            return {}
        owner = self.source
        for part in node.target.split("."):
            owner = getattr(owner, part, None)  # None: a constant made in `forward`
        module = isinstance(owner, nn.Module)
        own = {**owner._parameters, **owner._buffers} if module else {"": owner}
        return {k: self._names[id(t)] for k, t in own.items() if id(t) in self._names}

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
        last = {n: step for step in steps for n in step.all_input_nodes}
        kept = {*keep, *env}
        out = None
        for node in steps:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), env.__getitem__)
            if node.op == "output":
                out = args[0]
            elif node.op == "get_attr":
                env[node] = layers.get(node.target, self.calls[node])
            elif node.op != "placeholder":
                own = node.op == "call_module" and node.target in layers
                call = layers[node.target] if own else self._quickest(node, args)
                env[node] = call(*args, **kwargs)
            for n in node.all_input_nodes:
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


def _method(name: str):
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def _view(x: Tensor, *shape: object, **kwargs: object) -> Tensor:
    """`view`, also on the channels-last memory of a convolution."""
    another = kwargs or isinstance(shape[0], torch.dtype)
    return x.view(*shape, **kwargs) if another else x.reshape(*shape)
