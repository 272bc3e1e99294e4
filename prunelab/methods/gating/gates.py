r"""Gates: a noisy factor on each unit of a layer while a network trains.

    h_j = z_j f_j(h),    z_j ~ q(z_j)  in training,    z_j = [j is kept] E z_j  in evaluation

Five methods share this frame and differ in q, in the penalty on it and in who is kept. The network
itself is left alone: what trains is its graph, with the same layers and a gate behind each ReLU,
and at the end the factors are folded into the weights that read the unit.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn

from prunelab.groups import Slice, flow
from prunelab.methods.gating.places import GatePlace, insert, same_graph, sites_of, written
from prunelab.methods.masking.weights import check_finite
from prunelab.scores import layers_of
from prunelab.surgery import tensors_of

if TYPE_CHECKING:
    from prunelab.methods.gating.gated_method import GatedMethod

EPSILON = 1e-8  # beside mu^2 and sigma^2


def units_of(tensor: Tensor, s: Slice, size: int) -> Tensor:
    """(size, repeat, ...) view of what each of `size` units has in a slice of a tensor."""
    part = tensor.movedim(s.axis, 0).narrow(0, s.offset, s.repeat * size)
    return part.unflatten(0, (size, s.repeat))


def scale(tensor: Tensor, s: Slice, factor: Tensor) -> None:
    """Multiply what each unit has in a slice of a tensor by its factor (size,), in place."""
    part = units_of(tensor, s, len(factor))
    part.mul_(factor.view(-1, *[1] * (part.ndim - 1)))


def some(units: Tensor, written: Tensor, by: Tensor) -> Tensor:
    """(size,) bool: the units that are written; if none is left, the one that is largest `by`."""
    units = units & written
    if not units.any():
        units[by.masked_fill(~written, -torch.inf).argmax()] = True
    return units.cpu()


class Gate(nn.Module, abc.ABC):
    """A random factor for each of `place.size` units.

    Args:
        place: where it stands.
        rate: its parameters learn at that many times the learning rate. They are stored divided by
            it: an optimizer with steps of one size (Adam) then does just that.
        start: name -> (size,) the parameters to begin with.
    """

    def __init__(self, place: GatePlace, rate: float, **start: Tensor):
        super().__init__()
        self.place, self.rate = place, rate
        self.register_buffer("pick", torch.empty(0, dtype=torch.long), persistent=False)
        for name, value in start.items():
            self.register_parameter(name, nn.Parameter(value / rate))

    def value(self, name: str) -> Tensor:
        """A parameter as it counts."""
        stored = getattr(self, name)
        return stored if self.rate == 1 else stored * self.rate

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> the same shape: one factor per image and unit, for all positions of a map.

        Of units that are narrowed away (see `narrowing`) only the others are left, in both.
        """
        axis = self.place.axis
        if len(self.pick):
            x = x.index_select(axis, self.pick)
        factors = self.sample(len(x)) if self.training else self.factor()[None]
        shape = [1] * x.ndim
        shape[0], shape[axis] = factors.shape
        out = x * factors.view(shape)  # of float32 at least, as gates are
        return out if torch.is_autocast_enabled(x.device.type) else out.to(x.dtype)

    @abc.abstractmethod
    def sample(self, n: int) -> Tensor:
        """(n, size): one draw of each factor for each image."""

    @abc.abstractmethod
    def mean(self) -> Tensor:
        """(size,) what stands for the factor in evaluation."""

    @abc.abstractmethod
    def margin(self) -> Tensor:
        """(size,) how far each unit is from being removed: above 0 it is kept; on a log scale."""

    @abc.abstractmethod
    def penalty(self) -> Tensor:
        """Scalar, summed over the units."""

    def kept(self) -> Tensor:
        """(size,) bool."""
        return self.margin() > 0

    def bound(self) -> None:
        """Bring parameters back to where they may be; called after each step."""

    def factor(self) -> Tensor:
        """(size,) the mean where a unit is kept, else 0."""
        return self.mean() * self.kept()


class NormalGate(Gate):
    """z ~ N(mu, sigma^2), one mu and one log sigma^2 per unit; they begin at 1 and `log_var`.

    Source: VIBNet's `ib_layers.py`: starts at N(1, 0.01) and N(log_var, 0.01), 0.01 being the
        standard deviation, `spread`.
    """

    def __init__(
        self, place: GatePlace, rate: float = 1.0, log_var: float = -9.0, spread: float = 0.01
    ):
        mu, log = torch.randn(2, place.size) * spread
        super().__init__(place, rate, mu=1 + mu, log_var=log_var + log)

    def sample(self, n: int) -> Tensor:
        """(n, size): mu + eps sigma."""
        eps = torch.randn(n, len(self.mu), device=self.mu.device)
        return torch.addcmul(self.mean(), eps, (0.5 * self.value("log_var")).exp())

    def mean(self) -> Tensor:
        """(size,) mu."""
        return self.value("mu")

    def log_ratio(self) -> Tensor:
        """(size,) log sigma^2 - log mu^2."""
        return self.value("log_var") - (self.mean().square() + EPSILON).log()

    def kept(self) -> Tensor:
        """(size,) bool: little noise, and a factor that can pass a max pooling."""
        return super().kept() & (self.mean() > 0)


class Gated(nn.Module):
    """A network with gates, for `train.fit`; it shares its layers with `net`.

    Args:
        net: a network that torch.fx can trace.
        example: (N, ...) an input batch.
        method: builds the gate of a place; names layers whose inputs get gates too.
        swap: layer name -> what stands in its place while training.

    Attributes:
        gates: place name -> gate, in order of execution.
        stage: the name of the training that runs, of methods that train in stages.

    Raises:
        ValueError: `net` has gates already, does not fit `example`, an entry of `inputs` is no
            layer, weights are not finite, its graph in training is another one than in evaluation,
            or it has no layer, or one, that cannot have gates (see `places.sites_of`).
    """

    def __init__(
        self,
        net: nn.Module,
        example: Tensor,
        method: GatedMethod,
        swap: Mapping[str, nn.Module] | None = None,
    ):
        super().__init__()
        self.stage = ""
        if any(isinstance(module, Gate) for module in net.modules()):
            raise ValueError("gates: `net` has gates already; give the network without them")
        check_finite(self, net, layers_of(net))
        seen = flow(net, example)
        self.groups = seen.groups
        graph, own = same_graph(net, example)
        sites = sites_of(graph, own, seen, method.inputs)
        self.gates: dict[str, Gate] = {}
        parts = own | dict(swap or {})
        for number, (place, node) in enumerate(sites):
            name = f"prunelab_gates.{number}"  # no name of a layer of `net`
            parts[name] = self.gates[place.name] = method.gate(place)
            insert(graph, name, place, node)
        self.graph = fx.GraphModule(parts, graph)
        self.register_buffer("done", torch.zeros((), device=example.device))
        self.to(example.device)

    def look(self) -> None:
        """Nothing changes; see `narrowing`."""

    def alike(self, net: nn.Module) -> dict[str, list[Tensor]]:
        """Name in `net` -> the tensors here that carry units along the same axes."""
        return {name: [tensor] for name, tensor in tensors_of(net).items()}

    def forward(self, x: Tensor | None) -> Tensor:
        """What `net` gives, through the gates; the penalty for None (see `narrowing`)."""
        return self.penalty() if x is None else self.graph(x)

    def penalty(self) -> Tensor:
        """The sum over all gates."""
        return sum(gate.penalty() for gate in self.gates.values())

    @torch.no_grad()
    def kept(self) -> dict[str, Tensor]:
        """Place name -> (size,) bool; of what a layer reads only what is still written."""
        found: dict[str, Tensor] = {}
        for name, gate in self.gates.items():
            found[name] = gate.kept() & self.written(name, found)
        return found

    def written(self, name: str, keep: Mapping[str, Tensor]) -> Tensor:
        """(size,) bool: see `places.written`."""
        return written(self.groups, name, keep).to(self.done.device)

    @torch.no_grad()
    def fold(self, net: nn.Module, keep: Mapping[str, Tensor]) -> None:
        """Multiply what reads a unit by its factor, in `net`: it then needs no gates."""
        for name, gate in self.gates.items():
            factor = gate.mean() * keep[name].to(self.done.device)
            for s in self.groups[name].slices:
                if s.role in ("in", "select"):
                    scale(net.get_parameter(s.tensor), s, factor)
