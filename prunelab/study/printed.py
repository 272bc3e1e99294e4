"""What the papers print, what `study.toml` says about each, and how measurements compare.

A printed number is shown only if it is marked as read in a source or computed. Numbers that are
merely recalled are never shown.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from prunelab import paths
from prunelab.study.cells import digits

PAPERS = paths.shipped() / "data" / "papers"
SHOWN = ("source", "computed", "seed")
CONFIDENCE = (*SHOWN, "recalled", "unknown")


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
        settings: model -> what its methods run with; each paper says how.
        searches: model -> how its setting was chosen; see `search.Search.stated`.
        claims: `paper`, the first part of the ids of its printed numbers; table -> its name in
            ids (may be empty), then the columns that tell its rows apart.
        bibtex: its entry.
        links: name of a page about the paper -> address.
        further: what to read next -> address.
    """

    notebook: str
    title: str
    citation: str
    deviations: list[str] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    readme: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    bibtex: str = ""
    links: dict[str, str] = field(default_factory=dict)
    further: dict[str, str] = field(default_factory=dict)


def stated(stem: str) -> Said:
    """The `study.toml` of a paper. Errors: ValueError, an entry is unknown or missing."""
    where = f"{stem}/study.toml"
    try:
        return Said(**tomllib.loads((PAPERS / where).read_text("utf-8")))
    except (ValueError, TypeError) as error:  # the latter names the entry
        raise ValueError(f"printed: `{where}` is no description of a paper ({error})") from error


def printed(stem: str, table: str) -> pd.DataFrame:
    """The rows of a printed table that may be shown, each with the id of its claims.

    Raises:
        FileNotFoundError: no such table; names the file.
        ValueError: it cannot be read, or a row has an unknown `confidence`.
    """
    frame = _parsed(stem, table)
    where = f"{stem}/{table}.csv"
    if "confidence" not in frame:
        columns = ", ".join(frame)
        raise ValueError(f"printed: `{where}` has no column `confidence`; it has: {columns}")
    for line, word in enumerate(frame.confidence.fillna(""), 2):
        if word not in CONFIDENCE:
            raise ValueError(
                f"printed: column `confidence` of `{where}` must be one of"
                f" {', '.join(CONFIDENCE)}; got {word!r} (line {line})"
            )
    shown = frame[frame.confidence.isin(SHOWN)].reset_index(drop=True)
    return shown.assign(claim=_claims(stem, table, shown))


def _claims(stem: str, table: str, frame: pd.DataFrame) -> list[str]:
    """The id of each row, `dns/table1/lenet-5`; empty where the table has none."""
    said = stated(stem).claims if (PAPERS / stem / "study.toml").is_file() else {}
    if table not in said:
        return [""] * len(frame)
    name, *columns = said[table]
    parts = [said["paper"], name]
    return [
        "/".join(filter(None, (*parts, *(_slug(row[column]) for column in columns))))
        for _, row in frame.iterrows()
    ]


def _slug(value: object) -> str:
    """A value as a part of an id: T1 is table1, 0.50 is 0.5; a missing one is left out."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    word = re.sub(r"^T(?=\d)", "table", str(value)).lower()
    return re.sub(r"[^a-z0-9.+]+", "-", word).strip("-")


def words(stem: str) -> set[str]:
    """All values in all tables of the paper as texts, shown or not."""
    paths = (PAPERS / stem).glob("*.csv")
    tables = [_parsed(stem, path.stem, dtype=str) for path in paths]
    return {word for table in tables for word in table.to_numpy().flat}


def _parsed(stem: str, table: str, dtype: type | None = None) -> pd.DataFrame:
    try:
        return pd.read_csv(PAPERS / stem / f"{table}.csv", dtype=dtype)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"printed: `{stem}/{table}.csv` is not a table ({reason})") from error


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
