r"""DropNeuron: group lasso on what enters and on what leaves a neuron.

    loss = cross-entropy + l1 sum |w| + incoming sum_j ||W[j, :]||_2 + outgoing sum_j ||W[:, j]||_2

A neuron whose incoming or whose outgoing weights are all zero is removed. Zeros come from the
proximal step of a norm, made after each step of the optimizer at its rate:

    w <- w max(0, 1 - rate lambda / ||w||_2)

Source: Pan, Dong, Guo. DropNeuron: Simplifying the Structure of Deep Neural Networks.
arXiv 1606.07326, 2016.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import train
from prunelab.groups import INPUTS, Group, trace
from prunelab.groups.group import IN, OUT, SELECT, THROUGH
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    Pruned,
    check_budget,
    check_names,
    check_number,
    check_option,
    example_of,
)
from prunelab.methods.gating.gated_method import DEAD, check_alive
from prunelab.methods.gating.gates import scale, units_of
from prunelab.methods.gating.places import check_inputs, written
from prunelab.methods.masking.weights import check_finite
from prunelab.methods.stages import Options
from prunelab.scores import layers_of


@dataclass(frozen=True)
class DropNeuron(Method):
    """Group lasso over neurons, from both sides (DN).

    Attributes:
        budget: the training.
        incoming: strength beside the mean cross-entropy, of each neuron's incoming weights.
        outgoing: the same of its outgoing ones.
        l1: strength of the plain l1 penalty on all weights of the network's layers.
        inputs: layers whose inputs can be dropped too, entry by entry (they have outgoing weights
            only).
        dead: when no neuron of a layer is left: "stop" with its name, or "keep one".

    Cost: `budget`.

    Source: Pan et al. 2016, the penalties l1 + l2,1 incoming + l2,1 outgoing (papers/vibnet.md
        section 9).
    Differs: proximal steps instead of gradients, which never reach zero. A bias belongs to the
        incoming weights of its neuron, so that a neuron without any gives 0 and not a constant.
        Behind a batch norm, which would shift that 0, only the outgoing weights decide.
    """

    KIND: ClassVar[str] = "drop_neuron"
    CHOOSES: ClassVar[str] = "units"

    budget: train.Budget
    incoming: float
    outgoing: float
    l1: float = 0.0
    inputs: tuple[str, ...] = ()
    dead: str = "stop"

    def __post_init__(self) -> None:
        check_budget(self)
        for field in ("incoming", "outgoing", "l1"):
            check_number(self, field, "a number >= 0", lambda v: v >= 0)
        check_names(self, "inputs")
        check_option(self, "dead", DEAD)

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        """Place name -> (size,) bool; zeros are left around what was dropped."""
        check_finite(self, net, layers_of(net))
        neurons = Neurons(net, example_of(data), self)
        stage = options.stage(self.budget, data)
        an_epoch, steps = self.budget.steps(len(data.train))

        def after_step(step: int) -> None:
            neurons.shrink(self.budget.rate(step, steps))
            if (step + 1) % an_epoch == 0 or step + 1 == steps:
                check_alive(self, neurons.kept(), step + 1)
                stage.tell(step + 1, neurons)

        stage.tell(0, neurons)
        penalty = neurons.absolute if self.l1 else None
        history = stage.fit(net, penalty=penalty, after_step=after_step)
        return Pruned(neurons.drop(), (history,))


class Neurons:
    """The neurons of a network: what enters and what leaves each of them."""

    def __init__(self, net: nn.Module, example: Tensor, method: DropNeuron):
        groups = trace(net, example)
        check_inputs("DropNeuron", method.inputs, groups.reads)
        found = [*groups.values(), *(groups[name + INPUTS] for name in method.inputs)]
        self.net, self.method, self._all = net, method, groups
        self.groups: Mapping[str, Group] = {group.name: group for group in found}
        self._tensors = dict(net.named_parameters())

    def absolute(self) -> Tensor:
        """The plain l1 penalty."""
        layers = layers_of(self.net).values()
        return self.method.l1 * sum(layer.weight.abs().sum() for layer in layers)

    @torch.no_grad()
    def shrink(self, rate: float) -> None:
        """The proximal steps at a learning rate."""
        sides = {(OUT,): self.method.incoming, (IN, SELECT): self.method.outgoing}
        for group in self.groups.values():
            for roles, strength in sides.items():
                slices = [s for s in group.slices if s.role in roles]
                if strength and slices:
                    norm = self._norms(group, roles)
                    factor = (1 - rate * strength / norm.clamp(min=1e-30)).clamp(min=0)
                    for s in slices:
                        scale(self._tensors[s.tensor], s, factor)

    @torch.no_grad()
    def kept(self) -> dict[str, Tensor]:
        """Place name -> (size,) bool: something enters and something leaves.

        Of what a layer reads only what is still written.
        """
        out = {}
        for name, group in self.groups.items():
            kept = self._norms(group, (IN, SELECT)) > 0
            roles = {s.role for s in group.slices}
            if OUT in roles and THROUGH not in roles:
                kept &= self._norms(group, (OUT,)) > 0
            out[name] = kept & written(self._all, name, out).to(kept.device)
        return out

    @torch.no_grad()
    def drop(self) -> Keep:
        """Zeros in all that leaves a dropped neuron; at least one neuron of each layer stays."""
        keep = {}
        for name, kept in self.kept().items():
            if not kept.any():
                kept[self._norms(self.groups[name], (OUT, SELECT)).argmax()] = True
            for s in self.groups[name].slices:
                if s.role in (IN, SELECT):
                    scale(self._tensors[s.tensor], s, kept.float())
            keep[name] = kept.cpu()
        return Keep(keep)

    def _norms(self, group: Group, roles: tuple[str, ...]) -> Tensor:
        """(size,) l2 norm of what each neuron has in slices of these roles."""
        slices = [s for s in group.slices if s.role in roles]
        found = [units_of(self._tensors[s.tensor], s, group.size) for s in slices]
        return sum(part.flatten(1).square().sum(1) for part in found).sqrt()
