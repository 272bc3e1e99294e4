"""The channels of one group as tiles: filter, map, scores; a click removes or keeps one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets as t


class Channels(anywidget.AnyWidget):
    """A tile for each channel; those removed are marked.

    Attributes:
        size: number of channels.
        filters, maps: a strip of pictures, see `strip`.
        scores: criterion -> share of the channels that each channel is above.
        colours: criterion -> colour of its bar.
        notes, details: a word or two in each tile, and lines that appear over it.
        removed: positions of the channels that go; a click changes it.
        fixed: a click changes nothing.
    """

    _esm = Path(__file__).with_name("channels.js")
    _css = Path(__file__).with_name("channels.css")
    size = t.Int().tag(sync=True)
    filters = t.Dict().tag(sync=True)
    maps = t.Dict().tag(sync=True)
    scores = t.Dict().tag(sync=True)
    colours = t.Dict().tag(sync=True)
    notes = t.List(t.Unicode()).tag(sync=True)
    details = t.List(t.Unicode()).tag(sync=True)
    removed = t.List(t.Int()).tag(sync=True)
    fixed = t.Bool(False).tag(sync=True)


def strip(pictures: np.ndarray) -> dict[str, Any]:
    """(channels, 1 or 3, h, w) values in [0, 1] as bytes."""
    _, colours, h, w = pictures.shape
    data = np.round(255 * pictures.clip(0, 1)).astype(np.uint8).tobytes()
    return {"h": h, "w": w, "colours": colours, "data": data}
