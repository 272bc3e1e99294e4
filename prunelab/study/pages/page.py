"""What a page is made of: table cells with their verdicts, and figures inlined as markup."""

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
from markupsafe import Markup

from prunelab.study import cells
from prunelab.study.pages import svg

PNG = b"\x89PNG\r\n\x1a\n"  # how such a file begins
WIDE = 16  # characters; a longer row of numbers may wrap
SIGNS = {"agrees": "✓", "differs": "≠", "missing": "–", "other": ""}


@dataclass(frozen=True)
class Shown:
    """A cell on the page.

    Attributes:
        text: what it says.
        kind: how it is set: text, number, numbers (which may wrap), range, none or chip.
        sign: before a verdict; with the colour of its chip it repeats the words.
        rows: keys of the ledger rows that it comes from.
        command: measures what is missing.
    """

    text: str
    kind: str = "text"
    sign: str = ""
    rows: str = ""
    command: str = ""

    def is_number(self) -> bool:
        """A number, alone or with its range."""
        return self.kind in ("number", "numbers", "range")


@dataclass(frozen=True)
class Table:
    """A table ready for the page."""

    title: str
    head: list[str]
    rows: list[list[Shown]]

    @property
    def kinds(self) -> list[str]:
        """How each column is set: one with a number, or a number and its range, as numbers."""
        columns = zip(*self.rows) if self.rows else [[]] * len(self.head)
        return ["number" if any(map(Shown.is_number, column)) else "" for column in columns]

    @property
    def commands(self) -> list[str]:
        """What measures the cells that are missing."""
        return list(
            dict.fromkeys(cell.command for row in self.rows for cell in row if cell.command)
        )


def table(title: str, frame: pd.DataFrame) -> Table:
    """A DataFrame of `prunelab.study.cells` as a table of the page."""
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    head = [" · ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
    rows = [[_shown(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]
    return Table(title, head, rows)


def _shown(cell: Any) -> Shown:
    """By its type alone; nothing is read out of a text."""
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


def figures(name: str, captions: Mapping[str, str], out: Path, root: Path) -> list[dict]:
    """Pictures of a notebook in the order of its captions; this run's replace committed ones."""
    files: dict[str, Path] = {}
    for folder in (root / "figures", out / "figures"):
        for kind in ("png", "svg"):
            files |= {
                path.stem: path for path in sorted(folder.glob(f"{glob.escape(name)}--*.{kind}"))
            }
    figures, order = [], list(captions)
    views = {stem: stem.partition("--")[2] for stem in files}
    ranks = {s: order.index(v) if v in order else len(order) for s, v in views.items()}
    for stem, path in sorted(files.items(), key=lambda item: (ranks[item[0]], item[0])):
        view = stem.partition("--")[2]
        caption = captions.get(view) or captions.get(stem) or view.replace("-", " ").capitalize()
        origin = "this run" if out in path.parents else "committed"
        picture = inline(path)
        entry = {"picture": picture, "wide": _is_wide(picture), "origin": origin}
        figures.append({**entry, "caption": caption})
    return figures


def _is_wide(picture: str) -> bool:
    """Whether a figure needs the page's whole width: panels side by side would be too small."""
    box = re.search(r'viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"', picture[:2000])
    return bool(box) and float(box.group(1)) > 1.7 * float(box.group(2))


def inline(path: Path) -> Markup:
    """A figure file as markup that loads and runs nothing: SVG inside the page, PNG as data.

    Ids inside an SVG get the file's name in front: two figures both have a `clip0`. A file that is
    no such picture becomes a line that says so.
    """
    content = path.read_bytes()
    try:
        return _drawn(path, content)
    except ValueError as error:
        return Markup('<p class="note">{} is not shown: {}</p>').format(path.name, error)


def _drawn(path: Path, content: bytes) -> Markup:
    if path.suffix == ".png":
        if not content.startswith(PNG):
            raise ValueError("it is no PNG picture")
        code = base64.b64encode(content).decode()
        return Markup('<img alt="" src="data:image/png;base64,{}">').format(code)
    prefix = re.sub(r"\W", "_", path.stem) + "__"
    return Markup(svg.cleaned(content, prefix))
