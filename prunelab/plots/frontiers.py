"""Test error against what is left of a network: of our runs and of those in print."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import GREY, INK, MARKERS, legend, not_measured, styled
from prunelab.plots.weights import log_axis

MORE = ("#882255", "#999933", "#332288")  # after the style's seven; of Paul Tol's muted scheme
STAR = {"marker": "*", "mfc": "none", "mec": INK, "mew": 1.4, "ls": ""}
MARKS = MARKERS.translate(dict.fromkeys(map(ord, "*h")))  # print's, and almost a circle
SIZES = {
    "weights_pct": "weights left",
    "activations_pct": "activations left",
    "macs_pct": "MACs left",
    "kept_pct": "parameters left",
    "bytes_pct": "bytes on disk",
    "seconds_pct": "latency",
}


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
    means = _runs_and_stars(ax, points, printed, "compression")
    log_axis(ax, "x", pd.concat([points, printed]).compression, "×")
    ax.set(xlabel="compression (weights before / weights after)", ylabel="test error (%)")
    ax.set_title(title)
    ax.margins(y=0.12)
    if len(means):
        first = means[means.method == means.method.iloc[0]]
        known = [reference or 0, *printed.get("error", []), *first.error]
        _far_above(ax, means, 100 * max(known))
    legend(ax, "method")
    return fig


@styled()
def size_frontier(
    points: pd.DataFrame,
    printed: pd.DataFrame | None = None,
    x: str = "weights_pct",
    title: str = "",
    order: Sequence[str] = (),
    log_error: bool = False,
) -> Figure:
    """Test error against what is left of the network: a dot per run, a line through the means.

    Args:
        points: columns method, setting, seed, error (fraction), and the one that `x` names
            (percent of the whole network).
        printed: columns method, error, and the same: a hollow star each, where `x` is known.
        x: "weights_pct", "activations_pct", "macs_pct", "kept_pct", "bytes_pct" or "seconds_pct".
        title: says which network.
        order: methods in the order of colours and marks, for figures that stand side by side.
        log_error: draw errors on a log axis, where some are many times larger than others.

    Raises:
        ValueError: an unknown `x`.
    """
    checks.word("size_frontier", "x", x, tuple(SIZES))
    checks.switch("size_frontier", "log_error", log_error)
    columns = f"method error# {x}#"
    printed = given.printed("size_frontier", "printed", printed, columns)
    printed = printed if printed.empty else printed.dropna(subset=[x])
    known = isinstance(order, list | tuple) and all(isinstance(name, str) for name in order)
    checks.need(known, "size_frontier", "order", "names of methods", order)
    full = given.to_draw("size_frontier", points, f"{columns} setting seed", title)
    if not full and printed.empty:
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(8.4, 4.8))
    _runs_and_stars(ax, points, printed, x, order)
    every = pd.concat([points, printed])
    log_axis(ax, "x", every[x], "%")
    ax.set(xlabel=f"{SIZES[x]} (% of the whole network)", ylabel="test error (%)", title=title)
    ax.margins(y=0.12)
    if log_error:
        log_axis(ax, "y", 100 * every.error, "%")
        ax.set(ylabel="test error")
    legend(ax, "method")
    return fig


def _runs_and_stars(
    ax: Axes, points: pd.DataFrame, printed: pd.DataFrame, x: str, order: Sequence[str] = ()
) -> pd.DataFrame:
    """A dot per run, a line through the means of each setting, a hollow star per printed value.

    Returns:
        The means, by size: method, colour, error, and `x`.
    """
    ours, theirs = (dict.fromkeys(t.get("method", [])) for t in (points, printed))
    cycle = [*mpl.rcParams["axes.prop_cycle"].by_key()["color"], *MORE]
    colours = dict(zip(dict.fromkeys([*order, *ours, *theirs]), cycle * 9))
    marks = dict(zip(colours, MARKS * 9))
    if ours:
        ax.plot([], [], "o", color=GREY, alpha=0.55, ms=5, mew=0, label="one seed")
    means = []
    for name in ours:
        part, look = points[points.method == name], {"color": colours[name], "marker": marks[name]}
        ax.plot(part[x], 100 * part.error, ls="", alpha=0.55, ms=5, mew=0, label="_", **look)
        mean = part.groupby("setting")[[x, "error"]].mean().sort_values(x)
        ax.plot(mean[x], 100 * mean.error, ms=7, mec="white", mew=0.8, label=name, **look)
        means.append(mean.assign(method=name, colour=colours[name]))
    for row in printed.to_dict("records"):
        name = row["method"]
        ax.plot(row[x], 100 * row["error"], ms=14, zorder=4, **STAR | {"mec": colours[name]},
                label="_" if name in ours else f"{name}, printed")  # fmt: skip
    if any(name in ours for name in theirs):
        ax.plot([], [], ms=12, label="printed", **STAR)
    return pd.concat(means) if means else pd.DataFrame()


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
