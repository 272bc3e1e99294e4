"""Single weights pruned and spliced: when and how many."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import BLUE, GREY, ORANGE, colours_of, legend, not_measured, styled
from prunelab.plots.weights import log_axis, plain

BINS = 80  # stretches of steps that `events` averages over


@styled()
def events(points: pd.DataFrame, title: str = "", stop: int | None = None) -> Figure:
    """What splicing does while a network trains: weights kept, and weights pruned and spliced.

    Args:
        points: columns step, layer, kept, pruned, spliced; the events are those since the layer's
            row before. With a column size (weights of the layer), kept is drawn in percent of it.
        title: says which network.
        stop: step from which on the masks are frozen.
    """
    if stop is not None:
        checks.count("events", "stop", stop, 0)
    if not given.to_draw("events", points, "step# layer kept# pruned# spliced#", title):
        return not_measured(title)
    share = "size" in points
    fig, (top, low) = plt.subplots(2, 1, figsize=(8.4, 5.6), sharex=True)
    names = colours_of(points.layer)
    for name, colour in names.items():
        part = points[points.layer == name].sort_values("step")
        kept = 100 * part.kept / part["size"] if share else part.kept
        top.plot(part.step, kept, color=colour, label=name)
    rates = {name: _rate(points, name) for name in ("pruned", "spliced")}
    for name, colour, style in (("pruned", ORANGE, "-"), ("spliced", BLUE, "--")):
        low.plot(*rates[name], style, color=colour, label=name, marker=".", ms=4)
    first = points[points.step == 0].pruned.sum()
    if first:
        low.plot(0, first, "o", color=ORANGE, label=f"first cut: {first:,}", clip_on=False)
    if stop is not None:
        for ax in (top, low):
            ax.axvline(stop, color=GREY, lw=1.2, ls=":", label="masks frozen")
    log_axis(top, "y", np.concatenate([line.get_ydata() for line in top.lines[: len(names)]]))
    log_axis(low, "y", np.concatenate([[first], rates["pruned"][1], rates["spliced"][1]]))
    top.set(ylabel="weights kept (% of the layer)" if share else "weights kept", title=title)
    low.set(ylabel="weights per step", xlabel="steps of training")
    low.set_xlim(0, max(points.step.max(), stop or 0, 1))
    low.xaxis.set_major_formatter(FuncFormatter(plain))
    legend(top, "layer")
    legend(low, "all layers")
    return fig


def _rate(points: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Midpoint of each stretch of steps, and its events per step; nan where there are none."""
    totals = points.groupby("step")[name].sum().sort_index()
    step, count = totals.index.to_numpy(float), totals.to_numpy(float)
    step, count = step[step > 0], np.cumsum(count[step > 0])
    last = -(-len(step) // BINS) * np.arange(1, BINS + 1) - 1  # row that ends each stretch
    last = np.unique(last.clip(max=len(step) - 1)) if len(step) else np.array([], int)
    ends, sums = np.r_[0, step[last]], np.r_[0, count[last]]
    rate = np.diff(sums) / np.diff(ends)
    return (ends[1:] + ends[:-1]) / 2, np.where(rate > 0, rate, np.nan)
