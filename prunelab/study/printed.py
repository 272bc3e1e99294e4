"""What the papers print, and what `study.toml` says of each; how a measured value meets print.

A printed number is shown only if its mark says that it was read or computed; one that is merely
remembered never appears.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from prunelab import paths
from prunelab.study.cells import digits

PAPERS = paths.shipped() / "data" / "papers"
SHOWN = ("source", "computed", "seed")


@dataclass(frozen=True)
class Said:
    """What a paper and its reproduction say: `study.toml`.

    Attributes:
        notebook: the number of its notebook.
        title: of its section in the report.
        citation: of the paper.
        deviations: what differs from the paper, and why.
        captions: view -> what a figure shows.
        readme: how the titles of the tables begin that README.md shows.
        searches: model -> how its setting was chosen, as in `search.Search.stated`.
    """

    notebook: str
    title: str
    citation: str
    deviations: list[str] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    readme: list[str] = field(default_factory=list)
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)


def stated(stem: str) -> Said:
    """The `study.toml` of a paper. TypeError: an unknown or a missing entry."""
    return Said(**tomllib.loads((PAPERS / stem / "study.toml").read_text("utf-8")))


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
