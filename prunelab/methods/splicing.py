r"""The masks of dynamic network surgery: pruned and spliced while a network trains.

    h_k(w) = 0 if |w| < a_k;   the mask it has if a_k <= |w| < b_k;   1 if b_k <= |w|        (3)
    a_k, b_k = 0.9 and 1.1 times max(mu_k + c_k sigma_k, 0), of |weights and biases| at the start
    looked at in step t with probability (1 + gamma t)^-power, until `stop`

Source: Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016, section 3; thresholds
and draws as in the authors' Caffe code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prunelab.methods.weights import Mask, Masked, check_finite, ones, per_layer, shared_ones
from prunelab.scores import layers_of, magnitudes, moments
from prunelab.train import History

if TYPE_CHECKING:
    from prunelab.methods.network_surgery import NetworkSurgery


class Surgery:
    """The state of a run: masks, thresholds, and what happened. All of it is in `net`'s buffers.

    Args:
        net: the network; its layers get masks at once, and the first cut is made.
        method: the hyper-parameters.
        c: layer -> c.
        seed: of the draws.
        images: training images, which decide the number of steps.

    Attributes:
        layers: name -> `Masked`.
        due: (steps + 1, layers) bool, whether a mask is looked at when so many steps are done.
        history: of the training; None until it is done.
    """

    history: History | None = None

    def __init__(
        self, net: nn.Module, method: NetworkSurgery, c: Mapping[str, float], seed: int, images: int
    ):
        stops = check_start(net, method, c, images)
        steps = method.budget.steps(images)[1]
        self.splice, self.due = method.splice, _due(steps, stops, method, seed)
        self.layers: dict[str, Masked] = {}
        for name, stop in zip(c, stops):
            layer = net.get_submodule(name)
            at = threshold(layer, c[name])
            self.layers[name] = Masked(layer, straight=True)
            state = self.layers[name].masks["weight"]
            low, high = (margin * at for margin in method.margins)
            state.register_buffer("low", low)
            state.register_buffer("high", low + (high - low))  # to the bit what `_bar` lifts by
            state.register_buffer("events", torch.zeros(steps + 1, 2, dtype=torch.int32))
            rule = [c[name], stop, method.gamma, method.power, *method.margins, method.splice]
            state.register_buffer("rule", torch.tensor(rule, dtype=torch.float64))
        self._rules = {name: layer.masks["weight"].rule.clone() for name, layer in self._items()}
        longest = max(p.numel() for _, layer in self._items() for p in layer.dense.values())
        like = next(iter(self.layers.values())).layer.weight
        self._scratch = torch.empty(2, longest, dtype=like.dtype, device=like.device)
        self.look(0)

    def _items(self) -> Iterable[tuple[str, Masked]]:
        return self.layers.items()

    def look(self, done: int) -> None:
        """After `done` steps: prune and splice where a mask is due."""
        for due, layer in zip(self.due[done].tolist(), self.layers.values()):
            if due:
                self._update(layer, done)

    @torch.no_grad()
    def _update(self, layer: Masked, done: int) -> None:
        """Equation (3) on one layer; counts what was pruned and what was spliced."""
        state, new, counts = layer.masks["weight"], {}, []
        for name, mask in layer.masks.items():
            size, held = self._buffers(layer.dense[name], name == "weight")
            torch.abs(layer.dense[name], out=size)
            new[name] = torch.gt(size, self._bar(state, size, mask.kept), out=held)
            counts += [ones(held), shared_ones(held, mask.kept)]
        counts = torch.stack(counts).tolist()
        kept, stay = int(sum(counts[::2])), int(sum(counts[1::2]))
        if not kept:
            _spare(layer, new)
            kept = stay = 1
        pruned, spliced = layer.kept() - stay, kept - stay
        if pruned or spliced:
            for name, mask in layer.masks.items():
                mask.kept.copy_(new[name])
            layer.known = kept
            state.events[done] = torch.tensor([pruned, spliced])

    def _bar(self, state: Mask, size: Tensor, kept: Tensor) -> Tensor:
        """Lift what is kept by b - a, in place: then b is the limit for all. Returns the limit."""
        if self.splice:
            size.add_(kept, alpha=float(state.high - state.low))
            return state.high
        size.mul_(kept)
        return state.low

    def _buffers(self, like: Tensor, shared: bool) -> list[Tensor]:
        """Room for two tensors of that shape; of the weight, shared by all layers."""
        if not shared:
            return [torch.empty_like(like) for _ in range(2)]
        return [part[: like.numel()].view(like.shape) for part in self._scratch]

    def check(self) -> None:
        """ValueError if a checkpoint has brought another rule."""
        self.refresh()
        for name, layer in self._items():
            if not torch.equal(layer.masks["weight"].rule, self._rules[name]):
                raise ValueError(
                    f"NetworkSurgery: `checkpoint` is of another run: for `{name}` its c, stop,"
                    " gamma, power, margins or splice differ; delete it or name another file"
                )

    def refresh(self) -> None:
        """Who changed a mask by hand, or loaded it, says so here."""
        for layer in self.layers.values():
            layer.known = None

    def events(self) -> dict[str, Tensor]:
        """Layer -> (steps + 1, 2) weights and biases pruned, spliced; row 0 is the first cut."""
        return {name: layer.masks["weight"].events.cpu() for name, layer in self._items()}

    def kept(self) -> dict[str, int]:
        """Layer -> weights and biases that stay."""
        return {name: layer.kept() for name, layer in self._items()}

    def close(self, zeros: bool = True) -> None:
        """Take the masks off; see `Masked.close`."""
        for layer in self.layers.values():
            layer.close(zeros)


def check_start(
    net: nn.Module, method: NetworkSurgery, c: Mapping[str, float], images: int
) -> list[int]:
    """The stop of each layer in `c`.

    Raises:
        ValueError: `stop` lies past the end or leaves a layer out, weights are not finite, or a
            layer would be emptied.
    """
    steps, stop = method.budget.steps(images)[1], per_layer(method, "stop", net)
    for name in c:
        if name not in stop:
            raise ValueError(f"NetworkSurgery: `stop` must name every layer of `c`; not `{name}`")
        if stop[name] > steps:
            raise ValueError(
                f"NetworkSurgery: `stop` must be at most the {steps} steps of the run;"
                f" got {method.stop!r}"
            )
    check_finite(method, net, c)
    _check_c(method, net, c)
    return [stop[name] for name in c]


def _spare(layer: Masked, new: Mapping[str, Tensor]) -> None:
    """Leave the largest of what was kept."""
    sizes = {name: layer.dense[name].abs() * mask.kept for name, mask in layer.masks.items()}
    name = max(sizes, key=lambda name: float(sizes[name].max()))
    new[name][torch.unravel_index(sizes[name].argmax(), sizes[name].shape)] = 1


def threshold(layer: nn.Module, c: float) -> Tensor:
    """max(mu + c sigma, 0) of the |weights and biases| of a layer that are not zero."""
    mu, sigma = moments(magnitudes(layer))
    return torch.tensor(max(mu + c * sigma, 0.0), device=layer.weight.device)


def first_cut(
    net: nn.Module, c: float | Mapping[str, float], margin: float = 0.9
) -> dict[str, int]:
    """Layer -> weights and biases that the first cut would leave: above margin x threshold."""
    rates = c if isinstance(c, Mapping) else dict.fromkeys(layers_of(net), c)
    found = {name: net.get_submodule(name) for name in rates}
    at = {name: margin * threshold(layer, rates[name]) for name, layer in found.items()}
    return {name: int((magnitudes(layer) > at[name]).sum()) for name, layer in found.items()}


def _check_c(method: NetworkSurgery, net: nn.Module, c: Mapping[str, float]) -> None:
    for name, left in first_cut(net, c, method.margins[0]).items():
        if not left:
            size = magnitudes(net.get_submodule(name))
            mu, sigma = moments(size)
            limit = (
                f"it must be below {(size.max().item() / method.margins[0] - mu) / sigma:.2f}"
                if sigma
                else "they all have one size"
            )
            raise ValueError(
                f"NetworkSurgery: c = {c[name]:g} would remove all {len(size):,} weights and biases"
                f" of `{name}`; {limit} there"
            )


def _due(steps: int, stops: list[int], method: NetworkSurgery, seed: int) -> Tensor:
    """(steps + 1, layers) bool: one uniform draw per layer and step, all made beforehand."""
    rng = torch.Generator().manual_seed(seed)
    at = torch.arange(steps + 1).unsqueeze(1)
    chance = (1 + method.gamma * at.double()) ** -method.power
    draws = torch.rand(steps + 1, len(stops), generator=rng)
    return (chance > draws) & (at < torch.tensor(stops))
