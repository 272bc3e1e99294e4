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


def kind(cell: Any) -> str:
    """The style of a cell, by its type alone: chip and its verdict, none, number or text."""
    match cell:
        case cells.Verdict():
            return f"chip {cell.kind}"
        case cells.Missing():
            return "none"
        case cells.Printed(is_blank=True):
            return "text"
        case cells.Number() | cells.Printed() | cells.Range() | cells.Spread() | cells.Numbers():
            return "number"
        case Real():
            return "number" if cell == cell else "text"
    return "text"


def kinds(frame: pd.DataFrame) -> list[str]:
    """Style of each column: "number" if it has any number."""
    return ["number" if "number" in map(kind, frame[name]) else "" for name in frame]


def commands(frame: pd.DataFrame) -> list[str]:
    """The commands that measure the missing cells."""
    found = [getattr(cell, "command", "") for cell in frame.to_numpy().flat]
    return list(dict.fromkeys(filter(None, found)))


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
