"""What a ratio means: the fraction removed, and how many channels stay. No torch."""

from __future__ import annotations

import math

from prunelab import checks


def kept(size: int, ratio: float) -> int:
    r"""How many of `size` channels stay when the fraction `ratio` is removed; at least 1.

    .. math:: \max(1, \lfloor (1 - ratio) size \rfloor)

    Raises:
        ValueError: `ratio` is outside [0, 1), or `size` no integer >= 1.

    Source: PFEC, Table 1: only this rounding gives its printed percentages.
    """
    checks.count("kept", "size", size)
    check_ratio("kept", ratio)
    return whole_channels(size * (1 - ratio))


def left(size: int, ratio: float) -> int:
    r"""How many of `size` channels stay in DCP when the fraction `ratio` is removed; at least 1.

    .. math:: size - \lfloor ratio \cdot size \rfloor

    Raises:
        ValueError: as `kept`.

    Source: the code of DCP, whose printed counts need this rounding (papers/dcp.md section 6).
    """
    checks.count("left", "size", size)
    check_ratio("left", ratio)
    return size - math.floor(size * ratio + 1e-9)


def whole_channels(count: float) -> int:
    """`count` rounded down, at least 1.

    The small constant guards against floating-point error: (1 - 0.9) * 10 is just below 1.
    """
    return max(1, math.floor(count + 1e-9))


def check_ratio(function: str, ratio: float) -> float:
    """`ratio` itself if it is a number in [0, 1); else a ValueError that names `function`."""
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio < 1:
        raise ValueError(
            f"{function}: `ratio` is the fraction removed and must be in [0, 1), got"
            f" {checks.shown(ratio)}"
        )
    return float(ratio)
