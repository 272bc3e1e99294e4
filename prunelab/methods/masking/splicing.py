r"""The masks of dynamic network surgery: pruned and spliced while a network trains.

    h_k(w) = 0 if |w| < a_k;   the mask it has if a_k <= |w| < b_k;   1 if b_k <= |w|        (3)
    a_k, b_k = 0.9 and 1.1 times max(mu_k + c_k sigma_k, 0), of |weights and biases| at the start
    looked at in step t with probability (1 + gamma t)^-power, until `stop`

Source: Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016, section 3; thresholds
and draws as in the authors' Caffe code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prunelab.methods.masking.weights import Masked, check_finite, ones, per_layer, shared_ones
from prunelab.scores import magnitudes, moments

if TYPE_CHECKING:
    from prunelab.methods.network_surgery import NetworkSurgery


class Splicing:
    """The state of a run: masks, thresholds, and what happened. All of it is in `net`'s buffers.

    The layers in `c` get masks at once, and the first cut is made. The number of training images
    decides the number of steps.

    Attributes:
        layers: name -> `Masked`.
        due: (steps + 1, layers) bool, whether a mask is looked at when so many steps are done.
    """

    def __init__(
        self, net: nn.Module, method: NetworkSurgery, c: Mapping[str, float], seed: int, images: int
    ):
        stops = check_start(net, method, c, images)
        steps = method.budget.steps(images)[1]
        self.splice, self.due = method.splice, _due(steps, stops, method, seed)
        self.layers: dict[str, Masked] = {}
        try:
            self._begin(net, method, c, steps)
        except BaseException:  # also Ctrl-C
            self.close(zeros=False)
            raise

    def _begin(
        self, net: nn.Module, method: NetworkSurgery, c: Mapping[str, float], steps: int
    ) -> None:
        """Masks on all layers, and the first cut."""
        for name in c:
            layer = net.get_submodule(name)
            at = threshold(layer, c[name])
            self.layers[name] = Masked(layer, straight=True)
            state = self.layers[name].masks["weight"]
            low, high = (margin * at for margin in method.margins)
            state.register_buffer("low", low)
            state.register_buffer("high", low + (high - low))  # to the bit what `Row` lifts by
            state.register_buffer("events", torch.zeros(steps + 1, 2, dtype=torch.int32))
        self.refresh()
        self.look(0)

    @torch.no_grad()
    def look(self, done: int) -> None:
        """After `done` steps: equation (3) on each layer that is due; what happened is counted."""
        due = [name for name, now in zip(self.layers, self.due[done].tolist()) if now]
        if not due:
            return
        counts = torch.stack([count for name in due for count in self._rows[name].renew()])
        kept, stay = counts.view(-1, 2).T.tolist()
        for name, of_new, of_old in zip(due, kept, stay):
            self._put(name, int(of_new), int(of_old), done)

    def _put(self, name: str, kept: int, stay: int, done: int) -> None:
        """Make what was renewed the mask of a layer: it has lost and won back some weights."""
        layer, row = self.layers[name], self._rows[name]
        if not kept:  # the largest of what was kept stays: what is masked counts as zero
            row.new[magnitudes(layer.layer).argmax()] = 1
            kept = stay = 1
        pruned, spliced = layer.kept() - stay, kept - stay
        if pruned or spliced:
            row.swap()
            layer.known = kept
            layer.masks["weight"].events.numpy()[done] = pruned, spliced

    def refresh(self) -> None:
        """Take up masks that were changed by hand, or came from a checkpoint."""
        self._rows: dict[str, Row] = {}
        for name, layer in self.layers.items():
            layer.known, state = None, layer.masks["weight"]
            low, high = float(state.low), float(state.high)
            limit, lift = (high, high - low) if self.splice else (low, None)
            self._rows[name] = Row(layer, limit, lift)

    def events(self) -> dict[str, Tensor]:
        """Layer -> (steps + 1, 2) weights and biases pruned, spliced; row 0 is the first cut."""
        return {name: layer.masks["weight"].events.cpu() for name, layer in self.layers.items()}

    def close(self, zeros: bool = True) -> None:
        """Take the masks off; see `Masked.close`."""
        for layer in self.layers.values():
            layer.close(zeros)


class Row:
    """The mask of a layer as one row, weights before biases, and all that a look at it needs.

    Args:
        layer: whose mask it is.
        limit: what is larger is kept: b_k; without splicing a_k.
        lift: b_k - a_k; None = what is masked stays so.

    Attributes:
        kept: (weights and biases,) the mask.
        new: the next one; its place is taken by turns, so that nothing is made anew in a step.
    """

    def __init__(self, layer: Masked, limit: float, lift: float | None):
        self.layer, self.limit, self.lift = layer, limit, lift
        self.kept = torch.cat([mask.kept.flatten() for mask in layer.masks.values()])
        self.new = torch.empty_like(self.kept)
        self._parts, self._next = self._split(self.kept), self._split(self.new)

    def _split(self, row: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of weights and biases: dense values, mask, and their part of the row."""
        layer = self.layer
        dense, masks = layer.dense.values(), [mask.kept for mask in layer.masks.values()]
        parts = zip(dense, masks, row.split(layer.lengths()))
        return [(values, mask, part.view(mask.shape)) for values, mask, part in parts]

    def renew(self) -> tuple[Tensor, Tensor]:
        """Equation (3) into `new`; how many it keeps, and how many of those were kept."""
        for dense, _, part in self._next:
            torch.abs(dense, out=part)
        if self.lift is None:
            self.new.mul_(self.kept)
        else:
            self.new.add_(self.kept, alpha=self.lift)  # what is kept has the limit of all
        self.new.gt_(self.limit)
        return ones(self.new), shared_ones(self.new, self.kept)

    def swap(self) -> None:
        """Make `new` the mask."""
        self.kept, self.new = self.new, self.kept
        self._parts, self._next = self._next, self._parts
        for _, mask, part in self._parts:
            mask.set_(part)


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


def threshold(layer: nn.Module, c: float) -> Tensor:
    """max(mu + c sigma, 0) of the |weights and biases| of a layer that are not zero."""
    mu, sigma = moments(magnitudes(layer))
    return torch.tensor(max(mu + c * sigma, 0.0), device=layer.weight.device)


def _check_c(method: NetworkSurgery, net: nn.Module, c: Mapping[str, float]) -> None:
    for name, rate in c.items():
        layer = net.get_submodule(name)
        size, margin = magnitudes(layer), method.margins[0]
        if not (size > margin * threshold(layer, rate)).any():
            mu, sigma = moments(size)
            limit = (
                f"it must be below {(size.max().item() / margin - mu) / sigma:.2f}"
                if sigma
                else "they all have one size"
            )
            raise ValueError(
                f"NetworkSurgery: c = {rate:g} would remove all {len(size):,} weights and biases"
                f" of `{name}`; {limit} there"
            )


def _due(steps: int, stops: list[int], method: NetworkSurgery, seed: int) -> Tensor:
    """(steps + 1, layers) bool: one uniform draw per layer and step, all made beforehand."""
    rng = torch.Generator().manual_seed(seed)
    at = torch.arange(steps + 1).unsqueeze(1)
    chance = (1 + method.gamma * at.double()) ** -method.power
    draws = torch.rand(steps + 1, len(stops), generator=rng)
    return (chance > draws) & (at < torch.tensor(stops))
