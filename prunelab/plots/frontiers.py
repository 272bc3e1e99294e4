"""Test error against what is left of a network: of our runs and of those in print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import GREY, INK, MARKERS, legend, not_measured, styled
from prunelab.plots.weights import log_axis

MORE = ("#882255", "#999933", "#332288")  # after the style's seven; of Paul Tol's muted scheme
STAR = {"marker": "*", "mfc": "none", "mec": INK, "mew": 1.4, "ls": ""}
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))  # of methods that share a colour
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
    bars: bool = False,
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
        bars: instead of dots, the 95% interval of each mean over its seeds.

    Raises:
        ValueError: an unknown `x`.
    """
    checks.word("size_frontier", "x", x, tuple(SIZES))
    checks.switch("size_frontier", "log_error", log_error)
    checks.switch("size_frontier", "bars", bars)
    columns = f"method error# {x}#"
    printed = given.printed("size_frontier", "printed", printed, columns)
    printed = printed if printed.empty else printed.dropna(subset=[x])
    _check_order("size_frontier", order)
    full = given.to_draw("size_frontier", points, f"{columns} setting seed", title)
    if not full and printed.empty:
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(8.4, 4.8))
    _runs_and_stars(ax, points, printed, x, order, bars)
    ax.set(title=title)
    _scales(ax, pd.concat([points, printed]), x, log_error)
    legend(ax, "method")
    return fig


@styled()
def size_frontiers(
    points: pd.DataFrame, title: str = "", order: Sequence[str] = (), log_error: bool = False
) -> Figure:
    """Test error against what is left, a panel for each scale; a bar is a 95% interval over seeds.

    Args:
        points: columns method, setting, seed, error (fraction), and of those that `size_frontier`
            knows at least one; a scale on which a method saves nothing is NaN.
        title: says which network.
        order: as `size_frontier`.
        log_error: as `size_frontier`.

    Raises:
        ValueError: there is no column for a scale.
    """
    checks.switch("size_frontiers", "log_error", log_error)
    _check_order("size_frontiers", order)
    if not given.to_draw("size_frontiers", points, "method error# setting seed", title):
        return not_measured(title)
    known = [x for x in SIZES if x in points and points[x].notna().any()]
    checks.need(bool(known), "size_frontiers", "points", f"with one of {', '.join(SIZES)}", None)
    order, rows = list(dict.fromkeys([*order, *points.method])), -(-len(known) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(8.4, 1.6 + 3.2 * rows), sharey=True, squeeze=False)
    for ax, x in zip(axes.flat, known):
        own = points.dropna(subset=[x])
        _runs_and_stars(ax, own, pd.DataFrame(), x, order, bars=True)
        _scales(ax, own, x, log_error)
        ax.set(xlabel=f"{SIZES[x]} (%)")
    for ax in axes[:, 1]:
        ax.set(ylabel="")
        ax.tick_params(labelleft=False)
    for ax in axes.flat[len(known) :]:
        ax.set_visible(False)
    drawn = {h.get_label(): h for ax in axes.flat for h in ax.get_legend_handles_labels()[0]}
    names = [name for name in order if name in drawn]
    heads = [drawn[name] for name in names]
    fig.legend(heads, names, loc="outside lower center", ncols=5, handlelength=3.2)
    fig.suptitle(title, x=0.01, ha="left", weight="bold", size=12)
    return fig


def _check_order(caller: str, order: object) -> None:
    known = isinstance(order, list | tuple) and all(isinstance(name, str) for name in order)
    checks.need(known, caller, "order", "names of methods", order)


def _scales(ax: Axes, points: pd.DataFrame, x: str, log_error: bool) -> None:
    """The axes of a frontier by size."""
    log_axis(ax, "x", points[x], "%")
    ax.set(xlabel=f"{SIZES[x]} (% of the whole network)", ylabel="test error (%)")
    ax.margins(y=0.12)
    if log_error:
        log_axis(ax, "y", 100 * points.error, "%")
        ax.set(ylabel="test error")


def _looks(names: Iterable[str]) -> dict[str, dict]:
    """Method -> colour, mark and line: two that share a colour differ in the other two."""
    cycle = [*mpl.rcParams["axes.prop_cycle"].by_key()["color"], *MORE]
    return {
        name: {
            "color": cycle[at % len(cycle)],
            "marker": MARKS[at % len(MARKS)],
            "ls": LINES[at // len(cycle) % len(LINES)],
        }
        for at, name in enumerate(dict.fromkeys(names))
    }


def _runs_and_stars(
    ax: Axes,
    points: pd.DataFrame,
    printed: pd.DataFrame,
    x: str,
    order: Sequence[str] = (),
    bars: bool = False,
) -> pd.DataFrame:
    """A line through the means of each setting, a hollow star per printed value.

    Beside the means a dot per run, or with `bars` their intervals.

    Returns:
        The means, by size: method, colour, error, and `x`.
    """
    ours, theirs = (dict.fromkeys(t.get("method", [])) for t in (points, printed))
    looks = _looks([*order, *ours, *theirs])
    if ours and not bars:
        ax.plot([], [], "o", color=GREY, alpha=0.55, ms=5, mew=0, label="one seed")
    means = []
    for name in ours:
        part, look = points[points.method == name], looks[name]
        mean = part.groupby("setting")[[x, "error"]].mean().sort_values(x)
        if bars:
            half = _half(part)[mean.index]
            low = np.minimum(half, 0.9 * mean.error)  # an error axis may be logarithmic
            ax.errorbar(
                mean[x], 100 * mean.error, [100 * low, 100 * half], ls="", lw=1, alpha=0.6,
                color=look["color"], label="_",
            )  # fmt: skip
        else:
            dots = look | {"ls": "", "alpha": 0.55, "ms": 5, "mew": 0}
            ax.plot(part[x], 100 * part.error, label="_", **dots)
        ax.plot(mean[x], 100 * mean.error, ms=7, mec="white", mew=0.8, label=name, **look)
        means.append(mean.assign(method=name, colour=look["color"]))
    for row in printed.to_dict("records"):
        name = row["method"]
        ax.plot(row[x], 100 * row["error"], ms=14, zorder=4, **STAR | {"mec": looks[name]["color"]},
                label="_" if name in ours else f"{name}, printed")  # fmt: skip
    if any(name in ours for name in theirs):
        ax.plot([], [], ms=12, label="printed", **STAR)
    return pd.concat(means) if means else pd.DataFrame()


def _half(points: pd.DataFrame) -> pd.Series:
    """Setting -> half of the 95% interval of its mean error over seeds; 0 of a single seed."""
    by = points.groupby("setting").error
    number = by.count()
    return (by.std() / number**0.5 * student.ppf(0.975, number - 1)).fillna(0)


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
