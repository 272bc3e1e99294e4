"""The network map to click on; drawn by `prunelab.plots.network_map`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import traitlets as t

from prunelab.plots.network_flow import LAYERS, MEETINGS
from prunelab.plots.network_layout import WIDTH
from prunelab.plots.network_look import colours, ink, kept, pale, shade
from prunelab.plots.network_map import network_svg


class NetworkMap(anywidget.AnyWidget):
    """A network as boxes to click on; the selected groups are marked wherever they appear.

    A click on a box selects its group; with Shift or Ctrl it adds or removes it; a click beside
    the boxes clears the selection. Enter does what a click does.

    Attributes:
        selected: names of the groups selected.
        ratios: group -> fraction removed, in [0, 1).
        kept: row name -> (channels that stay, all): how far its box is filled. It follows `ratios`.
        boxes: row name -> what the browser needs to mark and describe it.
        svg: the drawing.

    Args:
        rows: what `prunelab.groups.diagram` gives.
        width: of the picture in pixels; a longer network continues on further lines.

    Raises:
        ValueError: `rows` is empty.
    """

    _esm = Path(__file__).with_name("network_map.js")
    _css = Path(__file__).with_name("network_map.css")
    svg = t.Unicode().tag(sync=True)
    boxes = t.Dict().tag(sync=True)
    kept = t.Dict().tag(sync=True)
    selected = t.List(t.Unicode()).tag(sync=True)
    ratios = t.Dict(value_trait=t.Float(), key_trait=t.Unicode())

    def __init__(self, rows: Sequence[Mapping], *, width: float = WIDTH) -> None:
        self._rows, palette = rows, colours(rows)
        super().__init__(
            svg=network_svg(rows, width),
            boxes={row["name"]: _box(row, shade(row, palette)) for row in rows},
            kept={row["name"]: kept(row, {}) for row in rows},
        )

    @t.observe("ratios")
    def _refill(self, change: Mapping) -> None:
        self.kept = {row["name"]: kept(row, change["new"]) for row in self._rows}


def _box(row: Mapping, colour: str) -> dict:
    """What the browser needs of one row."""
    named = f"{row['name']} ({row['kind']})" if row["kind"] in LAYERS else row["name"]
    groups = [f"group {name}: {n} channels" for name, n in row["channels"].items()]
    return {
        "group": row["writes"],
        "channels": list(row["channels"]),
        "reads": list(row["reads"]),
        "fixed": row["fixed"],
        "lines": [named, *groups, f"out: {' × '.join(map(str, row['out']))}"],
        "layer": row["kind"] not in MEETINGS,
        "colours": [colour, pale(colour)],
        "inks": [ink(colour), ink(pale(colour))],
    }
