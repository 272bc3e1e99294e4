"""One recorded scan: pick a layer and a ratio, read the accuracy."""

from __future__ import annotations

import ipywidgets as w
import pandas as pd

from prunelab import plots
from prunelab.plots.given import to_draw
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png


def recorded_scan(points: pd.DataFrame) -> Pictured:
    """Pick a layer and a ratio; see the recorded accuracy of the physically shrunk network.

    Args:
        points: rows of a scan: group, ratio, kept, accuracy, whole, params, macs, low, high.

    Returns:
        A box whose `layer`, `ratio`, `text` and `picture` are its parts.

    Raises:
        ValueError: `points` is empty.
    """
    columns = "group ratio# kept# accuracy# low# high# whole# params# macs#"
    if not to_draw("recorded_scan", points, columns):
        raise ValueError("recorded_scan: `points` is empty; measure a scan first")
    layer = w.Dropdown(options=list(dict.fromkeys(points.group)), description="layer")
    ratios = sorted(points.ratio.unique())
    ratio = w.SelectionSlider(
        options=[(f"{100 * r:.0f}%", r) for r in ratios],
        value=ratios[len(ratios) // 2],
        description="remove",
    )

    def draw() -> tuple[str, bytes]:
        row = points[(points.group == layer.value) & (points.ratio == ratio.value)].iloc[0]
        picture = png(plots.one_layer(points, layer.value, ratio.value))
        return words.say("scanned", row.to_dict()), picture

    text, picture = linked([layer, ratio], draw)
    box = Pictured([w.HBox([layer, ratio]), text, picture])
    box.layer, box.ratio, box.text, box.picture = layer, ratio, text, picture
    return box
