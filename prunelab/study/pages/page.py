"""Tables and figures as the report's template takes them."""

from __future__ import annotations

import base64
import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import ParseError

import pandas as pd

from prunelab.study import cells

PNG = b"\x89PNG\r\n\x1a\n"  # how such a file begins
SVG = "{http://www.w3.org/2000/svg}svg"  # its outermost element
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
        return list(
            dict.fromkeys(cell.command for row in self.rows for cell in row if cell.command)
        )


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
        file: its name.
        caption: what it shows.
        origin: "committed" or "this run".
        address: the picture itself, as a data address.
        is_wide: whether it needs the page's whole width: panels side by side would be too small.
        fault: why it is not shown.
    """

    file: str
    caption: str
    origin: str
    address: str = ""
    is_wide: bool = False
    fault: str = ""


def figures(name: str, captions: Mapping[str, str], out: Path, root: Path) -> list[Figure]:
    """Figures of a notebook in the order of its captions; this run's replace committed ones."""
    files: dict[str, Path] = {}
    for folder in (root / "figures", out / "figures"):
        for kind in ("png", "svg"):
            found = sorted(folder.glob(f"{glob.escape(name)}--*.{kind}"))
            files |= {path.stem.partition("--")[2]: path for path in found}
    order = list(captions)
    views = sorted(files, key=lambda v: (order.index(v) if v in order else len(order), v))
    shown = []
    for view in views:
        caption = captions.get(view) or view.replace("-", " ").capitalize()
        origin = "this run" if out in files[view].parents else "committed"
        shown.append(_figure(files[view], caption, origin))
    return shown


def _figure(path: Path, caption: str, origin: str) -> Figure:
    figure = Figure(path.name, caption, origin)
    try:
        content = _checked(path)
    except ValueError as error:
        return replace(figure, fault=str(error))
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    box = re.search(rb'viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"', content[:2000])
    return replace(
        figure, address=address, is_wide=bool(box and float(box[1]) > 1.7 * float(box[2]))
    )


def _checked(path: Path) -> bytes:
    """A picture as an `img` may hold it, where SVG runs no script and loads nothing.

    Raises:
        ValueError: it is no such picture.
    """
    content = path.read_bytes()
    if path.suffix == ".png":
        if not content.startswith(PNG):
            raise ValueError("it is no PNG picture")
        return content
    content = content[max(content.find(b"<svg"), 0) :]  # so no entity is ever declared
    try:
        root = ElementTree.fromstring(content)
    except ParseError as error:
        raise ValueError(f"it is no whole SVG file ({error})") from None
    if root.tag != SVG:
        raise ValueError("it is no SVG drawing")
    return content
