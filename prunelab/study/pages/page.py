"""Tables and figures as the report's template takes them."""

from __future__ import annotations

import base64
import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd

from prunelab.study import cells

KINDS = {".png": "png", ".svg": "svg+xml"}  # of pictures
WIDE = 16  # characters; a longer row of numbers may wrap
SIGNS = {"agrees": "✓", "differs": "≠", "missing": "–", "other": ""}


@dataclass(frozen=True)
class Shown:
    """A cell on the page.

    Attributes:
        text: its text.
        kind: its style: text, number, numbers (which may wrap), range, none or chip.
        sign: sign before a verdict.
        rows: keys of the ledger rows it comes from.
        command: the command that measures what is missing.
    """

    text: str
    kind: str = "text"
    sign: str = ""
    rows: str = ""
    command: str = ""

    def is_number(self) -> bool:
        """Whether it is a number, alone or with its range."""
        return self.kind in ("number", "numbers", "range")


@dataclass(frozen=True)
class PageTable:
    """A table on the page."""

    title: str
    head: list[str]
    rows: list[list[Shown]]

    @property
    def kinds(self) -> list[str]:
        """Style of each column: "number" if it has any number."""
        columns = zip(*self.rows) if self.rows else [[]] * len(self.head)
        return ["number" if any(map(Shown.is_number, column)) else "" for column in columns]

    @property
    def commands(self) -> list[str]:
        """The commands that measure the missing cells."""
        found = [cell.command for row in self.rows for cell in row if cell.command]
        return list(dict.fromkeys(found))


def table(title: str, frame: pd.DataFrame) -> PageTable:
    """A table of a study, as the page takes it."""
    rows = [[_shown(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]
    return PageTable(title, list(frame.columns), rows)


def _shown(cell: Any) -> Shown:
    """The style depends on the type of the cell alone."""
    text, sign = str(cell), ""
    match cell:
        case cells.Verdict(kind=verdict):
            kind, sign = f"chip {verdict}", SIGNS[verdict]
        case cells.Missing():
            kind = "none"
        case cells.Range(is_one=False):
            kind = "range"
        case cells.Printed(is_blank=True):
            kind = "text"
        case cells.Number() | cells.Printed() | cells.Range() | cells.Spread() | cells.Numbers():
            kind = "numbers" if len(text) > WIDE else "number"
        case Real() if cell == cell:
            kind = "number"
        case Real() | None:
            kind, text = "text", cells.DASH
        case _:
            kind = "text"
    rows = ", ".join(getattr(cell, "rows", ()))
    return Shown(text, kind, sign, rows, getattr(cell, "command", ""))


@dataclass(frozen=True)
class Figure:
    """A picture on the page.

    Attributes:
        caption: what it shows.
        origin: "committed" or "this run".
        address: the picture itself, as a data address: as an image, it runs and loads nothing.
        is_wide: whether it needs the page's whole width: panels side by side would be too small.
    """

    caption: str
    origin: str
    address: str
    is_wide: bool


def figures(name: str, captions: Mapping[str, str], out: Path, root: Path) -> list[Figure]:
    """Figures of a notebook in the order of its captions; this run's replace committed ones."""
    files: dict[str, tuple[Path, str]] = {}
    for folder, origin in ((root / "figures", "committed"), (out / "figures", "this run")):
        for path in sorted(folder.glob(f"{glob.escape(name)}--*")):
            if path.suffix in KINDS:
                files[path.stem.partition("--")[2]] = path, origin
    order = list(captions)
    views = sorted(files, key=lambda v: (order.index(v) if v in order else len(order), v))
    return [_figure(view, captions.get(view), *files[view]) for view in views]


def _figure(view: str, caption: str | None, path: Path, origin: str) -> Figure:
    content = path.read_bytes()
    address = f"data:image/{KINDS[path.suffix]};base64,{base64.b64encode(content).decode()}"
    box = re.search(rb'viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"', content[:2000])
    wide = bool(box and float(box[1]) > 1.7 * float(box[2]))
    return Figure(caption or view.replace("-", " ").capitalize(), origin, address, wide)
