"""What a student hands in: compared with what is right, and told in a message."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from prunelab.checks import shown

TOLERANCE = 1e-5  # relative
NEAR = 0.01  # relative: so near a right value, its rounding differs
ROUNDED = 0.05  # relative: as near as a number is that was rounded to one or two digits
DECIMALS = 9  # that a rounded number has at most


def same(one: Any, other: Any, tolerance: float = TOLERANCE, within: float = 1e-9) -> bool:
    """Whether two answers are equal.

    Args:
        one: what was handed in.
        other: what it is compared with. Texts are compared without regard to case.
        tolerance: relative, of numbers.
        within: absolute, added to it.
    """
    if isinstance(other, str):
        return isinstance(one, str) and one.strip().lower() == other.strip().lower()
    if isinstance(other, set | frozenset):
        try:
            return {tuple(part) if isinstance(part, list) else part for part in one} == other
        except TypeError:  # it is no collection, or one of what is none
            return False
    if one is None or other is None or isinstance(one, str):
        return one is other
    if isinstance(other, Mapping):
        return (
            isinstance(one, Mapping)
            and one.keys() == other.keys()
            and all(same(one[key], other[key], tolerance, within) for key in other)
        )
    both = _numbers(one, other)
    return both is not None and bool(
        np.allclose(*both, rtol=tolerance, atol=within, equal_nan=True)
    )


def rounded(one: Any, other: Any, least: int = 0, most: int = DECIMALS) -> bool:
    """Whether numbers are others, rounded to a number of decimals between these two."""
    both = _numbers(one, other)
    return both is not None and any(
        np.allclose(both[0], np.round(both[1], places), rtol=1e-6, atol=1e-9)
        for places in range(least, most + 1)
    )


def near(one: Any, other: Any, share: float = NEAR) -> bool:
    """Whether all numbers lie within a share of others."""
    both = _numbers(one, other)
    return both is not None and bool(np.allclose(*both, rtol=share, atol=0))


def _numbers(one: Any, other: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Both as arrays of one shape; None if they are no such thing."""
    if isinstance(one, str) or isinstance(other, str | Mapping | set | frozenset):
        return None
    try:
        first, second = (np.asarray(_plain(value), dtype=float) for value in (one, other))
    except Exception:  # tensors of strange kinds, integers of thousands of digits
        return None
    return (first, second) if first.shape == second.shape else None


def form(value: Any) -> tuple[int, ...]:
    """The shape of a value; that of a single one if it has none."""
    try:
        return np.shape(_plain(value))
    except Exception:
        return ()


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def told(values: Iterable[Any]) -> str:
    """Arguments or an answer in a message."""
    return ", ".join(map(_told, values))


def _told(value: Any) -> str:
    try:
        return _short(value)
    except Exception:
        return type(value).__name__


def _short(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray) and np.ndim(_plain(value)):
        array = _plain(value)
        if array.size > 8:
            return f"an array of shape {tuple(array.shape)}"
        return np.array2string(array, precision=4, separator=", ")
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return shown(value)
