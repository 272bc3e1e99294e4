"""Rows: what a layer reads and writes at single positions, as the rows of a regression.

A layer y = W x + b reads a patch x at each position of its output: in_channels * kernel area
numbers for a convolution, in_features for a linear layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import pad

from prunelab.groups.wiring import Wiring

At = Callable[[str, torch.Size], Tensor | None]


def unfit(layer: nn.Module) -> str:
    """Why the output of a layer is not one product of its weight and patches; "" if it is."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return f"it must be a Conv2d or a Linear, and is a {type(layer).__name__}"
    if getattr(layer, "groups", 1) != 1:
        return "it is a grouped convolution, whose channels cannot be chosen one by one"
    return ""


def patches(layer: nn.Module, x: Tensor, y: Tensor, at: Tensor | None) -> tuple[Tensor, Tensor]:
    """The rows of one batch.

    Args:
        layer: a Conv2d with one group, or a Linear.
        x: (N, C, H, W) or (N, ..., F), what it reads.
        y: (N, n, H', W') or (N, ..., n), what some layer of this shape wrote.
        at: (N, P) positions in the H' * W' outputs of each image; None = all of them.

    Returns:
        (R, C * kernel area), the channel slowest as in `weight.flatten(1)`; and (R, n).
    """
    if isinstance(layer, nn.Linear):
        return x.flatten(0, -2).clone(), sampled(y, None)  # later layers may overwrite them
    image, row, column = _places(y, at)
    area = layer.kernel_size
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    steps = [torch.arange(k, device=x.device) * d for k, d in zip(area, layer.dilation)]
    rows = row[:, None] * layer.stride[0] + steps[0]
    columns = column[:, None] * layer.stride[1] + steps[1]
    found = x[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (R, kh, kw, C)
    return found.permute(0, 3, 1, 2).flatten(1), sampled(y, at)


def sampled(y: Tensor, at: Tensor | None) -> Tensor:
    """(R, n) the output of a layer at the positions of `patches`."""
    if y.ndim != 4:
        return y.flatten(0, -2).clone()
    image, row, column = _places(y, at)
    return y[image, :, row, column]


def _places(y: Tensor, at: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """(R,) image, row and column of positions (N, P) in an output (N, n, H, W); None = all."""
    n, _, height, width = y.shape
    if at is None:
        at = torch.arange(height * width, device=y.device).expand(n, -1)
    image = torch.arange(n, device=y.device).repeat_interleave(at.shape[1])
    return image, at.flatten() // width, at.flatten() % width


def positions(shape: Iterable[int], count: int | None, rng: torch.Generator) -> Tensor | None:
    """(N, count) positions drawn with replacement from an output (N, n, H', W'); None = all."""
    n, _, *area = shape
    if count is None or not area:
        return None
    size = int(torch.tensor(area).prod())
    return torch.randint(size, (n, count), generator=rng)


def read(
    wiring: Wiring, layers: Iterable[str], x: Tensor, at: At, beside: Mapping[str, fx.Node]
) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, Tensor]]:
    """Rows of layers in one batch, in evaluation mode.

    Args:
        wiring: of the network.
        layers: names of modules.
        x: (N, C, H, W) images.
        at: (name, shape of its output) -> the positions to look at, see `positions`.
        beside: layer -> a node whose value has the shape of its output.

    Returns:
        Layer -> its rows, see `patches`; and layer -> (R, n) the same positions of what is beside.

    Raises:
        ValueError: the network does not call one of the layers.
    """
    calls = {wiring.call(name): name for name in layers}
    found, other = {}, {}

    def take(node: fx.Node, inputs: Tensor, output: Tensor) -> None:
        if name := calls.get(node):
            layer = wiring.net.get_submodule(name)
            found[name] = patches(layer, inputs, output, at(name, output.shape))
        for name in (name for name, its in beside.items() if its is node):
            other[name] = sampled(output, at(name, output.shape))

    wiring.watch([*calls, *beside.values()], take)(x)
    return found, other
