"""What all methods share: `run` and its result, checks of fields, the choice of groups."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from prunelab import checks, scores, train
from prunelab.data import Split
from prunelab.groups import Groups
from prunelab.masks import Keep
from prunelab.meta import unwrap
from prunelab.methods.stages import Options
from prunelab.train.as_found import full_float32

Ratios = float | Mapping[str, float]
RESIDUAL = ("coupled", "first", "shortcut")


@dataclass(frozen=True)
class Pruned:
    """What a method did.

    Attributes:
        keep: group, place or parameter name -> bool tensor, True = kept.
        history: of its trainings, in order; empty for methods that only look.
        events: layer -> (steps + 1, 2) weights and biases pruned and spliced when so many steps
            were done; row 0 is the first cut. Empty for methods that do not splice.
    """

    keep: Keep
    history: tuple[train.History, ...] = ()
    events: Mapping[str, Tensor] = field(default_factory=dict)


class Method(abc.ABC):
    """A pruning method: hyper-parameters in fields, one verb, no state.

    Attributes:
        CHOOSES: what its keep names: "channels" of groups; "units", the channels that a training
            of its own leaves; or single "weights".
    """

    CHOOSES: ClassVar[str] = "channels"

    def prune(self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True) -> Keep:
        """Decide what stays: the `keep` of `run`, with its arguments and errors."""
        return self.run(net, data, seed=seed, progress=progress).keep

    @full_float32()
    def run(
        self,
        net: nn.Module,
        data: object,
        *,
        seed: int = 0,
        progress: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        watch: Callable[[int, Any], None] | None = None,
    ) -> Pruned:
        """Decide what stays, and report what happened.

        Args:
            net: a trained network. Methods that train change its weights; nothing else of it.
            data: a `prunelab.data.Dataset`; methods that need no images also take an example batch.
            seed: same seed, same keep.
            progress: show a bar where it takes time.
            checkpoint: a file for unfinished work. If it exists, the run continues from it, and
                ends with the bits of an uninterrupted one if `net` is as it was then. Methods with
                several trainings keep one file for each, with this name and an ending.
            watch: called as (steps done, state) by methods that train under a state of their own,
                before the training and at least after each epoch.

        Returns:
            What stays (no group or layer is emptied), the trainings, and events.

        Raises:
            TypeError, ValueError: an argument is of another kind, does not fit the others, or names
                what `net` does not have; or `checkpoint` is of another run.
            RuntimeError: the loss is not finite, or a layer loses all its units.
        """
        name = type(self).__name__
        checks.kind(name, "net", net, nn.Module, "a network")
        checks.count(name, "seed", seed, 0)
        checks.switch(name, "progress", progress)
        path = None if checkpoint is None else checks.path(name, "checkpoint", checkpoint)
        if watch is not None:
            checks.function(name, "watch", watch, "steps", "state")
        own = getattr(data, "train", None)
        images = isinstance(own, Split)  # a network's `train` is none
        if self._looks_at_images() and not images:
            raise TypeError(
                f"{name}: `data` must be a Dataset, as it looks at training images;"
                f" got {type(data).__name__}"
            )
        if isinstance(own, Split) and not len(own):
            raise ValueError(f"{name}: `data.train` must hold images; it has none")
        return self._run(unwrap(net), data, Options(self, seed, progress, path, watch))

    @abc.abstractmethod
    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        """What `run` does with arguments that have been checked."""

    def _looks_at_images(self) -> bool:
        """Whether `data` must be a Dataset."""
        return True


def example_of(data: object) -> Tensor:
    """An input batch: `data` itself if it is a tensor, else its `example`.

    Raises:
        TypeError: `data` is neither.
    """
    example: Any = data if isinstance(data, Tensor) else getattr(data, "example", None)
    checks.kind("prune", "data", example, Tensor, "a Dataset or an example batch")
    return example


def check_option(method: object, field: str, allowed: tuple[str, ...]) -> None:
    """ValueError unless the field of the method is one of the allowed words."""
    checks.word(type(method).__name__, field, getattr(method, field), allowed)


def check_count(method: object, field: str) -> None:
    """ValueError unless the field of the method is an integer >= 1."""
    checks.count(type(method).__name__, field, getattr(method, field))


def check_budget(method: object, field: str = "budget") -> None:
    """TypeError unless the field of the method is a Budget."""
    checks.kind(type(method).__name__, field, getattr(method, field), train.Budget, "a Budget")


def check_number(
    method: object, field: str, allowed: str, test: Callable[[float], bool] = checks.is_number
) -> None:
    """ValueError unless the field of the method is a finite number that passes the test."""
    checks.number(type(method).__name__, field, getattr(method, field), allowed, test)


def check_numbers(
    method: object, field: str, allowed: str, test: Callable[[float], bool] = checks.is_number
) -> None:
    """ValueError unless the field is such a number, or maps one name or more to such numbers."""
    value = getattr(method, field)
    found = list(value.values()) if isinstance(value, Mapping) else [value]
    fits = bool(found) and all(checks.is_number(v) and test(v) for v in found)
    allowed = f"{allowed}, or such numbers by name, one at least"
    checks.need(fits, type(method).__name__, field, allowed, value)


def check_pair(
    method: object, field: str, allowed: str, test: Callable[[float, float], bool]
) -> None:
    """Two numbers that pass the test, as a tuple (JSON gives a list); else ValueError."""
    value = getattr(method, field)
    pair = isinstance(value, list | tuple) and len(value) == 2
    fits = pair and all(map(checks.is_number, value)) and test(*value)
    checks.need(fits, type(method).__name__, field, allowed, value)
    object.__setattr__(method, field, tuple(value))


def check_names(method: object, field: str) -> None:
    """Names of layers, as a tuple (JSON gives a list); else ValueError."""
    value = getattr(method, field)
    listed = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    checks.need(listed, type(method).__name__, field, "names of layers", value)
    object.__setattr__(method, field, tuple(value))


def check_ratios(method: object, ratios: Ratios) -> None:
    """ValueError unless every ratio is in [0, 1), and there is one at least."""
    name = type(method).__name__
    every = list(ratios.values()) if isinstance(ratios, Mapping) else [ratios]
    checks.need(bool(every), name, "ratios", "a ratio for one group", ratios)
    for ratio in every:
        scores.check_ratio(name, ratio)


def choose(groups: Groups, ratios: Ratios, residual: str = "coupled") -> dict[str, float]:
    """Group name -> ratio for the groups to prune, in order of execution.

    One ratio means all groups (with residual="first", all first convolutions of residual blocks).

    Raises:
        ValueError: a name in `ratios` is no group of that view, or the view is empty.
    """
    if residual == "first":
        groups = groups.first_convolutions()
    if not groups:
        raise ValueError(f"prune: residual={residual!r} leaves no group to prune in this network")
    if isinstance(ratios, Mapping):
        return {name: float(ratios[name]) for name in groups.select(ratios)}
    return dict.fromkeys(groups, float(ratios))
