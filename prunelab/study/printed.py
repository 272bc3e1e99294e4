"""What the papers print, what `study.toml` says about each, and how measurements compare.

A printed number is shown only if it is marked as read in a source or computed. Numbers that are
merely recalled are never shown.
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
    """The `study.toml` of a paper.

    Attributes:
        notebook: number of its notebook.
        title: title of its section in the report.
        citation: reference to the paper.
        deviations: what differs from the paper, and why.
        captions: view -> caption of that figure.
        readme: README.md shows the tables whose titles begin with one of these.
        searches: model -> how its setting was chosen; see `search.Search.stated`.
    """

    notebook: str
    title: str
    citation: str
    deviations: list[str] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    readme: list[str] = field(default_factory=list)
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)


def stated(stem: str) -> Said:
    """The `study.toml` of a paper. Errors: TypeError, an entry is unknown or missing."""
    return Said(**tomllib.loads((PAPERS / stem / "study.toml").read_text("utf-8")))


def printed(stem: str, table: str) -> pd.DataFrame:
    """The rows of a printed table that may be shown. Errors: FileNotFoundError, no such table."""
    path = PAPERS / stem / f"{table}.csv"
    if not path.is_file():
        raise FileNotFoundError(f"printed: no table `{table}` of `{stem}` ({path.name} is missing)")
    frame = pd.read_csv(path)
    return frame[frame.confidence.isin(SHOWN)].reset_index(drop=True)


def places(value: float) -> int:
    """Digits after the decimal point."""
    return len(f"{value:g}".partition(".")[2])


def agrees(measured: float, shown: float, places: int | None = None) -> str:
    """Compare a measured value with a printed one, to the printed digits.

    Args:
        measured: the measured value.
        shown: the printed value.
        places: digits after the decimal point; None = as many significant digits as `shown` has
            (for a printed 0, no decimals).

    Returns:
        "equal", "equal (truncated)" where the paper truncated instead of rounding, or "differs".
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
