"""Layers that pick some of what arrives: an index in front of a linear layer or a convolution.

Who writes the rest goes on writing it: input pixels, single positions of a flattened map, the
channels of a stream that one convolution does without.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from prunelab.groups.group import SELECT, Groups

INDEX = "index"  # the buffer's name


class SelectingLinear(nn.Linear):
    """y = W x[..., index] + b."""

    index: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(..., entries that arrive) -> (..., out_features)."""
        return super().forward(x.index_select(-1, self.index))


class SelectingConv2d(nn.Conv2d):
    """y = W * x[:, index] + b."""

    index: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels that arrive, H, W) -> (N, out_channels, H', W')."""
        return super().forward(x.index_select(1, self.index))


KINDS = {nn.Linear: SelectingLinear, nn.Conv2d: SelectingConv2d}


def select(net: nn.Module, indices: Mapping[str, Tensor]) -> None:
    """Make layers of `net` pick, in place: layer name -> (n,) int64, what its weight still reads.

    Raises:
        ValueError: the layer is neither a Linear nor a Conv2d.
    """
    for name, index in indices.items():
        layer, index = net.get_submodule(name), index.to(net.get_parameter(f"{name}.weight").device)
        if isinstance(layer, SelectingLinear | SelectingConv2d):  # some of what it picked
            layer.index = layer.index[index]
            continue
        if type(layer) not in KINDS:
            raise ValueError(
                f"shrink: inputs of `{name}` cannot be picked: it must be a Linear or a Conv2d,"
                f" got {type(layer).__name__}"
            )
        layer.__class__ = KINDS[type(layer)]
        layer.register_buffer(INDEX, index)


def fits(net: nn.Module, name: str, index: Tensor, tensors: Mapping[str, Tensor]) -> bool:
    """Whether `name`, as of a file, can be the index of a layer of `net` with its weight there."""
    owner = name.removesuffix(f".{INDEX}")
    layer, weight = dict(net.named_modules()).get(owner), tensors.get(f"{owner}.weight")
    if layer is None or type(layer) not in KINDS or weight is None or index.dtype != torch.int64:
        return False
    ends = torch.tensor([-1, *index.flatten(), layer.weight.shape[1]])  # rising, and in between
    return index.shape == weight.shape[1:2] and bool((ends.diff() > 0).all())


def indices(
    groups: Groups,
    keep: Mapping[str, Tensor],
    arriving: Mapping[str, Mapping[int, Tensor]],
    left: Mapping[str, Mapping[int, Tensor]],
) -> dict[str, Tensor]:
    """What each picking layer picks, counted in what still arrives.

    `arriving` is what its writers still write, by tensor and axis as of `cuts`; `left` is the same,
    less what the layer does not pick.
    """
    found = {}
    for name in keep:
        (first, *_) = groups[name].slices
        if first.role == SELECT:
            picked = left[first.tensor][first.axis]
            there = arriving.get(first.tensor, {}).get(first.axis)
            picked = picked if there is None else picked[there]
            if not picked.all():
                found[first.layer] = picked.nonzero()[:, 0]
    return found
