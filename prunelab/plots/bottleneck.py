"""Units removed by noise: their noise ratios, and how many are left."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import (
    INK,
    MARKERS,
    colours_of,
    grid,
    heading,
    legend,
    not_measured,
    styled,
)
from prunelab.plots.frontiers import STAR
from prunelab.plots.weights import log_axis, plain

COLUMNS, OVERLAP = 4, 1.5  # panels in a row; height of a histogram, distances of two
LOG_BELOW = 25.0  # percent: with fewer units left, small shares need a log axis
KEPT, REMOVED = "#08519c", "#a63603"  # of words, dark ends of the two ramps


@styled({"axes.grid.axis": "x"})
def log_ratios(points: pd.DataFrame, edges: Sequence[float], title: str = "") -> Figure:
    """How the units' noise ratios spread during training, and split into two clusters.

    One panel per place, one histogram per epoch, from top to bottom and from light to dark. Each
    is scaled to its largest bin, since all hold the same units.

    Args:
        points: of one run: columns place, epoch, counts (units between the edges, a list).
        edges: of the bins, of log(sigma^2 / mu^2), rising, with the threshold 0 among them. Units
            beyond them are counted in the first and the last bin.
        title: says which network.

    Raises:
        ValueError: 0 is no edge, or the counts do not fit the edges.
    """
    edges = given.image("log_ratios", "edges", [edges], float)[0]
    if not given.to_draw("log_ratios", points, "place counts epoch#", title):
        return not_measured(title)
    fit = 0 in edges and {len(counts) for counts in points.counts} == {len(edges) - 1}
    allowed = "0, the threshold, among the ends of all `counts`"
    checks.need(fit, "log_ratios", "edges", allowed, edges.tolist())
    places, moments = list(dict.fromkeys(points.place)), sorted(points.epoch.unique())
    fig, axes = grid(len(places), COLUMNS, (8.4, 0.7), (0, 0.9 + 0.3 * len(moments)))
    for ax, place in zip(axes.flat, places):
        part = points[points.place == place].set_index("epoch").counts
        for row, moment in enumerate(moments):
            if moment in part:
                _ridge(ax, np.asarray(part[moment], float), edges, row, len(moments))
        _sides(ax, place)
    ax.set(xlim=edges[[0, -1]], ylim=(len(moments) - 0.7, -OVERLAP - 0.55))
    ax.set_yticks(range(len(moments)), [plain(moment) for moment in moments])
    for ax in axes[:, 0]:
        ax.set_ylabel("epoch of training")
    ends = any(counts[0] or counts[-1] for counts in points.counts)
    beyond = "; the outermost bins also hold all beyond them" if ends else ""
    fig.supxlabel(f"log (σ² / μ²) of the units{beyond}", size=11)
    heading(fig, title)
    return fig


@styled()
def widths(
    points: pd.DataFrame,
    title: str = "",
    printed: pd.DataFrame | None = None,
    curve: pd.DataFrame | None = None,
) -> Figure:
    """Units left in each place during training, in percent of all units of the place.

    Args:
        points: columns place, epoch, units, size (all units of the place), seed: a thin line each,
            and a thick one through their means.
        title: says which network.
        printed: columns place, units: the authors' last widths, a hollow star each at our end.
        curve: columns epoch, left (fraction): the authors' curve of all units together; ours is
            drawn beside it.
    """
    printed = given.printed("widths", "printed", printed, "place units#")
    curve = given.printed("widths", "curve", curve, "epoch# left#")
    if not given.to_draw("widths", points, "place epoch# units# size# seed", title):
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(8.4, 4.4))
    for (place, colour), marker in zip(colours_of(points.place).items(), MARKERS * 9):
        _course(ax, points[points.place == place], place, color=colour, marker=marker)
    if not curve.empty:
        every = points.groupby(["seed", "epoch"])[["units", "size"]].sum().reset_index()
        _course(ax, every, "all", color=INK)
        ax.plot(curve.epoch, 100 * curve.left, "--", color=INK, label="all, printed curve")
    if not printed.empty:
        _last_widths(ax, points, printed)
    shares = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines])
    if np.nanmin(shares) < LOG_BELOW:
        log_axis(ax, "y", shares, "%")
        ax.set(ylabel="units left")
    else:
        ax.set(ylim=(0, 105), ylabel="units left (%)")
    ax.set(xlabel="epochs of training", xlim=(0, None), title=title)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax, "units of")
    return fig


def _ridge(ax: Axes, counts: np.ndarray, edges: np.ndarray, row: int, rows: int) -> None:
    """One histogram on its line, in two colours; later ones are darker."""
    top = row - OVERLAP * counts / max(counts.max(), 1)
    shade = 0.3 + 0.6 * row / max(rows - 1, 1)
    for cmap, side in (("Blues", edges[:-1] < 0), ("Oranges", edges[:-1] >= 0)):
        values, ends = top[side], np.append(edges[:-1][side], edges[1:][side][-1:])
        if len(values):
            ax.stairs(values, ends, baseline=row, fill=True, color=mpl.colormaps[cmap](shade),
                      zorder=2 + row)  # fmt: skip
    ax.stairs(top, edges, baseline=row, color="white", lw=0.7, zorder=2 + row)


def _sides(ax: Axes, place: str) -> None:
    """The threshold, and what it means, in words above the first histogram."""
    ax.axvline(0, color=INK, lw=1.2, ls="--", zorder=30)
    for text, align, gap, colour in (("kept ", "right", -3, KEPT), ("removed", "left", 3, REMOVED)):
        ax.annotate(text, (0, 1), (gap, -2), xycoords=("data", "axes fraction"), va="top",
                    textcoords="offset points", ha=align, size=9, color=colour)  # fmt: skip
    ax.set_title(place, size=11)


def _course(ax: Axes, part: pd.DataFrame, name: str, **look: object) -> None:
    """Share of units left over epochs: the mean of the seeds, and a thin line for each seed."""
    size, seeds = part["size"].iloc[0], [one for _, one in part.groupby("seed")]
    for one in seeds if len(seeds) > 1 else ():
        ax.plot(one.epoch, 100 * one.units / size, color=look["color"], lw=0.8, alpha=0.55)
    mean = 100 * part.groupby("epoch").units.mean() / size
    last = {one.units[one.epoch == one.epoch.max()].iloc[0] for one in seeds}
    span = "–".join(plain(n) for n in sorted({min(last), max(last)}))
    ax.plot(mean.index, mean, label=f"{name}: {plain(size)} → {span}",
            markevery=max(1, len(mean) // 8), **look)  # fmt: skip


def _last_widths(ax: Axes, points: pd.DataFrame, printed: pd.DataFrame) -> None:
    """The authors' units left, at the end of our curves."""
    size, colours = points.groupby("place")["size"].first(), colours_of(points.place)
    shown = printed[printed.place.isin(size.index)]
    for row in shown.itertuples():
        ax.plot(points.epoch.max(), 100 * row.units / size[row.place], label="_", zorder=4, ms=13,
                **STAR | {"mec": colours[row.place]})  # fmt: skip
    if not shown.empty:
        ax.plot([], [], ms=12, label="printed, last widths", **STAR)
