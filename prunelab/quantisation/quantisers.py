"""Quantisers: weights and inputs of few values, which let gradients straight through.

    binary      a sign(w)                          a = mean |w| of the filter
    ternary     a (0 where |w| <= d, else sign(w)) d = 0.7 mean |w| of the layer
    uniform     s (2 q - 1)                        q in {0, 1, ..., 2^k - 1} / (2^k - 1)

A rounded value has no useful gradient. The backward pass therefore takes another slope in its
place (Bengio et al. 2013), which each paper chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from prunelab import checks


class _Straight(torch.autograd.Function):
    """Forward `value`, bit by bit; backward the gradient times `slope`, to `x` alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * ctx.saved_tensors[0], None, None


def straight(x: Tensor, value: Tensor, slope: Tensor | None = None) -> Tensor:
    """`value` with the gradient of `slope` * x; a slope of 1 by default."""
    return _Straight.apply(x, value.detach(), x.new_ones(()) if slope is None else slope)


def signs(x: Tensor) -> Tensor:
    """1 where x > 0, else -1.

    Zero is negative: behind a ReLU it stands for all that was, so that this is the sign of what the
    ReLU read.
    """
    return torch.where(x > 0, 1.0, -1.0).to(x.dtype)


def binary(weight: Tensor) -> Tensor:
    """(O, ...) weights as their sign times one scale for each filter.

    Source: Rastegari et al. 2016, section 3.1: the least squares solution, and the gradient
        1/n + scale where |w| <= 1, n being the weights of a filter.
    """
    rows = weight.detach().flatten(1)
    scale = rows.abs().mean(1).view(-1, *[1] * (weight.ndim - 1))
    slope = 1 / rows.shape[1] + scale * (weight.detach().abs() <= 1)
    return straight(weight, scale * signs(weight), slope)


def ternary(weight: Tensor, delta: float = 0.7) -> Tensor:
    """Weights as 0 and plus or minus one scale for the layer.

    Args:
        weight: of any shape.
        delta: the threshold, in means of |w|.

    Source: Li, Zhang, Liu 2016, section 2: 0.7 mean |w| as threshold, which approximates the best
        one; the scale is the mean of |w| above it. The gradient passes as it is.
    """
    size = weight.detach().abs()
    kept = size > delta * size.mean()
    scale = size[kept].mean() if kept.any() else size.new_zeros(())
    return straight(weight, scale * signs(weight) * kept)


def check_left(quantiser: object, layers: Mapping[str, Any]) -> None:
    """ValueError if all weights of a layer, which `Weights` quantises, became zero."""
    for place, layer in layers.items():
        if layer.parametrizations.weight.original.any() and not layer.weight.any():
            raise ValueError(
                f"{type(quantiser).__name__}: a weight must stay in every layer; {quantiser} leaves"
                f" none in `{place}`"
            )


def uniform(weight: Tensor, bits: int) -> Tensor:
    """Weights as 2^bits evenly spaced values, symmetric around 0.

    Source: Zhou et al. 2016, section 2.3.
    Differs: the values are scaled to keep the layer's mean magnitude, as they are in the paper for
        one bit only. A batch norm behind the layer would undo any scale; LeNet-5 has none.
    """
    mean = weight.detach().abs().mean()
    if bits == 1:
        return straight(weight, mean * signs(weight))
    squashed = weight.tanh()
    found = 2 * levels(squashed / (2 * squashed.abs().max().clamp_min(1e-12)) + 0.5, bits) - 1
    return found * (mean / found.detach().abs().mean())


def levels(x: Tensor, bits: int) -> Tensor:
    """Values in [0, 1], rounded to multiples of 1 / (2^bits - 1).

    Source: Zhou et al. 2016, section 2.2 (quantize_k).
    """
    most = 2**bits - 1
    return straight(x, (x.detach() * most).round() / most)


class Weights(nn.Module):
    """A quantiser as a parametrization: the layer computes with `function(weight)`."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        return self.function(weight)


class Inputs(nn.Module):
    """A convolution or linear layer that reads quantised inputs.

    Attributes:
        layer: it; its name gets the ending `.layer`.
        bits: of an input, clipped to [0, 1] and rounded; None = its sign, and the layer's output
            is scaled by the mean size of the inputs in each window.

    Source: Zhou et al. 2016, section 2.4; for signs Rastegari et al. 2016, section 3.2
        (the matrix K), with the gradient of a sign where |x| <= 1.
    Differs: zeros around a map stay zero. K is the mean over all channels in grouped
        convolutions too. Behind a ReLU, inputs that it stopped get no gradient; the paper's blocks
        have no ReLU there.
    """

    layer: Any

    def __init__(self, layer: nn.Module, bits: int | None):
        super().__init__()
        self.layer, self.bits = layer, bits

    def forward(self, x: Tensor) -> Tensor:
        """As the layer's own."""
        if self.bits is not None:
            return self.layer(levels(x.clamp(0, 1), self.bits))
        near = (x.detach().abs() <= 1).to(x.dtype)
        out, bias = self.layer(straight(x, signs(x), near)), self.layer.bias
        if bias is None:
            return out * self._sizes(x)
        bias = bias.view(-1, 1, 1) if self._is_convolution else bias
        return (out - bias) * self._sizes(x) + bias

    @property
    def _is_convolution(self) -> bool:
        return isinstance(self.layer, nn.Conv2d)

    def _sizes(self, x: Tensor) -> Tensor:
        """K: the mean of |x| in the window behind each output, the same for all filters."""
        if not self._is_convolution:
            return x.abs().mean(-1, keepdim=True)
        layer, sizes = self.layer, x.abs().mean(-3, keepdim=True)
        window = x.new_ones(1, 1, *layer.kernel_size)
        padding = layer.padding
        if layer.padding_mode != "zeros":
            sizes = pad(sizes, layer._reversed_padding_repeated_twice, mode=layer.padding_mode)
            padding = 0
        return conv2d(sizes, window / window.numel(), None, layer.stride, padding, layer.dilation)

    def extra_repr(self) -> str:
        """What it makes of inputs."""
        return "signs" if self.bits is None else f"{self.bits} bits in [0, 1]"


def check_bits(caller: str, name: str, bits: object) -> None:
    """ValueError unless it is an integer from 1 to 8."""
    met = checks.is_count(bits) and bits <= 8  # type: ignore[operator]
    checks.need(met, caller, name, "an integer from 1 to 8", bits)
