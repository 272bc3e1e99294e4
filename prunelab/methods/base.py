"""What all methods share: the verb, the checks of their fields, the choice of groups."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from prunelab import checks, scores, train
from prunelab.data import Split
from prunelab.groups import Groups
from prunelab.masks import Keep
from prunelab.meta import unwrap

Ratios = float | Mapping[str, float]
RESIDUAL = ("coupled", "first", "shortcut")


class Method(abc.ABC):
    """A pruning method: hyper-parameters in fields, one verb, no state."""

    @abc.abstractmethod
    def prune(self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True) -> Keep:
        """Decide what stays.

        Args:
            net: a trained network. Methods that train change its weights; nothing else of it.
            data: a `prunelab.data.Dataset`; methods that need no data also take an example batch.
            seed: same seed, same keep.
            progress: show a bar where it takes time.

        Returns:
            Group name -> (size,) bool, True = kept. No group is emptied.

        Raises:
            TypeError, ValueError: an argument is of another kind, does not fit the others, or names
                what `net` does not have.
        """


def opened(
    method: object, net: object, seed: object, progress: object, checkpoint: object = None,
    watch: object = None,
) -> nn.Module:  # fmt: skip
    """The network itself, out of its wrappers, once the arguments of `run` have been looked at.

    Raises:
        TypeError: `net` is no network, `checkpoint` no path, `watch` no function.
        ValueError: `seed` is no integer >= 0, `progress` no switch.
    """
    name = type(method).__name__
    checks.kind(name, "net", net, nn.Module, "a network")
    checks.count(name, "seed", seed, 0)
    checks.switch(name, "progress", progress)
    if checkpoint is not None:
        checks.path(name, "checkpoint", checkpoint)
    checks.kind(name, "watch", watch, Callable | None, "a function or None")
    return unwrap(net)


def example_of(data: object) -> Tensor:
    """An input batch: `data` itself if it is a tensor, else its `example`.

    Raises:
        TypeError: `data` is neither.
    """
    example = data if isinstance(data, Tensor) else getattr(data, "example", None)
    checks.kind("prune", "data", example, Tensor, "a Dataset or an example batch")
    return example


def check_dataset(method: object, data: object) -> None:
    """TypeError unless `data` has training images."""
    if not isinstance(getattr(data, "train", None), Split):  # every network has a method `train`
        raise TypeError(
            f"{type(method).__name__}: `data` must be a Dataset, as it looks at training images;"
            f" got {type(data).__name__}"
        )


def check_option(method: object, field: str, allowed: tuple[str, ...]) -> None:
    """ValueError unless the field of the method is one of the allowed words."""
    checks.word(type(method).__name__, field, getattr(method, field), allowed)


def check_count(method: object, field: str) -> None:
    """ValueError unless the field of the method is an integer >= 1."""
    checks.count(type(method).__name__, field, getattr(method, field))


def check_switch(method: object, field: str) -> None:
    """ValueError unless the field of the method is True or False."""
    checks.switch(type(method).__name__, field, getattr(method, field))


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
    several = isinstance(ratios, Mapping)
    checks.need(not several or len(ratios) > 0, name, "ratios", "a ratio for one group", ratios)
    for ratio in ratios.values() if several else [ratios]:
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
