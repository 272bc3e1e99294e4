"""What all methods share: the verb, the ratios, the choice of groups."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping

from torch import Tensor, nn

from prunelab import scores
from prunelab.groups import Groups
from prunelab.masks import Keep

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
        """


def example_of(data: object) -> Tensor:
    """An input batch: `data` itself if it is a tensor, else its `example`.

    Raises:
        TypeError: `data` is neither.
    """
    example = data if isinstance(data, Tensor) else getattr(data, "example", None)
    if not isinstance(example, Tensor):
        raise TypeError(
            f"prune: `data` must be a Dataset or an example batch, got {type(data).__name__}"
        )
    return example


def check_dataset(method: object, data: object) -> None:
    """TypeError unless `data` has training images."""
    if not hasattr(data, "train"):
        raise TypeError(
            f"{type(method).__name__}: `data` must be a Dataset, as it looks at training images;"
            f" got {type(data).__name__}"
        )


def check_option(method: object, field: str, allowed: tuple[str, ...]) -> None:
    """ValueError unless the field of the method is one of the allowed words."""
    value = getattr(method, field)
    if value not in allowed:
        raise ValueError(
            f"{type(method).__name__}: `{field}` must be one of {', '.join(allowed)}; got {value!r}"
        )


def is_number(value: object) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_count(method: object, field: str) -> None:
    """ValueError unless the field of the method is an integer >= 1."""
    value = getattr(method, field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"{type(method).__name__}: `{field}` must be an integer >= 1, got {value!r}"
        )


def check_ratios(method: object, ratios: Ratios) -> None:
    """ValueError unless every ratio is in [0, 1)."""
    for ratio in ratios.values() if isinstance(ratios, Mapping) else [ratios]:
        scores.check_ratio(type(method).__name__, ratio)


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
