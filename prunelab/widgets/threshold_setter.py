"""Set c layer by layer, and see what the first cut of dynamic network surgery would keep."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import ipywidgets as w
import numpy as np
import torch
from torch import nn

from prunelab import checks, plots, scores
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png

LOWEST, HIGHEST, STEP = -1.0, 8.0, 0.1  # of a slider
RED = "#b00020"


class SortedWeights:
    """Absolute weights and biases of one layer, sorted once, so that a cut is a binary search."""

    def __init__(self, name: str, module: nn.Module, margins: tuple[float, float]):
        size = scores.magnitudes(module)
        if not torch.isfinite(size).all():
            raise ValueError(f"threshold_setter: `{name}` holds values that are not finite")
        self.margins = margins
        self.mean, self.deviation = scores.moments(size)
        self.size = np.sort(size.cpu().numpy())

    def thresholds(self, c: float) -> tuple[np.float32, np.float32]:
        """A and b: margins times max(mu + c sigma, 0), rounded as the method rounds them."""
        at = np.float32(max(self.mean + c * self.deviation, 0.0))
        return np.float32(self.margins[0]) * at, np.float32(self.margins[1]) * at

    def kept(self, c: float) -> int:
        """Weights and biases above a."""
        return len(self.size) - int(np.searchsorted(self.size, self.thresholds(c)[0], "right"))


def threshold_setter(
    net: nn.Module,
    c: float | Mapping[str, float] = 1.0,
    *,
    margins: tuple[float, float] = (0.9, 1.1),
) -> Pictured:
    """One slider per layer for c: see thresholds and kept weights before any training.

    Args:
        net: a network, which is only read, once.
        c: at the start; one number, or by layer name, and then only these layers are shown.
        margins: a and b as multiples of the threshold, as in `NetworkSurgery`.

    Returns:
        A box whose `sliders` (by layer), `text`, `code` and `picture` are its parts; `kept` gives
        layer -> weights and biases left.

    Raises:
        ValueError: `net` has no convolution or linear layer, `c` names none of them or lies outside
            the slider, or weights are not finite.

    Source: DNS, section 3 and equation (3).
    """
    checks.kind("threshold_setter", "net", net, nn.Module, "a network")
    pair = isinstance(margins, list | tuple) and len(margins) == 2
    ordered = pair and all(map(checks.is_number, margins)) and 0 < margins[0] <= margins[1]
    checks.need(ordered, "threshold_setter", "margins", "two numbers, 0 < a <= b", margins)
    found = scores.layers_of(net)
    start = dict(c) if isinstance(c, Mapping) else dict.fromkeys(found, c)
    _check(found, start)
    layers = {n: SortedWeights(n, module, margins) for n, module in found.items() if n in start}
    sliders = {name: _slider(name, start[name]) for name in layers}
    code = w.Textarea(rows=3, layout={"width": "auto"})
    box = Pictured()

    def draw() -> tuple[str, bytes]:
        rates = {name: round(slider.value, 4) for name, slider in sliders.items()}
        box.kept = {name: layer.kept(rates[name]) for name, layer in layers.items()}
        at = {name: layer.thresholds(rates[name]) for name, layer in layers.items()}
        sizes = {name: layer.size for name, layer in layers.items()}
        code.value = _code(rates)
        left, whole = sum(box.kept.values()), sum(map(len, sizes.values()))
        compression = f"{whole / left:.1f}×" if left else "nothing left"
        title = f"The first cut keeps {left:,} of {whole:,} weights and biases: {compression}"
        last = ["all", "", "", "", f"{left:,}", f"{100 * left / whole:.2f}%", compression]
        picture = png(plots.magnitudes(sizes, at, title))
        return _table(sizes, rates, at, box.kept, last), picture

    text, picture = linked(list(sliders.values()), draw)
    box.children = [w.HBox([w.VBox(list(sliders.values())), text]), picture, code]
    box.sliders, box.text, box.code, box.picture = sliders, text, code, picture
    return box


def _check(found: Mapping, start: Mapping[str, float]) -> None:
    if not found:
        raise ValueError("threshold_setter: `net` has no convolution or linear layer")
    if not start:
        raise ValueError("threshold_setter: `c` must name one layer at least; got {}")
    for name, value in start.items():
        if name not in found:
            raise ValueError(
                f"threshold_setter: `c` names {name!r}, which is no convolution or linear layer of"
                f" `net`; they are {', '.join(found)}"
            )
        if not checks.is_number(value) or not LOWEST <= value <= HIGHEST:
            raise ValueError(
                f"threshold_setter: `c` must lie in {LOWEST:g} to {HIGHEST:g}, got"
                f" {checks.shown(value)} for `{name}`"
            )


def _slider(name: str, value: float) -> w.FloatSlider:
    return w.FloatSlider(
        value=value, min=LOWEST, max=HIGHEST, step=STEP, readout_format=".1f",
        description=f"c of {name}", style={"description_width": "110px"},
        layout={"width": "360px"}, tooltip=f"threshold of {name}: mu + c sigma",
    )  # fmt: skip


def _table(
    sizes: Mapping[str, np.ndarray], rates: Mapping, at: Mapping, kept: Mapping, last: list[str]
) -> str:
    """A line for each layer, red if it is emptied, and the last one for all."""
    rows = []
    for name, size in sizes.items():
        thresholds = [f"{value:.4f}" for value in at[name]]
        share = f"{100 * kept[name] / len(size):.2f}%"
        remark = "" if kept[name] else "emptied"
        rows.append([name, f"{rates[name]:g}", *thresholds, f"{kept[name]:,}", share, remark])
    head = ["layer", "c", "a", "b", "kept", "% kept", "compression"]
    colours = ["" if kept[name] else RED for name in sizes]
    return words.say("table", head, [*rows, last], [*colours, ""], words_last=True)


def _code(rates: Mapping[str, float]) -> str:
    entries = ", ".join(f'"{name}": {rate:g}' for name, rate in rates.items())
    line = f"NetworkSurgery(c={{{entries}}}, budget=budget, stop=stop)"
    return "\n".join(textwrap.wrap(line, 92, break_long_words=False, subsequent_indent="    "))
