"""Test error against what is left: a dot per run, a line through the means, a star per print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import GREY, MARKERS, legend, not_measured, styled
from prunelab.plots.names import INK, Name, label
from prunelab.plots.weights import log_axis

WINE = "#882255"  # dark, and told from the style's seven colours by the colour-blind too
STAR = {"marker": "*", "mfc": "none", "mec": INK, "mew": 1.4, "ls": ""}
MARKS = MARKERS.translate(dict.fromkeys(map(ord, "*Dh")))  # print's, the mean's, almost a circle
SIZES = {"weights_pct": "weights left", "activations_pct": "activations left"}


@styled()
def frontier(
    points: pd.DataFrame,
    printed: pd.DataFrame | None = None,
    reference: float | None = None,
    title: str = "",
) -> Figure:
    """Test error against compression: a dot per run, a line through the means of the seeds.

    Args:
        points: columns method, setting, seed, compression (weights before / after), error
            (fraction).
        printed: columns method, compression, error (fraction): a hollow star each.
        reference: error of the unpruned network; the band ends 0.1 points above it.
        title: says which network.
    """
    columns = "method compression# error#"
    given.numbers("frontier", reference=reference)
    printed = given.printed("frontier", "printed", printed, columns)
    if not given.to_draw("frontier", points, f"{columns} setting seed", title) and printed.empty:
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(8.4, 4.4))
    if reference is not None:
        ax.axhline(100 * reference, color=GREY, lw=1.4, ls="--", label="unpruned")
        ax.axhspan(100 * reference, 100 * reference + 0.1, color=GREY, alpha=0.2, lw=0,
                   label="up to 0.1 points worse")  # fmt: skip
    looks = _looks(points, MARKERS)
    means = _runs(ax, points, "compression", looks, [*looks])
    names = _stars(ax, printed, "compression")
    log_axis(ax, "x", pd.concat([points, printed]).compression, "×")
    ax.set(xlabel="compression (weights before / weights after)", ylabel="test error (%)")
    ax.set_title(title)
    ax.margins(y=0.12)
    if means:
        first = means[next(iter(means))]
        known = [reference or 0, *printed.get("error", []), *first.error]
        _far_above(ax, means, looks, 100 * max(known))
    legend(ax, "method")
    label(fig, ax, names)
    return fig


@styled()
def size_frontier(
    points: pd.DataFrame,
    printed: pd.DataFrame | None = None,
    x: str = "weights_pct",
    title: str = "",
    order: Sequence[str] = (),
) -> Figure:
    """Test error against what is left of the network: one dot per run.

    A method with several settings is a line through their means; any other is one named mark.

    Args:
        points: columns method, setting, seed, error (fraction), and weights_pct or activations_pct
            (percent of the whole network).
        printed: columns method, error, and the same: a hollow star each, where `x` is known.
        x: "weights_pct" or "activations_pct".
        title: says which network.
        order: methods in the order of colours and marks, for figures that stand side by side.

    Raises:
        ValueError: an unknown `x`.
    """
    checks.word("size_frontier", "x", x, tuple(SIZES))
    columns = f"method error# {x}#"
    printed = given.printed("size_frontier", "printed", printed, columns)
    printed = printed if printed.empty else printed.dropna(subset=[x])
    known = isinstance(order, list | tuple) and all(isinstance(name, str) for name in order)
    checks.need(known, "size_frontier", "order", "names of methods", order)
    full = given.to_draw("size_frontier", points, f"{columns} setting seed", title)
    if not full and printed.empty:
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(8.4, 4.8))
    looks = _looks(points, MARKS, order)
    settings = points.groupby("method").setting.nunique() if full else {}
    means = _runs(ax, points, x, looks, [name for name in looks if settings.get(name, 0) > 1])
    names = [
        Name(name, mean[x].iloc[0], 100 * mean.error.iloc[0], _dark(looks[name][1]), "bold")
        for name, mean in means.items()
        if settings[name] == 1
    ]
    if names:
        ax.plot([], [], "D", color=GREY, ms=7, mec="white", label="mean of the seeds")
    names += _stars(ax, printed, x)
    log_axis(ax, "x", pd.concat([points, printed])[x], "%")
    ax.set(xlabel=f"{SIZES[x]} (% of the whole network)", ylabel="test error (%)", title=title)
    ax.margins(y=0.12)
    legend(ax, "")
    label(fig, ax, names)
    return fig


def _looks(
    points: pd.DataFrame, markers: str, order: Sequence[str] = ()
) -> dict[str, tuple[str, str]]:
    """Method -> mark and colour; the first eight differ."""
    methods = dict.fromkeys([*order, *points.get("method", [])])
    colours = [*mpl.rcParams["axes.prop_cycle"].by_key()["color"], WINE]
    return dict(zip(methods, zip(markers * 9, colours * 9)))


def _runs(
    ax: Axes,
    points: pd.DataFrame,
    x: str,
    looks: Mapping[str, tuple[str, str]],
    told: Sequence[str],
) -> dict[str, pd.DataFrame]:
    """A dot per run, and a line through the means over the seeds of each setting, by size.

    Returns:
        Method -> these means. Those of `told` are named in the legend.
    """
    means = {}
    if not points.empty:
        ax.plot([], [], "o", color=GREY, alpha=0.55, ms=5, mew=0, label="one seed")
    for name in dict.fromkeys(points.get("method", [])):
        part, (marker, colour) = points[points.method == name], looks[name]
        ax.plot(part[x], 100 * part.error, marker, color=colour, alpha=0.55, ms=5, mew=0)
        mean = part.groupby("setting")[[x, "error"]].mean().sort_values(x)
        ax.plot(mean[x], 100 * mean.error, color=colour, marker=marker, ms=7, mec="white", mew=0.8,
                label=name if name in told else "_")  # fmt: skip
        means[name] = mean
    return means


def _stars(ax: Axes, printed: pd.DataFrame, x: str) -> list[Name]:
    """A hollow star for each printed value and one entry of the legend; gives their names."""
    names = [Name(row["method"], row[x], 100 * row["error"]) for row in printed.to_dict("records")]
    for name in names:
        ax.plot(name.x, name.y, ms=14, label="_", zorder=4, **STAR)
    if names:
        ax.plot([], [], ms=12, label="printed in a paper", **STAR)
    return names


def _far_above(
    ax: Axes,
    means: Mapping[str, pd.DataFrame],
    looks: Mapping[str, tuple[str, str]],
    error: float,
) -> None:
    """Leave out and name the means above twice `error`, which would flatten the rest."""
    every = pd.concat([mean.assign(method=name) for name, mean in means.items()])
    far = every[100 * every.error > 2 * error]
    if far.empty:
        return
    top, low = 1.5 * error, 100 * every.error.min()
    ax.set_ylim(low - 0.25 * (top - low), top)
    for row in far.itertuples():
        colour = looks[row.method][1]
        ax.annotate(
            f"{row.method}: {100 * row.error:.1f}%", (row.compression, top), (-12, -26),
            textcoords="offset points", ha="right", color=colour, weight="bold",
            arrowprops={"arrowstyle": "->", "color": colour},
        )  # fmt: skip


def _dark(colour: str) -> str:
    """A darker shade, readable as text."""
    return to_hex(0.75 * np.array(to_rgb(colour)))
