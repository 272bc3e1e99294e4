"""Single weights pruned and spliced: when, which ones, and what the error is then."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import (
    BLUE,
    GREY,
    MARKERS,
    ORANGE,
    colours_of,
    legend,
    not_measured,
    styled,
)
from prunelab.plots.marks import one_seed, palette, runs, stars
from prunelab.plots.names import INK, label
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


@styled()
def frontier(
    points: pd.DataFrame,
    printed: pd.DataFrame | None = None,
    reference: float | None = None,
    title: str = "",
) -> Figure:
    """Test error against compression: a dot per run, a line through the means of the seeds.

    Args:
        points: columns method, compression (weights before / after), error (fraction), seed. Runs
            of one setting are told by a column setting; without it, the runs of each seed are
            ordered by compression, and equal places belong together.
        printed: columns method, compression, error (fraction): a hollow star each.
        reference: error of the unpruned network; the band ends 0.1 points above it.
        title: says which network.
    """
    columns = "method compression# error#"
    given.numbers("frontier", reference=reference)
    printed = given.printed("frontier", "printed", printed, columns)
    if not given.to_draw("frontier", points, f"{columns} setting|seed#", title) and printed.empty:
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(8.4, 4.4))
    if reference is not None:
        ax.axhline(100 * reference, color=GREY, lw=1.4, ls="--", label="unpruned")
        ax.axhspan(100 * reference, 100 * reference + 0.1, color=GREY, alpha=0.2, lw=0,
                   label="up to 0.1 points worse")  # fmt: skip
    names = [] if points.empty else list(dict.fromkeys(points.method))
    if names:
        one_seed(ax)
    means = []
    for name, marker, colour in zip(names, MARKERS * 9, palette(len(names))):
        part = points[points.method == name]
        mean = runs(ax, part, "compression", name, marker, colour)
        means.append(mean.assign(method=name, colour=colour))
    found = stars(ax, printed, "compression")
    log_axis(ax, "x", pd.concat([points, printed]).compression, "×")
    ax.set(xlabel="compression (weights before / weights after)", ylabel="test error (%)")
    ax.set_title(title)
    ax.margins(y=0.12)
    if means:
        known = [reference or 0, *printed.get("error", []), *means[0].error]
        _far_above(ax, pd.concat(means), 100 * max(known))
    legend(ax, "method")
    label(fig, ax, found)
    return fig


def _far_above(ax: Axes, means: pd.DataFrame, error: float) -> None:
    """Leave out and name the means above twice `error`, which would flatten the rest."""
    far = means[100 * means.error > 2 * error]
    if far.empty:
        return
    top, low = 1.5 * error, 100 * means.error.min()
    ax.set_ylim(low - 0.25 * (top - low), top)
    for row in far.itertuples():
        ax.annotate(
            f"{row.method}: {100 * row.error:.1f}%", (row.compression, top), (-12, -26),
            textcoords="offset points", ha="right", color=row.colour, weight="bold",
            arrowprops={"arrowstyle": "->", "color": row.colour},
        )  # fmt: skip


@styled()
def survivors(points: pd.DataFrame, title: str = "", printed: pd.DataFrame | None = None) -> Figure:
    """How many of the kept weights were among the largest ones at the start, layer by layer.

    Args:
        points: columns layer, share (fraction), and maybe corr, the correlation of the kept weights
            with their first values. Several rows of a layer (seeds) are a dot each, and a bar is
            their mean.
        title: says which network.
        printed: columns layer, share: the authors' values, a hollow star each.
    """
    printed = given.printed("survivors", "printed", printed, "layer share#")
    if not given.to_draw("survivors", points, "layer share#", title):
        return not_measured(title)
    layers = list(dict.fromkeys(points.layer))
    fig, ax = plt.subplots(figsize=(8.4, 1.3 + 0.5 * len(layers)))
    place = {name: i for i, name in enumerate(layers)}
    mean = 100 * points.groupby("layer", sort=False).share.mean()
    several = points.layer.duplicated().any()
    ax.barh(range(len(layers)), mean[layers], 0.6, color=BLUE, alpha=0.75,
            label="mean of our seeds" if several else "ours")  # fmt: skip
    if several:
        ax.plot(100 * points.share, points.layer.map(place), "o", color=INK, label="one seed")
    if not printed.empty:
        shown = printed[printed.layer.isin(layers)]
        ax.plot(100 * shown.share, shown.layer.map(place), "*", ms=14, mfc="white", mec=ORANGE,
                mew=1.8, label="authors' model", zorder=4)  # fmt: skip
    names = layers
    if "corr" in points:
        corr = points.groupby("layer", sort=False)["corr"].mean()
        names = [f"{name}\ncorrelation {corr[name]:.2f}" for name in layers]
    ax.set_yticks(range(len(layers)), names)
    ax.set(ylim=(len(layers) - 0.5, -0.5), xlim=(0, 100), title=title)
    ax.set_xlabel("kept weights that were among the largest at the start (%)")
    ax.grid(False, axis="y")
    legend(ax, "")
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
