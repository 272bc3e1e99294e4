"""What a page is made of: table cells with their verdicts, and figures inlined as markup."""

from __future__ import annotations

import base64
import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from prunelab.study import svg
from prunelab.study.recipes import PRESETS

MISSING = "not measured"
PNG = b"\x89PNG\r\n\x1a\n"  # how such a file begins
NUMBER = re.compile(r"[-+−≈<>±]?\s*\.?\d[\d.,eEx/±\s+−-]*%?")
WIDE = 16  # characters; a longer row of numbers may wrap
RANGE = re.compile(rf"{NUMBER.pattern} \({NUMBER.pattern} to {NUMBER.pattern}\)")
# Verdicts are words; a sign and a colour only repeat them. First match wins.
SHORT = r"\b(in|and) (?P<met>\d+) of (?!(?P=met)\b)\d+"  # some of several: not all agree
VERDICTS = (
    ("missing", "–", r"not measured|missing|no row"),
    ("differs", "≠", SHORT),
    ("differs", "≠", r"differ|outside|disagree|not (equal|reproduced|within)|misprint|below|above"),
    ("agrees", "✓", r"equal|agree|within|reproduced|same|match|exact"),
)


@dataclass(frozen=True)
class Cell:
    """One table cell: its text, how it is set, and a sign before a verdict."""

    text: str
    kind: str = "text"
    sign: str = ""

    def is_number(self) -> bool:
        """A number, alone or with its range."""
        return self.kind in ("number", "numbers", "range")


@dataclass(frozen=True)
class Table:
    """A table ready for the page."""

    title: str
    head: list[str]
    rows: list[list[Cell]]

    @property
    def kinds(self) -> list[str]:
        """How each column is set: one with a number, or a number and its range, as numbers."""
        columns = zip(*self.rows) if self.rows else [[]] * len(self.head)
        return ["number" if any(map(Cell.is_number, column)) else "" for column in columns]

    def command(self, run: str, preset: str) -> str:
        """What measures the rows that are missing, or nothing.

        Args:
            run: the command but for its preset.
            preset: the run's; a table whose title says "preset paper" needs that one.
        """
        if not any(MISSING in cell.text for row in self.rows for cell in row):
            return ""
        named = re.search(rf"preset ({'|'.join(PRESETS)})\b", self.title)
        return f"{run} --preset {named.group(1) if named else preset}"


def table(title: str, frame: pd.DataFrame) -> Table:
    """A formatted DataFrame as cells; an empty one is a dash, an empty verdict "not measured"."""
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    head = [" · ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns]
    rows = [
        [_cell(name, value) for name, value in zip(head, row)]
        for row in frame.itertuples(index=False, name=None)
    ]
    return Table(title, head, rows)


def _cell(column: str, value: Any) -> Cell:
    verdict = "verdict" in column.lower()
    text = str(value) if not pd.isna(value) else MISSING if verdict else "–"
    if verdict:
        return _verdict(text)
    if MISSING in text:
        return Cell(text, "none")
    if NUMBER.fullmatch(text):
        return Cell(text, "numbers" if len(text) > WIDE else "number")
    return Cell(text, "range" if RANGE.fullmatch(text) else "text")


def _verdict(text: str) -> Cell:
    for kind, sign, words in VERDICTS:
        if re.search(words, text, re.IGNORECASE):
            return Cell(text, f"chip {kind}", sign)
    return Cell(text, "chip other" if text.strip() else "text")


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
