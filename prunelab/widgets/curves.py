"""The curves of a scan, with points that can be dragged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anywidget
import pandas as pd
import traitlets as t

HIGHEST = 0.95  # ratio that a drag reaches
PATIENCE = 3000  # milliseconds


class Curves(anywidget.AnyWidget):
    """Accuracy against the share of channels removed, one group alone; a point on a curve moves it.

    A click on a curve selects its group, with Shift or Ctrl it adds it. The point of a selected
    group is dragged, or moved by the arrow keys, a percent a step.

    Attributes:
        curves: name, colour and points (ratio, accuracy, low, high) of each group.
        whole: accuracy of the whole network.
        ratios: group -> fraction removed now.
        selected: names of the groups in colour.
        moved: group and ratio of the latest move, and its direction if a key made it (1, -1, 0).
        highest: the largest ratio that a move reaches.
        patience: milliseconds that a moved point stays in its place while Python has not followed.
    """

    _esm = Path(__file__).with_name("curves.js")
    _css = Path(__file__).with_name("curves.css")
    curves = t.List().tag(sync=True)
    whole = t.Float().tag(sync=True)
    ratios = t.Dict(value_trait=t.Float(), key_trait=t.Unicode()).tag(sync=True)
    selected = t.List(t.Unicode()).tag(sync=True)
    moved = t.Dict().tag(sync=True)
    highest = t.Float(HIGHEST).tag(sync=True)
    patience = t.Int(PATIENCE).tag(sync=True)

    def show(self, scan: pd.DataFrame, colours: Mapping[str, str]) -> None:
        """Draw these curves, as `sensitivity.scan` gives them."""
        with self.hold_sync():
            self.whole = float(scan.attrs["whole"]["accuracy"])
            self.curves = drawn(scan, colours)


def drawn(scan: pd.DataFrame, colours: Mapping[str, str]) -> list[dict]:
    """Name, colour and points (ratio, accuracy, low, high; None = no interval) of each group."""
    whole = float(scan.attrs["whole"]["accuracy"])
    found = []
    for name, part in scan[scan.ratio > 0].groupby("group", sort=False):
        points = [[0.0, whole, whole, whole]]
        for row in part.sort_values("ratio").itertuples():
            points.append([row.ratio, row.accuracy, whole + row.low, whole + row.high])
        found.append({"name": name, "colour": colours[name], "points": points})
    return found
