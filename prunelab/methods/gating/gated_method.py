"""What all methods with gates do: train under gates, decide, fold."""

from __future__ import annotations

import abc
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from prunelab import train
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    check_budget,
    check_dataset,
    check_names,
    check_number,
    check_option,
    example_of,
    opened,
)
from prunelab.methods.gating.gates import Gate, Gated, Place
from prunelab.methods.gating.narrowing import Narrowed

DEAD = ("stop", "keep one")


@dataclass
class GateRun:
    """What training under gates did.

    Attributes:
        keep: place name -> (size,) bool.
        history: of the training, under gates (accuracies are those of the gated mean network).
    """

    keep: Keep
    history: train.History


@dataclass(frozen=True)
class GatedMethod(Method):
    """Training under gates; a subclass gives the gate.

    Attributes:
        budget: the training.
        inputs: layers whose inputs get gates too, entry by entry.
        ramp: fraction of the run in which the penalty grows linearly from 0.
        rate: the gates learn at that many times the learning rate (under Adam).
        dead: when no unit of a place is left: "stop" the run with its name, or "keep one".
        cut: after each epoch, units whose margin (see `Gate.margin`) is below minus this number
            leave the computation: training becomes faster as the network shrinks. None = none.
    """

    budget: train.Budget = field(kw_only=True)
    inputs: tuple[str, ...] = field(default=(), kw_only=True)
    ramp: float = field(default=0.0, kw_only=True)
    rate: float = field(default=1.0, kw_only=True)
    dead: str = field(default="stop", kw_only=True)
    cut: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_budget(self)
        check_names(self, "inputs")
        check_option(self, "dead", DEAD)
        check_number(self, "ramp", "a number in [0, 1]", lambda v: 0 <= v <= 1)
        check_number(self, "rate", "a number > 0", lambda v: v > 0)
        if self.cut is not None:
            check_number(self, "cut", "a number >= 0 or None", lambda v: v >= 0)

    @abc.abstractmethod
    def gate(self, place: Place) -> Gate:
        """The gate of one place, as it is before training."""

    @abc.abstractmethod
    def strength(self, images: int) -> float:
        """What the sum of the gates' penalties is multiplied with, beside the mean loss."""

    def prune(self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True) -> Keep:
        """See `Method.prune`, and `run`: place name -> (size,) bool."""
        return self.run(net, data, seed=seed, progress=progress).keep

    def run(
        self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True,
        checkpoint: str | os.PathLike | None = None,
        watch: Callable[[int, Gated], None] | None = None,
    ) -> GateRun:  # fmt: skip
        """Train `net` under gates, and fold them into its weights.

        Args:
            net: a network; its weights are trained. Afterwards units that were removed are read
                with weight 0, so that `net` computes what `surgery.shrink` makes of it.
            data: a Dataset.
            seed: of gates and training.
            progress: show a bar.
            checkpoint: file for `train.fit`; it holds the gates, and which method they are of.
            watch: called with (steps done, the gated network) before training and after each epoch.

        Raises:
            ValueError: see `Gated`; or `checkpoint` is of a run of another method.
            RuntimeError: no unit of a place is left (dead="stop"), or the loss is not finite.
        """
        net = opened(self, net, seed, progress, checkpoint, watch)
        check_dataset(self, data)
        gated = self.gated(net, data, seed)
        running = gated if self.cut is None else Narrowed(gated, net, self.cut)
        an_epoch, steps = self.budget.steps(len(data.train))
        strength, ramp = self.strength(len(data.train)), self.ramp * steps

        def penalty() -> Tensor:
            total = strength * running.penalty()
            return total * (gated.done / ramp).clamp(max=1) if ramp else total

        def after_step(step: int) -> None:
            gated.done += 1
            for gate in gated.gates.values():
                gate.bound()
            if (step + 1) % an_epoch == 0 or step + 1 == steps:
                running.look()
                self._check(gated, step + 1)
                if watch is not None:
                    watch(step + 1, gated)

        if watch is not None and not (checkpoint and Path(checkpoint).exists()):
            watch(0, gated)
        fit = {"seed": seed, "progress": progress, "checkpoint": checkpoint}
        history = train.fit(
            running, data, self.budget, penalty=penalty, after_step=after_step, **fit
        )
        keep: dict[str, Tensor] = {}
        for name, kept in gated.kept().items():
            written = gated.written(name, keep)
            keep[name] = _some(gated.gates[name], kept & written, written).cpu()
        gated.fold(net, keep)
        return GateRun(Keep(keep), history)

    def gated(self, net: nn.Module, data: object, seed: int = 0) -> Gated:
        """`net` under fresh gates. Errors as `Gated`."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            gated = self.network(net, example_of(data))
        gated.register_buffer("rule", self._rule().to(gated.done.device))
        gated.register_load_state_dict_post_hook(self._same_rule)
        return gated

    def network(self, net: nn.Module, example: Tensor) -> Gated:
        """What `gated` gives, with the generator as it is: for methods that also change layers."""
        return Gated(net, example, self.gate, self.inputs)

    def _rule(self) -> Tensor:
        """A number of all fields, for checkpoints."""
        fields = hashlib.blake2b(repr(self).encode(), digest_size=7).digest()
        return torch.tensor(int.from_bytes(fields))

    def _same_rule(self, gated: Gated, _: object) -> None:
        if not torch.equal(gated.rule.cpu(), self._rule()):
            raise ValueError(
                f"{type(self).__name__}: `checkpoint` is of another run: fields of its method"
                " differ; delete it or name another file"
            )

    def _check(self, gated: Gated, step: int) -> None:
        for name, kept in gated.kept().items():
            if self.dead == "stop" and not kept.any():
                raise RuntimeError(
                    f"{type(self).__name__}: none of the {len(kept)} units of `{name}` is left"
                    f" after {step} steps; make the penalty weaker, or dead='keep one'"
                )


def _some(gate: Gate, kept: Tensor, written: Tensor) -> Tensor:
    """`kept`, or the unit with the largest mean (of those that are written) where it is empty."""
    if not kept.any():
        kept = kept.clone()
        kept[gate.mean().masked_fill(~written, -float("inf")).argmax()] = True
    return kept


def value_at(method: GatedMethod, field: str, place: Place, default: float | None = None) -> float:
    """A field's value at a place; ValueError if it maps names, not this one, and has no default."""
    value = getattr(method, field)
    if not isinstance(value, Mapping):
        return value
    if default is None and place.name not in value:
        raise ValueError(
            f"{type(method).__name__}: `{field}` must name every gated place, or be one number;"
            f" `{place.name}` is missing in {dict(value)!r}"
        )
    return value.get(place.name, default)


def check_places(method: GatedMethod, field: str, gated: Gated) -> None:
    """ValueError if a field maps a name that has no gate."""
    value = getattr(method, field)
    for name in value if isinstance(value, Mapping) else ():
        if name not in gated.gates:
            raise ValueError(
                f"{type(method).__name__}: `{field}` names {name!r}, which has no gate; it must be"
                f" one of {', '.join(gated.gates)}"
            )
