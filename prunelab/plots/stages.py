"""Layers decided one after the other: the noise of each while its stage runs, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import BLUE, GREY, INK, MARKERS, ORANGE, heading, not_measured, styled

KEPT, REMOVED = "#08519c", "#a63603"
PHASES = ("waiting", "noisy", "decided")
PLACE = ("size", "left", "phase", "means", "counts")


@styled({"axes.grid.axis": "y"})
def means(points: pd.DataFrame, threshold: float, title: str = "") -> Figure:
    """The mean of each channel's noise during training: a row per arm, a column per layer.

    Grey bands mark the epochs in which a layer's own stage runs.

    Args:
        points: columns arm, place, unit (from 1), epoch, mean, noisy (bool).
        threshold: below it a channel is removed.
        title: says which network.
    """
    given.numbers("means", threshold=threshold)
    if not given.to_draw("means", points, "arm place unit# epoch# mean# noisy", title):
        return not_measured(title)
    arms, places = (list(dict.fromkeys(points[name])) for name in ("arm", "place"))
    size = (8.4, 0.9 + 2.1 * len(arms))
    fig, axes = plt.subplots(
        len(arms), len(places), figsize=size, sharex=True, sharey=True, squeeze=False
    )
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    for row, arm in zip(axes, arms):
        for ax, place in zip(row, places):
            part = points[(points.arm == arm) & (points.place == place)]
            stage = part[part.noisy.astype(bool)].epoch
            if len(stage):
                ax.axvspan(stage.min(), stage.max(), color=GREY, alpha=0.18, lw=0)
            for unit, line in part.groupby("unit"):
                look = {"color": cycle[(unit - 1) % 7], "marker": MARKERS[(unit - 1) % 13]}
                ax.plot(line.epoch, line["mean"], label=f"channel {unit}", markevery=2, **look)
            ax.axhline(threshold, color=INK, lw=1.1, ls="--")
            ax.set_title(f"{place}, {arm}", size=11)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    most = max(axes[0], key=lambda ax: len(ax.lines))
    fig.legend(*most.get_legend_handles_labels(), loc="outside right center", title="broken: limit")
    fig.supxlabel("epochs of training", size=11)
    fig.supylabel("mean of the noise, μ", size=11)
    heading(fig, title)
    return fig


@styled({"axes.grid.axis": "y"})
def noise_step(
    places: Mapping[str, Mapping], threshold: float, edges: Sequence[float], title: str = ""
) -> Figure:
    """All layers at one moment: what has been decided, what is noisy, what waits.

    Args:
        places: layer -> size (channels), left (of them), phase ("waiting", "noisy", "decided"),
            means (mu of each channel, or None), counts (channels between `edges`, or None).
        threshold: of mu.
        edges: of the bins of log(sigma^2 / mu^2), rising, with the threshold 0 among them.
        title: says which network and moment.

    Raises:
        ValueError: `places` is empty, or a layer lacks an entry.
    """
    given.text("noise_step", title)
    given.numbers("noise_step", threshold=threshold)
    edges = given.image("noise_step", "edges", [edges], float)[0]
    shown = isinstance(places, Mapping) and bool(places)
    checks.need(shown, "noise_step", "places", "a mapping, layer -> its state", places)
    checks.rows("noise_step", "places", list(places.values()), PLACE)
    fig, axes = plt.subplots(1, len(places), figsize=(8.4, 3.0), squeeze=False)
    for ax, (name, place) in zip(axes[0], places.items()):
        checks.word("noise_step", "phase", place["phase"], PHASES)
        _state(ax, place, threshold, edges)
        ax.set_title(f"{name}: {place['phase']}\n{place['left']} of {place['size']} left", size=10)
    heading(fig, title)
    return fig


def _state(ax: Axes, place: Mapping, threshold: float, edges: np.ndarray) -> None:
    """Means as bars where they are known, else a histogram of noise ratios, else words."""
    if place["phase"] == "waiting":
        ax.text(0.5, 0.5, "no noise yet:\nθ = 1", ha="center", va="center", color=GREY,
                transform=ax.transAxes)  # fmt: skip
        ax.set(xticks=[], yticks=[])
    elif place["means"] is not None:
        values = np.asarray(place["means"], float)
        colours = [KEPT if value > threshold else REMOVED for value in values]
        ax.bar(range(1, len(values) + 1), values, color=colours, width=0.7)
        ax.axhline(threshold, color=INK, lw=1.1, ls="--")
        ax.set(xlabel="channel", ylabel="mean, μ", ylim=(min(0, values.min()), 1.5))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    elif place["counts"] is not None:
        counts = np.asarray(place["counts"], float)
        colours = np.where(edges[:-1] < 0, KEPT, REMOVED)
        ax.bar(edges[:-1], counts, np.diff(edges), align="edge", color=colours)
        ax.axvline(0, color=INK, lw=1.1, ls="--")
        ax.set(xlabel="log (σ² / μ²)", ylabel="channels", xlim=edges[[0, -1]])


@styled({"axes.grid.axis": "x"})
def differences(points: pd.DataFrame, title: str = "") -> Figure:
    """Differences between pairs of arms with their intervals; 0 means no difference.

    Args:
        points: columns measure, pair, mean, half (of the 95% interval; nan of one seed, which has
            none), seeds. One panel per measure, with its unit in the name; one line per pair.
        title: says which network.
    """
    columns = "measure pair mean# half# seeds#"
    if not given.to_draw("differences", points, columns, title):
        return not_measured(title)
    measures, pairs = (list(dict.fromkeys(points[name])) for name in ("measure", "pair"))
    size = (8.4, 1.4 + 0.42 * len(pairs))
    fig, axes = plt.subplots(1, len(measures), figsize=size, sharey=True, squeeze=False)
    for ax, measure in zip(axes[0], measures):
        part = points[points.measure == measure]
        for row in part.itertuples():
            colour = (BLUE if row.mean < 0 else ORANGE) if abs(row.mean) > row.half else GREY
            at, alone = pairs.index(row.pair), row.half != row.half
            if not alone:
                ax.errorbar(row.mean, at, xerr=row.half, capsize=4, color=colour)
            ax.plot(row.mean, at, "o", ms=7, mec=colour, mfc="white" if alone else colour)
        ax.axvline(0, color=INK, lw=1.1)
        ax.set_xlabel(measure)
        ax.margins(x=0.15, y=0.3)
    axes[0, 0].set_yticks(range(len(pairs)), pairs)
    axes[0, 0].invert_yaxis()
    heading(fig, title)
    return fig
