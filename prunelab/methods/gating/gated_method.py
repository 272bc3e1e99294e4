"""What all methods with gates do: train under gates, decide, fold."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import train
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
from prunelab.methods.gating.gates import Gate, Gated, GatePlace, some
from prunelab.methods.gating.narrowing import Narrowed
from prunelab.methods.stages import Options, Stage

DEAD = ("stop", "keep one")


@dataclass(frozen=True)
class GatedMethod(Method):
    """Training under gates; a subclass gives the gate.

    Attributes:
        BY_PLACE: fields that may map place names to numbers.
        NETWORK: the kind of network that trains.
        budget: the training.
        inputs: layers whose inputs get gates too, entry by entry.
        ramp: fraction of the run in which the penalty grows linearly from 0.
        rate: the gates learn at that many times the learning rate (under Adam).
        dead: when no unit of a place is left: "stop" the run with its name, or "keep one".
        cut: after each epoch, units whose margin (see `Gate.margin`) is below minus this number
            leave the computation: training becomes faster as the network shrinks. None = none.
    """

    CHOOSES: ClassVar[str] = "units"
    BY_PLACE: ClassVar[tuple[str, ...]] = ()
    NETWORK: ClassVar[type[Gated]] = Gated

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
    def gate(self, place: GatePlace) -> Gate:
        """The gate of one place, as it is before training."""

    def strength(self, images: int) -> float:
        """What the sum of the gates' penalties is multiplied with, beside the mean loss.

        By default 1/N: a KL or a count is of the whole training set, the loss of one image.
        """
        return 1 / images

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        gated = self.gated(net, data, options.seed)
        history = self.train(gated, self.running(gated, net), options.stage(self.budget, data))
        return self.folded(gated, net, (history,))

    def running(self, gated: Gated, net: nn.Module) -> Gated | Narrowed:
        """What trains: the network under gates, narrowed if units leave the computation."""
        return gated if self.cut is None else Narrowed(gated, net, self.cut)

    def train(
        self, gated: Gated, running: Gated | Narrowed, stage: Stage, before: int = 0
    ) -> train.History:
        """Train under the penalty; `before` steps were made in other stages."""
        images = len(stage.data.train)
        an_epoch, steps = stage.budget.steps(images)
        strength, ramp = self.strength(images), self.ramp * steps
        gated.done.zero_()

        def penalty() -> Tensor:
            total = strength * running.penalty()
            return total * (gated.done / ramp).clamp(max=1) if ramp else total

        def after_step(step: int) -> None:
            gated.done += 1
            for gate in gated.gates.values():
                gate.bound()
            if (step + 1) % an_epoch == 0 or step + 1 == steps:
                running.look()
                check_alive(self, gated.kept(), step + 1)
                stage.tell(before + step + 1, gated)

        stage.tell(before, gated)
        return stage.fit(running, penalty=penalty, after_step=after_step)

    def folded(self, gated: Gated, net: nn.Module, history: tuple[train.History, ...]) -> Pruned:
        """Place name -> (size,) bool.

        The gates are folded into the weights of `net`: units that were removed are read with weight
        0, so that `net` computes what `surgery.shrink` makes of it.
        """
        keep: dict[str, Tensor] = {}
        for name, kept in gated.kept().items():
            keep[name] = some(kept, gated.written(name, keep), gated.gates[name].mean())
        gated.fold(net, keep)
        return Pruned(Keep(keep), history)

    def gated(self, net: nn.Module, data: object, seed: int = 0) -> Gated:
        """`net` under fresh gates.

        Raises:
            ValueError: as `Gated`; or a field names what has no gate, or not all that have one.
        """
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            gated = self.NETWORK(net, example_of(data), self)
        for field_name in self.BY_PLACE:
            value = getattr(self, field_name)
            for name in value if isinstance(value, Mapping) else ():
                if name not in gated.gates:
                    raise ValueError(
                        f"{type(self).__name__}: `{field_name}` names {name!r}, which has no gate;"
                        f" it must be one of {', '.join(gated.gates)}"
                    )
        return gated


def check_alive(method: Method, kept: Mapping[str, Tensor], step: int) -> None:
    """RuntimeError if no unit of a place is left and that is to stop the run."""
    for name, units in kept.items():
        if method.dead == "stop" and not units.any():
            raise RuntimeError(
                f"{type(method).__name__}: none of the {len(units)} units of `{name}` is left"
                f" after {step} steps; make the penalty weaker, or dead='keep one'"
            )


def value_at(method: GatedMethod, field: str, place: str, default: float | None = None) -> float:
    """A field's value at a place; ValueError if it maps names, not this one, and has no default."""
    value = getattr(method, field)
    if not isinstance(value, Mapping):
        return value
    if default is None and place not in value:
        raise ValueError(
            f"{type(method).__name__}: `{field}` must name every gated place, or be one number;"
            f" `{place}` is missing in {dict(value)!r}"
        )
    return value.get(place, default)
