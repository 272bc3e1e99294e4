"""The papers' printed numbers: data with a confidence mark, and how a measured value meets them.

A printed number is shown only if its mark says that it was read or computed; one that is merely
remembered never appears.
"""

from __future__ import annotations

import math

import pandas as pd

from prunelab import paths
from prunelab.study.cells import digits

PAPERS = paths.shipped() / "data" / "papers"
SHOWN = ("source", "computed", "seed")


def printed(stem: str, table: str) -> pd.DataFrame:
    """The printed rows of a table that may be shown. FileNotFoundError: there is no such table."""
    path = PAPERS / stem / f"{table}.csv"
    if not path.is_file():
        raise FileNotFoundError(f"printed: no table `{table}` of `{stem}` ({path.name} is missing)")
    frame = pd.read_csv(path)
    return frame[frame.confidence.isin(SHOWN)].reset_index(drop=True)


def places(value: float) -> int:
    """Digits behind the point."""
    return len(f"{value:g}".partition(".")[2])


def agrees(measured: float, shown: float, places: int | None = None) -> str:
    """How a measured value meets a printed one, to the printed digits.

    Args:
        measured: the exact value.
        shown: the printed one.
        places: digits after the point; None = as many significant digits as `shown` has (for a
            printed 0, none after the point).

    Returns:
        "equal", "equal (truncated)" where the paper cut digits off instead of rounding, "differs".
    """
    if places is None:
        places = digits(shown) - 1 - math.floor(math.log10(abs(shown))) if shown else 0
    unit = 10.0**-places
    if abs(measured - shown) <= unit * (0.5 + 1e-9):  # a tie may have been rounded either way
        return "equal"
    cut = math.trunc(measured / unit * (1 + 1e-12))  # guards 0.3 / 0.1 = 2.9999999999999996
    if abs(cut * unit - shown) < unit / 1e6:
        return "equal (truncated)"
    return "differs"
