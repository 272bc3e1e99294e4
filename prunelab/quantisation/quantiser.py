"""The methods that quantise while they train: BWN, XNOR-Net, ternary weights, DoReFa-Net."""

from __future__ import annotations

import abc
import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.utils import parametrize

from prunelab import checks, meta, train
from prunelab.data import Dataset
from prunelab.quantisation import quantisers as q

LAYERS = (nn.Conv2d, nn.Linear)


class Quantiser(abc.ABC):
    """A method that leaves few different weights: hyper-parameters in fields, one verb."""

    def quantise(
        self,
        net: nn.Module,
        data: Dataset,
        *,
        seed: int = 0,
        progress: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> nn.Module:
        """A quantised copy of a network.

        Args:
            net: a trained network; it is unchanged.
            data: its training split is trained on.
            seed: same seed, same network.
            progress: show a bar while training.
            checkpoint: a file for unfinished work, as that of `train.fit`.

        Returns:
            A plain network, whose weights have their quantised values and no parametrization.
            Layers with quantised inputs stand in an `Inputs`.

        Raises:
            TypeError, ValueError: an argument is of another kind; `net` has parametrizations or
                quantised inputs already, no layer to quantise, or weights that are not finite.
            RuntimeError: the loss is not finite.
        """
        name = type(self).__name__
        checks.kind(name, "net", net, nn.Module, "a network")
        checks.kind(name, "data", data, Dataset, "a Dataset")
        checks.count(name, "seed", seed, 0)
        checks.switch(name, "progress", progress)
        path = None if checkpoint is None else checks.path(name, "checkpoint", checkpoint)
        for place, module in net.named_modules():
            if parametrize.is_parametrized(module):
                raise ValueError(f"{name}: `net` must have no parametrizations; `{place}` has one")
        small = copy.deepcopy(meta.unwrap(net))
        how = {"seed": seed, "progress": progress, "checkpoint": path}
        return self._quantise(small, data, how)

    @abc.abstractmethod
    def _quantise(self, net: nn.Module, data: Dataset, how: dict[str, Any]) -> nn.Module:
        """The copy quantised in place, or what holds it; the arguments have been checked."""


def layers(caller: str, net: nn.Module, ends: bool) -> dict[str, nn.Module]:
    """Name -> convolution or linear layer to quantise; ValueError if there is none.

    Args:
        caller: named in errors.
        net: the network, whose layers are in its own order.
        ends: whether the first and the last layer are among them.
    """
    found = {name: m for name, m in net.named_modules() if isinstance(m, LAYERS)}
    names = list(found) if ends else list(found)[1:-1]
    if not names:
        most = "" if ends else ", the first and the last one aside"
        raise ValueError(f"{caller}: `net` must have a 2-d convolution or linear layer{most}")
    for name in names:
        if not found[name].weight.isfinite().all():
            raise ValueError(f"{caller}: `net` must have finite weights; those of `{name}` are not")
    return {name: found[name] for name in names}


@dataclass(frozen=True)
class _Trained(Quantiser):
    """Quantised in every forward pass of a training that moves the float weights behind.

    Attributes:
        budget: of the training; None = round the trained weights, and no more.
        ends: quantise the first and the last layer too; the papers leave them in float.
    """

    budget: train.Budget | None = None
    ends: bool = False

    def __post_init__(self) -> None:
        name = type(self).__name__
        kinds = (train.Budget, type(None))
        checks.kind(name, "budget", self.budget, kinds, "a Budget or None")
        checks.switch(name, "ends", self.ends)

    @property
    def _function(self) -> Callable[[Tensor], Tensor]:
        """What it makes of a layer's weights."""
        raise NotImplementedError

    _inputs: ClassVar[bool] = False  # whether it quantises inputs

    @property
    def _bits(self) -> int | None:
        """Bits of the inputs; None = signs."""
        return None

    def _quantise(self, net: nn.Module, data: Dataset, how: dict[str, Any]) -> nn.Module:
        name = type(self).__name__
        if self._inputs and any(isinstance(module, q.Inputs) for module in net.modules()):
            raise ValueError(f"{name}: `net` must not have quantised inputs already")
        if self._inputs and any(isinstance(m, nn.MultiheadAttention) for m in net.modules()):
            raise ValueError(
                f"{name}: `net` must not have an nn.MultiheadAttention: it does not call its layers"
            )
        chosen = layers(name, net, self.ends)
        for layer in chosen.values():
            parametrize.register_parametrization(layer, "weight", q.Weights(self._function))
        q.check_left(self, chosen)
        if self._inputs:
            net = with_inputs(net, dict.fromkeys(chosen, self._bits))
        if self.budget is not None:
            train.fit(net, data, self.budget, **how)
            q.check_left(self, chosen)
        for layer in chosen.values():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        return net


def with_inputs(net: nn.Module, bits: Mapping[str, int | None]) -> nn.Module:
    """Put layers of these names into an `Inputs`, in place; of a network that is one, around it."""
    for name, own in bits.items():
        found = net.get_submodule(name)
        layer = q.Inputs(found, own)
        if not name:
            return layer
        for parent in [*net.modules()]:
            for last, child in [*parent._modules.items()]:
                if child is found:  # under all its names
                    setattr(parent, last, layer)
    return net


@dataclass(frozen=True)
class BinaryWeights(_Trained):
    """BWN: weights are plus or minus one scale of their filter.

    Source: Rastegari, Ordonez, Redmon, Farhadi. XNOR-Net: ImageNet Classification Using Binary
        Convolutional Neural Networks. ECCV 2016, section 3.1.
    Differs: it starts from a trained network instead of new weights; biases stay in float.
    """

    KIND: ClassVar[str] = "binary-weights"

    @property
    def _function(self) -> Callable[[Tensor], Tensor]:
        return q.binary


@dataclass(frozen=True)
class XNORNet(_Trained):
    """XNOR-Net: binary weights, and signs as inputs.

    Source: as `BinaryWeights`; section 3.2, with the scaling K of every window.
    Differs: the order of layers in a block (batch norm, sign, convolution, pooling) is the
        network's own; see also `Inputs`.
    """

    KIND: ClassVar[str] = "xnor-net"

    _inputs: ClassVar[bool] = True

    @property
    def _function(self) -> Callable[[Tensor], Tensor]:
        return q.binary


@dataclass(frozen=True)
class TernaryWeights(_Trained):
    """TWN: weights are zero, or plus or minus one scale of their layer.

    Attributes:
        delta: the threshold, in means of |w|, >= 0.

    Source: Li, Zhang, Liu. Ternary Weight Networks. 2016 (arXiv 1605.04711), section 2.
    Differs: it starts from a trained network.
    """

    KIND: ClassVar[str] = "ternary-weights"

    delta: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("TernaryWeights", "delta", self.delta, "a number >= 0", lambda v: v >= 0)

    @property
    def _function(self) -> Callable[[Tensor], Tensor]:
        return partial(q.ternary, delta=self.delta)


@dataclass(frozen=True)
class DoReFaNet(_Trained):
    """DoReFa-Net: weights and inputs of a few bits each.

    Attributes:
        weight_bits: 1 to 8.
        input_bits: 1 to 8; None = inputs stay in float.

    Source: Zhou, Wu, Ni, Zhou, Wen, Zou. DoReFa-Net: Training Low Bitwidth Convolutional Neural
        Networks with Low Bitwidth Gradients. 2016 (arXiv 1606.06160), sections 2.3 and 2.4.
    Differs: gradients stay in float, as nothing here trains faster with few bits; weights keep
        their scale, see `quantisers.uniform`.
    """

    KIND: ClassVar[str] = "dorefa-net"

    weight_bits: int = 2
    input_bits: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        q.check_bits("DoReFaNet", "weight_bits", self.weight_bits)
        if self.input_bits is not None:
            q.check_bits("DoReFaNet", "input_bits", self.input_bits)

    @property
    def _function(self) -> Callable[[Tensor], Tensor]:
        return partial(q.uniform, bits=self.weight_bits)

    @property
    def _inputs(self) -> bool:  # type: ignore[override]
        return self.input_bits is not None

    @property
    def _bits(self) -> int | None:
        return self.input_bits
