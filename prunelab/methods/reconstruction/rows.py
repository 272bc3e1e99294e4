"""Rows: what a layer reads and writes at single positions, as the rows of a regression.

A layer y = W x + b reads a patch x at each position of its output: in_channels * kernel area
numbers for a convolution, in_features for a linear layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from prunelab.meta import dtype_of

Take = Callable[[str, Tensor, Tensor], None]


class _EnoughError(Exception):
    """The last layer of interest has run."""


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
        return x.flatten(0, -2).clone(), y.flatten(0, -2).clone()  # later layers may overwrite them
    (n, _, height, width), area = y.shape, layer.kernel_size
    if at is None:
        at = torch.arange(height * width, device=x.device).expand(n, -1)
    image = torch.arange(n, device=x.device).repeat_interleave(at.shape[1])
    row, column = at.flatten() // width, at.flatten() % width
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    x = pad(x, layer._reversed_padding_repeated_twice, mode=mode)
    steps = [torch.arange(k, device=x.device) * d for k, d in zip(area, layer.dilation)]
    rows = row[:, None] * layer.stride[0] + steps[0]
    columns = column[:, None] * layer.stride[1] + steps[1]
    found = x[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (R, kh, kw, C)
    return found.permute(0, 3, 1, 2).flatten(1), y[image, :, row, column]


def positions(shape: Iterable[int], count: int | None, rng: torch.Generator) -> Tensor | None:
    """(N, count) positions drawn with replacement from an output (N, n, H', W'); None = all."""
    n, _, *area = shape
    if count is None or not area:
        return None
    size = int(torch.tensor(area).prod())
    return torch.randint(size, (n, count), generator=rng)


@torch.inference_mode()
def look(net: nn.Module, layers: Iterable[str], x: Tensor, take: Take) -> None:
    """Run `net` in evaluation mode up to the last of some layers.

    Args:
        net: the network; its training flags are left as they were.
        layers: names of modules that the network calls.
        x: (N, C, H, W) images.
        take: called with (name, what it reads, what it writes) at the moment the layer has run,
            before anything later can overwrite its output.

    Raises:
        ValueError: the network does not call one of the layers.
    """
    left, flags = set(layers), {module: module.training for module in net.modules()}

    def hook(name: str) -> Callable[[nn.Module, tuple, Tensor], None]:
        def seen(_: nn.Module, inputs: tuple, output: Tensor) -> None:
            take(name, inputs[0], output)
            left.discard(name)
            if not left:
                raise _EnoughError

        return seen

    hooks = [net.get_submodule(name).register_forward_hook(hook(name)) for name in left]
    try:
        net.eval()(x.to(dtype_of(net)))
    except _EnoughError:
        pass
    finally:
        for handle in hooks:
            handle.remove()
        for module, flag in flags.items():
            module.training = flag
    if left:
        raise ValueError(f"reconstruction: `net` does not call `{min(left)}`")


def read(
    net: nn.Module,
    layers: Iterable[str],
    x: Tensor,
    at: Callable[[str, torch.Size], Tensor | None],
    shift: Mapping[str, Tensor] | None = None,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Layer -> its rows in one batch, see `patches`.

    Args:
        net: the network.
        layers: names of modules.
        x: (N, C, H, W) images.
        at: (name, shape of its output) -> the positions to look at, see `positions`.
        shift: layer -> what is added to its output.
    """
    found = {}

    def take(name: str, inputs: Tensor, output: Tensor) -> None:
        output = output + shift[name] if shift and name in shift else output
        found[name] = patches(net.get_submodule(name), inputs, output, at(name, output.shape))

    look(net, layers, x, take)
    return found
