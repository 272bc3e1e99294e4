"""Single weights: masks on the weights and biases of layers while a network trains.

A mask is a parametrization: the layer computes with weight * kept, the dense weight stays beside
it, and both stand in `state_dict`, so that a checkpoint holds the masks too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from prunelab.masks import Keep
from prunelab.scores import layers_of

PARAMETERS = ("weight", "bias")


def per_layer(method: object, field: str, net: nn.Module) -> dict[str, float]:
    """Layer -> value of a field that is one number for all layers, or a mapping by layer name.

    Raises:
        ValueError: a name that is no convolution or linear layer of `net`.
    """
    value, names = getattr(method, field), list(layers_of(net))
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    for name in value:
        if name not in names:
            raise ValueError(
                f"{type(method).__name__}: `{field}` names {name!r}, which is no convolution or"
                f" linear layer of `net`; they are {', '.join(names)}"
            )
    return {name: value[name] for name in names if name in value}


def check_finite(method: object, net: nn.Module, names: Iterable[str]) -> None:
    """ValueError if a layer has a weight or bias that is not finite."""
    for name in names:
        for key, tensor in net.get_submodule(name).named_parameters(recurse=False):
            if not torch.isfinite(tensor).all():
                raise ValueError(
                    f"{type(method).__name__}: `{name}.{key}` holds values that are not finite"
                )


class Mask(nn.Module):
    """weight -> weight * kept.

    Attributes:
        kept: the weight's shape and type, 1 = kept; all ones at first. Numbers, as a product with
            bools takes four times as long.
        straight: the gradient reaches the dense weight whole, as if there were no mask (straight
            through); else it is masked too.
    """

    def __init__(self, weight: Tensor, straight: bool):
        super().__init__()
        self.register_buffer("kept", torch.ones_like(weight))
        self.straight = straight

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the layer computes with."""
        if not self.straight:
            return weight * self.kept
        passed = weight.view_as(weight)  # the gradient of a view is that of the weight
        passed.data = weight.detach() * self.kept
        return passed


class Masked:
    """One convolution or linear layer under masks; for `straight` see `Mask`.

    Attributes:
        dense: parameter name -> the dense parameter, which training moves.
        masks: parameter name -> its `Mask`.
        known: how many are kept, if that was counted; who changes a mask says so here.
    """

    def __init__(self, layer: nn.Module, straight: bool):
        self.layer, self.dense, self.masks = layer, {}, {}
        self.known: int | None = None
        for name in PARAMETERS:
            parameter = getattr(layer, name)
            if parameter is not None:
                self.dense[name], self.masks[name] = parameter, Mask(parameter.detach(), straight)
                parametrize.register_parametrization(layer, name, self.masks[name])

    def lengths(self) -> list[int]:
        """Number of weights, and of biases if it has any."""
        return [parameter.numel() for parameter in self.dense.values()]

    def kept(self) -> int:
        """Weights and biases that are not masked."""
        if self.known is None:
            self.known = int(sum(ones(mask.kept) for mask in self.masks.values()))
        return self.known

    def close(self, zeros: bool = True) -> None:
        """Take the masks away: leave zeros in the weights, or the dense weights as they are."""
        for name in self.masks:
            parametrize.remove_parametrizations(self.layer, name, leave_parametrized=zeros)


@contextmanager
def masked(states: Collection[Masked]) -> Iterator[None]:
    """Take the masks of `states` away at the end: zeros stay, or after an error dense weights."""
    zeros = False
    try:
        yield
        zeros = True
    finally:  # also after Ctrl-C
        for state in states:
            state.close(zeros)


def ones(mask: Tensor) -> Tensor:
    """How many, 0-dim; single precision counts to 2^24."""
    return mask.sum() if mask.numel() < 2**24 else mask.sum(dtype=torch.float64)


def shared_ones(a: Tensor, b: Tensor) -> Tensor:
    """How many are 1 in both, 0-dim."""
    return torch.dot(a.flatten(), b.flatten()) if a.numel() < 2**24 else ones(a * b)


def keep_of(layers: Mapping[str, Masked]) -> Keep:
    """Parameter name -> its mask."""
    return Keep(
        {
            f"{name}.{key}": mask.kept.bool()
            for name, layer in layers.items()
            for key, mask in layer.masks.items()
        }
    )
