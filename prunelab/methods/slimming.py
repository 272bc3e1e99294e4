r"""Network slimming: an l1 penalty on batch norm's scales, then one threshold for the network.

    L = sum l(f(x), y) + strength * sum |gamma|
    threshold = the scale at position int(ratio * number of scales), in order of size
    a channel stays if its |gamma| is strictly greater

Source: Liu, Li, Shen, Huang, Yan, Zhang. Learning Efficient Convolutional Networks through Network
    Slimming. ICCV 2017.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, fx, nn

from prunelab import scores, surgery, train
from prunelab.data import Dataset
from prunelab.groups import Groups, trace
from prunelab.groups.following import graph_of
from prunelab.groups.group import INPUTS, THROUGH
from prunelab.groups.operators import NORMS, RELUS
from prunelab.masks import Keep
from prunelab.methods.base import Method, Pruned, check_budget, check_number
from prunelab.methods.stages import Options


@dataclass(frozen=True)
class Slimming(Method):
    """Network slimming: training pushes the scales of batch norms to zero; the smallest go.

    Attributes:
        ratio: fraction of all scales whose channels are removed, over the whole network.
        budget: the training under the penalty.
        strength: lambda, the weight of the sum of |gamma|.
        start: what every scale is set to before the training; None = left as it is.
        most: the largest fraction of a layer that may go; the paper's repeated passes take 0.5. At
            least one channel of each layer stays.

    Where scales equal to the threshold make it remove more than `ratio`, it warns.

    Cost: `budget`.

    Source: Slimming, section 3; strengths, start and threshold of the authors' code
        (papers/baselines.md section 3).
    Differs: `start` is None, as networks come trained; the paper trains new weights from scales of
        0.5 for 160 epochs, with a strength chosen on validation images, and issue 11 of the
        authors' repository advises against starting from a trained network. A channel that several
        norms scale counts with the largest of them. Residual streams are not thinned. Where a norm
        reads a stream for one convolution alone (pre-activation), this convolution picks its
        inputs, as the authors' channel selection does.
    """

    KIND: ClassVar[str] = "slimming"

    ratio: float
    budget: train.Budget
    strength: float = 1e-4
    start: float | None = None
    most: float = 1.0

    def __post_init__(self) -> None:
        scores.check_ratio("Slimming", self.ratio)
        check_budget(self)
        check_number(self, "strength", "a number >= 0", lambda v: v >= 0)
        check_number(self, "most", "a fraction in (0, 1]", lambda v: 0 < v <= 1)
        if self.start is not None:
            check_number(self, "start", "a number > 0, or None", lambda v: v > 0)

    def _run(self, net: nn.Module, data: Dataset, options: Options) -> Pruned:
        groups = trace(net, data.example)
        scaled = norms_of(net, groups, data.example)
        if not scaled:
            raise ValueError(
                "Slimming: `net` must have a BatchNorm with scales whose channels can be removed"
            )
        norms = [net.get_submodule(n) for n in dict.fromkeys(sum(scaled.values(), ()))]
        stage = options.stage(self.budget, data)
        if self.start is not None and not stage.resumed:
            with torch.no_grad():
                for norm in norms:
                    norm.weight.fill_(self.start)
        history = stage.fit(net, penalty=lambda: self.strength * _total(norms))
        scales = {name: _scales(net, groups, name, of) for name, of in scaled.items()}
        self._check(scales)
        keep = Keep(self._keep(scales))
        surgery.masker(net, groups, keep)()
        return Pruned(keep, (history,))

    def _check(self, scales: Mapping[str, Tensor]) -> None:
        """Refuse scales that are not finite, warn of ones that no threshold can tell apart."""
        for name, scale in scales.items():
            if strange := int((~scale.isfinite()).sum()):
                raise ValueError(
                    f"Slimming: `net` must have finite scales; {strange} of {len(scale)} of"
                    f" `{name}` are not"
                )
        if not self.ratio:
            return
        ordered = torch.cat([*scales.values()]).sort().values
        place = int(len(ordered) * self.ratio)
        equal = int((ordered == ordered[place]).sum())
        below = int((ordered <= ordered[place]).sum())
        if below > place + 1:
            warnings.warn(
                f"Slimming: {equal} of {len(ordered)} scales are equal to the threshold"
                f" {float(ordered[place]):g}, so that {below} are at or below it, where `ratio`"
                f" {self.ratio:g} asks for {place}; train longer, or with a larger `strength`",
                stacklevel=2,
            )

    def _keep(self, scales: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The channels above one threshold, within the bound for a layer."""
        ordered = torch.cat([*scales.values()]).sort().values
        threshold = ordered[int(len(ordered) * self.ratio)] if self.ratio else ordered[0] - 1
        keep = {}
        for name, scale in scales.items():
            least = max(1, len(scale) - int(self.most * len(scale)))
            above = int((scale > threshold).sum())
            keep[name] = scores.best(scale, max(above, least))
        return keep


def norms_of(net: nn.Module, groups: Groups, example: Tensor) -> dict[str, tuple[str, ...]]:
    """Group, or `<layer>.inputs` -> the batch norms whose scales decide about its channels."""
    found = {}
    for name, group in groups.items():
        if not groups.writers & set(group.producers):
            layers = dict.fromkeys(s.layer for s in group.slices if s.role == THROUGH)
            found[name] = tuple(n for n in layers if _has_scales(net.get_submodule(n)))
    for layer, norm in _before_entries(net, groups, example).items():
        found[f"{layer}{INPUTS}"] = (norm,)
    return {name: norms for name, norms in found.items() if norms}


def _before_entries(net: nn.Module, groups: Groups, example: Tensor) -> dict[str, str]:
    """First layer of a block -> the norm that reads the stream for it alone."""
    graph, parts = graph_of(net, example, "Slimming")
    found = {}
    for node in graph.nodes:
        if node.op == "call_module" and node.target in groups.entries:
            before = node.args[0]
            while isinstance(before, fx.Node) and len(before.users) == 1:
                called = parts.get(before.target) if before.op == "call_module" else before.target
                if _has_scales(called):
                    found[node.target] = before.target
                if type(called) not in RELUS and called not in RELUS:
                    break
                before = before.args[0]
    return found


def _has_scales(module: object) -> bool:
    return isinstance(module, NORMS) and module.weight is not None


def _total(norms: list[nn.Module]) -> Tensor:
    return sum(norm.weight.abs().sum() for norm in norms)


def _scales(net: nn.Module, groups: Groups, name: str, norms: tuple[str, ...]) -> Tensor:
    """(C,) the largest |gamma| of each channel."""
    if name.endswith(INPUTS):
        return net.get_submodule(norms[0]).weight.detach().abs().cpu()
    size, out = groups[name].size, []
    for s in groups[name].slices:
        if s.layer in norms and s.tensor.endswith(".weight"):
            scale = net.get_submodule(s.layer).weight.detach().abs().cpu()
            part = scale[s.offset : s.offset + s.repeat * size]
            out.append(part.view(size, s.repeat).amax(1))
    return torch.stack(out).amax(0)
