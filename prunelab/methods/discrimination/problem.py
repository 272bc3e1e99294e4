r"""Problem: the loss that the choice of a layer's input channels minimises.

    L(W) = a L_M(W) + lambda L_S(W)                                   DCP, eq. (6)
    L_M(W) = 1/Q sum ||O^b - O(W)||^2,   L_S = cross-entropy of the stage's classifier

L_M is quadratic in W: its value and gradient follow from the moments of what the layer reads,
without any image. For L_S only what lies between the layer and the classifier is run, on inputs
that were computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from prunelab import pulse
from prunelab.methods.reconstruction.layerwise import Part, write

BATCH = 128
# SGD on the kept weights. Source: the authors' first code (papers/dcp.md section 5).
SGD = {"momentum": 0.9, "weight_decay": 1e-4, "nesterov": True}
RATE, CLIP = 0.01, 10.0


class Problem:
    """The loss as a function of the weights with which layers read the channels of a group.

    Args:
        net: owns the layers. It is in evaluation mode; only their weights require a gradient.
        parts: the layers, and the moments of what they read and shall write.
        logits: what the layers and those behind them read -> (n, classes) of the classifier.
        inputs: what they read, (N, ...) each, for all images.
        labels: (N,) classes.
        reconstruction: a.
        lam: lambda.

    Attributes:
        weights: (n, C, area) for each layer, in float32 at least; channels that are not chosen
            are 0.
        before: the same as the layers were found.
        rate: learning rate: 0.01, or less where SGD on L_M would diverge.
    """

    def __init__(
        self,
        net: nn.Module,
        parts: Sequence[Part],
        logits: Callable[..., Tensor],
        inputs: Sequence[Tensor],
        labels: Tensor,
        reconstruction: float,
        lam: float,
    ):
        self.net, self.parts, self.logits = net, parts, logits
        self.inputs, self.labels = inputs, labels
        self.reconstruction, self.lam = reconstruction, lam
        self._layers = [net.get_submodule(part.reader.layer).weight for part in parts]
        self._moments = [part.moments.to(labels.device) for part in parts]
        self.before = [self._own(w.detach(), part) for w, part in zip(self._layers, parts)]
        self.weights = [torch.zeros_like(weight) for weight in self.before]
        curved = [2 * reconstruction * moments.curvature() for moments in self._moments]
        self.rate = min(RATE, *(1 / max(curvature, 1e-300) for curvature in curved))
        self._write()

    def add(self, channels: Tensor) -> None:
        """Give channels (k,) the weights that they had before."""
        for weight, before in zip(self.weights, self.before):
            weight[:, channels] = before[:, channels]
        self._write()

    def measure(self) -> tuple[float, float, list[Tensor]]:
        """L_M and L_S over all images, and the gradient of L, (n, C, area) for each layer."""
        images = len(self.labels)
        side, total = 0.0, [torch.zeros_like(weight) for weight in self.weights]
        for batch in torch.arange(images, device=self.labels.device).split(4 * BATCH):
            loss, gradients = self._side(batch)
            side += loss * len(batch) / images
            total = [t + g * (len(batch) / images) for t, g in zip(total, gradients)]
        flat = [weight.flatten(1) for weight in self.weights]
        error = sum(float(2 * m.loss(w)) for m, w in zip(self._moments, flat))
        return error, side, self._gradients(total)

    def descend(self, kept: Tensor, batches: Iterable[Tensor]) -> None:
        """Steps of SGD in which only the weights of channels `kept` (C,) bool move: eq. (9).

        Args:
            kept: the chosen channels.
            batches: indices of images, (b,) each; one step a batch.
        """
        optimizer = torch.optim.SGD(self.weights, self.rate, **SGD)
        for batch in batches:
            for weight, gradient in zip(self.weights, self._gradients(self._side(batch)[1])):
                weight.grad = gradient * kept[:, None].to(gradient)
            nn.utils.clip_grad_norm_(self.weights, CLIP)
            optimizer.step()
            self._write()

    def _gradients(self, sides: list[Tensor]) -> list[Tensor]:
        """The gradient of L, given that of L_S."""
        out = []
        for moments, weight, side in zip(self._moments, self.weights, sides):
            error = moments.gradient(weight.flatten(1)).view_as(side).to(side)
            out.append(2 * self.reconstruction * error + self.lam * side)
        return out

    def _side(self, batch: Tensor) -> tuple[float, list[Tensor]]:
        """L_S of a batch and its gradient; nothing is run if lambda is 0."""
        pulse.beat()
        if not self.lam:
            return 0.0, [torch.zeros_like(weight) for weight in self.weights]
        with torch.enable_grad():
            logits = self.logits(*(x[batch] for x in self.inputs))
            loss = cross_entropy(wide(logits), self.labels[batch])
            found = torch.autograd.grad(loss, self._layers)
        return float(loss.detach()), [self._own(g, part) for g, part in zip(found, self.parts)]

    @staticmethod
    def _own(weight: Tensor, part: Part) -> Tensor:
        """(n, C, area) copy of the group's columns of a layer's weight or gradient."""
        own = wide(weight).flatten(1)[:, part.reader.columns].clone()
        return own.view(len(own), part.reader.channels, part.reader.area)

    def _write(self) -> None:
        for part, weight in zip(self.parts, self.weights):
            write(self.net, part.reader, weight.flatten(1))


def wide(values: Tensor) -> Tensor:
    """The same in float32 at least: small steps of SGD are lost in half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@contextmanager
def only(layers: Iterable[nn.Module], net: nn.Module) -> Iterator[None]:
    """For a while, only the weights of these layers of `net` require a gradient."""
    flags = {parameter: parameter.requires_grad for parameter in net.parameters()}
    try:
        net.requires_grad_(False)
        for layer in layers:
            layer.weight.requires_grad_(True)
        yield
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
