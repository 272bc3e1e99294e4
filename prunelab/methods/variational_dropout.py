r"""Sparse variational dropout: weights that are all noise are not needed.

    w ~ N(theta, sigma^2),    p(w) ~ 1/|w|,    log alpha = log sigma^2 - log theta^2       (1)
    loss = cross-entropy + (1/N) sum_w KL(log alpha_w)                         N images      (2)
    weight w is pruned if log alpha_w > 3                                                    (3)

Units are looked at only afterwards. A unit goes when nothing reads it: all its outgoing weights
are pruned or lead to units that went. It goes too when it reads nothing: it then gives a constant,
which moves into the biases of those who read it. Neither changes what the network computes.

Source: Molchanov, Ashukha, Vetrov. Variational Dropout Sparsifies Deep Neural Networks. ICML 2017.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunelab.groups import Group
from prunelab.groups.group import IN, OUT, SELECT
from prunelab.masks import Keep
from prunelab.meta import dtype_of, in_mode
from prunelab.methods.base import check_number
from prunelab.methods.gating.gated_method import GatedMethod
from prunelab.methods.gating.gates import Gate, units_of
from prunelab.methods.gating.noisy_weights import NoisyLayer, NoisyNetwork, log_uniform_kl
from prunelab.methods.gating.places import GatePlace

CLIP = 8.0  # of log alpha: beyond, the KL has no slope
EPSILON = 1e-16  # beside theta^2: far below the sigma^2 of a weight that is pruned
READ = (IN, SELECT)


class SparseLayer(NoisyLayer):
    """A layer whose noisiest weights are pruned; its biases have no noise."""

    def __init__(self, layer: nn.Module, method: VariationalDropout):
        super().__init__(layer, method.rate, ("weight",), method.log_var)
        self.threshold = method.threshold

    def log_alpha(self) -> Tensor:
        """Log sigma^2 - log theta^2 of each weight, within -8 and 8."""
        ratio = self.log_var("weight") - (self.layer.weight.square() + EPSILON).log()
        return ratio.clamp(-CLIP, CLIP)

    def kept(self) -> Tensor:
        """Bool, in the weight's shape."""
        return self.log_alpha() <= self.threshold

    def mean(self, x: Tensor) -> Tensor:
        """The layer without its pruned weights."""
        return functional_call(self.layer, {"weight": self.layer.weight * self.kept()}, x)

    def penalty(self) -> Tensor:
        """KL of the weights."""
        return log_uniform_kl(self.log_alpha()).sum()

    def takes_constants(self) -> bool:
        """Whether a constant input is no more than a shift of the bias.

        Not so where zeros stand around the input, as the sum then differs at the border.
        """
        padding = getattr(self.layer, "padding", 0)
        none = padding in (0, "valid") or (isinstance(padding, tuple) and not any(padding))
        zeros = getattr(self.layer, "padding_mode", "zeros") == "zeros"
        return self.layer.bias is not None and (none or not zeros)


class Unit(Gate):
    """No gate: it marks a place whose units the layers around it decide about."""

    def __init__(self, place: GatePlace):
        super().__init__(place, 1.0)
        self.register_buffer("open", torch.ones(place.size), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def sample(self, n: int) -> Tensor:
        return self.open.expand(n, -1)

    def mean(self) -> Tensor:
        return self.open

    def margin(self) -> Tensor:
        """(size,) infinite: none goes; see `SparseNetwork.kept`."""
        return self.open * torch.inf

    def penalty(self) -> Tensor:
        return self.open.new_zeros(())


class SparseNetwork(NoisyNetwork):
    """A network whose layers are all `SparseLayer`s; arguments and errors as `NoisyNetwork`."""

    def __init__(self, net: nn.Module, example: Tensor, method: VariationalDropout):
        super().__init__(net, example, method)
        calls = Counter(node.target for node in self.graph.graph.nodes)
        self._take = {
            name
            for name, layer in self.noisy.items()
            if calls[name] == 1 and layer.takes_constants()
        }
        self._image = example[:1].to(dtype_of(net))

    def kept(self) -> dict[str, Tensor]:
        """Place name -> (size,) bool: the units that are read and are no constants."""
        return self._decide()[0]

    @torch.no_grad()
    def fold(self, net: nn.Module, keep: Keep) -> None:
        """Leave zeros in the pruned weights, and constants of units in the biases behind them."""
        constant, inputs = self._decide()[1], self._inputs()
        for name, noisy in self.noisy.items():
            layer, weight = noisy.layer, noisy.layer.weight
            weight.mul_(noisy.kept())
            reads = torch.zeros_like(weight, dtype=torch.bool)
            for place, units in constant.items():
                _fill({f"{name}.weight": reads}, self.groups[place], READ, units, True)
            if reads.any():
                only = {"weight": weight * reads, "bias": torch.zeros_like(layer.bias)}
                shift = functional_call(layer, only, inputs[name])
                outputs = -1 if isinstance(layer, nn.Linear) else 1
                layer.bias += shift.movedim(outputs, 0).flatten(1)[:, 0]  # the same at all places
                weight.masked_fill_(reads, 0)
        super().fold(net, keep)

    @torch.no_grad()
    def _decide(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Place name -> (size,) bool: the units that stay; those that are constants."""
        weights = {f"{name}.weight": layer.kept() for name, layer in self.noisy.items()}
        groups = {name: self.groups[name] for name in self.gates}
        kept, constant = {}, {}
        for name, group in groups.items():
            movable = {s.layer for s in group.slices if s.role in READ} <= self._take
            constant[name] = ~_any(weights, group, (OUT,)) & movable
            _fill(weights, group, READ, constant[name], False)
        for name, group in reversed(groups.items()):
            kept[name] = _any(weights, group, READ) & ~constant[name]
            _fill(weights, group, (OUT,), ~kept[name], False)
        return {name: kept[name] for name in groups}, constant

    def _inputs(self) -> dict[str, Tensor]:
        """Layer name -> what it reads of one image, in evaluation."""
        names, seen = {id(layer): name for name, layer in self.noisy.items()}, {}

        def note(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen[names[id(layer)]] = args[0]

        hooks = [layer.register_forward_pre_hook(note) for layer in self.noisy.values()]
        with in_mode(self, False):
            self.graph(self._image)
        for hook in hooks:
            hook.remove()
        return seen


def _parts(tensors: Mapping[str, Tensor], group: Group, roles: tuple[str, ...]) -> Iterator[Tensor]:
    """Of each weight in `tensors` the part of the group: (size, repeat, ...) views."""
    for s in group.slices:
        if s.role in roles and s.tensor in tensors:
            yield units_of(tensors[s.tensor], s, group.size)


def _any(weights: Mapping[str, Tensor], group: Group, roles: tuple[str, ...]) -> Tensor:
    """(size,) bool: units with a kept weight; all of them if a layer has no noise."""
    layers = {s.layer for s in group.slices if s.role in roles}
    if not layers or any(f"{layer}.weight" not in weights for layer in layers):
        device = next(iter(weights.values())).device
        return torch.ones(group.size, dtype=torch.bool, device=device)
    return torch.stack([p.flatten(1).any(1) for p in _parts(weights, group, roles)]).any(0)


def _fill(
    weights: Mapping[str, Tensor], group: Group, roles: tuple[str, ...], units: Tensor, value: bool
) -> None:
    """Write `value` to all weights of some units."""
    for part in _parts(weights, group, roles):
        part[units] = value


@dataclass(frozen=True)
class VariationalDropout(GatedMethod):
    """Sparse variational dropout (VD).

    Attributes:
        threshold: weights with a larger log alpha are pruned.
        log_var: log sigma^2 to begin with.

    Cost: `budget`, each step about 2.4 times a plain one (LeNet-5, batch 64).
    Source: Molchanov et al. 2017; start, limits of log alpha and threshold as in the authors' code
        (papers/vibnet.md section 9). There the KL grows linearly at first: `ramp`.
    Differs: units are not in the paper; VIBNet counts them. A unit that reads nothing stays, as
        long as it is read, where its constant fits no bias (zero padding, no bias, run twice).
    """

    KIND: ClassVar[str] = "variational_dropout"
    NETWORK: ClassVar[type[SparseNetwork]] = SparseNetwork

    threshold: float = 3.0
    log_var: float = -10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "threshold", "a number in [-8, 8)", lambda v: -CLIP <= v < CLIP)
        check_number(self, "log_var", "a number in [-30, 5]", lambda v: -30 <= v <= 5)

    def gate(self, place: GatePlace) -> Unit:
        return Unit(place)

    def noise(self, layer: nn.Module) -> SparseLayer:
        """What stands in the place of a layer."""
        return SparseLayer(layer, self)
