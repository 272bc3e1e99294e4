"""Curves and dots: sensitivity, norms, errors."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import (
    BLUE,
    GREY,
    MARKERS,
    ORANGE,
    colours_of,
    grid,
    legend,
    not_measured,
    styled,
)


@styled()
def norm_curves(points: pd.DataFrame, title: str = "") -> Figure:
    """Sorted filter norms of each layer, relative to its largest.

    Args:
        points: columns group, rank (0 to 1), norm (0 to 1).
        title: says which network.

    Source: PFEC, Figure 2(a).
    """
    if not given.to_draw("norm_curves", points, "group rank# norm#", title):
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(7.6, 4.2))
    for i, (name, color) in enumerate(colours_of(points.group).items()):
        curve = points[points.group == name]
        marks = {"marker": MARKERS[i % len(MARKERS)], "markevery": max(1, len(curve) // 8)}
        ax.plot(100 * curve["rank"], curve.norm, color=color, label=name, **marks)
    ax.set(xlabel="rank of the filter / number of filters (%)", xlim=(0, 100), title=title)
    ax.set(ylabel="norm / largest norm of the layer", ylim=(0, 1.02))
    legend(ax, "layer")
    return fig


@styled()
def sensitivity(points: pd.DataFrame, title: str = "", whole: float | None = None) -> Figure:
    """Accuracy of the network with one layer pruned, against the ratio; one curve per layer.

    Args:
        points: columns group, ratio, accuracy (fractions); low and high (interval of the change)
            give a band.
        title: says which network and what was done.
        whole: accuracy of the unpruned network, drawn at ratio 0 and as a line.

    Source: PFEC, Figure 2(b) and, after retraining, 2(c).
    """
    given.numbers("sensitivity", whole=whole)
    if not given.to_draw("sensitivity", points, "group ratio# accuracy#", title):
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(7.6, 4.2))
    _curves(ax, points, whole, band=True)
    ax.set(title=title)
    legend(ax, "layer")
    return fig


@styled()
def panels(
    points: pd.DataFrame,
    by: str,
    titles: Mapping[str, str] | None = None,
    *,
    title: str = "",
    columns: int = 3,
    band: bool = False,
) -> Figure:
    """The same curves in one panel per value of `by`, on shared axes.

    Args:
        points: as `sensitivity`'s, with columns `by` and whole.
        by: column that names the panel, in order of appearance.
        titles: value of `by` -> title of the panel.
        title: of the whole; says which network.
        columns: panels in a row.
        band: shade from low to high, changes as in `sensitivity`.

    Source: PFEC, Figure 6 (by stage), 8, 9 and 10 (by criterion).
    """
    word = isinstance(by, str) and by and by.isidentifier()
    checks.need(word, "panels", "by", "the name of a column", by)
    checks.kind("panels", "titles", titles, Mapping | None, "a mapping or None")
    checks.count("panels", "columns", columns)
    if not given.to_draw("panels", points, f"group ratio# accuracy# whole# {by}", title):
        return not_measured(title or f"panels by {by}")
    values = list(dict.fromkeys(points[by]))
    fig, axes = grid(len(values), columns, (1.2, 0.7), (3.1, 2.9))
    shared = colours_of(points.group)
    for ax, value in zip(axes.flat, values):
        part = points[points[by] == value]
        own = shared if by == "criterion" else None
        _curves(ax, part, float(part.whole.iloc[0]), band, own)
        ax.set_title((titles or {}).get(value, str(value)))
        if own is None:
            ax.legend(loc="lower left")
    for place, ax in enumerate(axes.flat):
        last = place + axes.shape[1] >= len(values)
        ax.set_xlabel(ax.get_xlabel() if last else "")
        ax.set_ylabel(ax.get_ylabel() if ax.get_subplotspec().is_first_col() else "")
    if by == "criterion":
        handles, labels = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside right center", title="layer")
    fig.suptitle(title)
    return fig


@styled()
def one_layer(points: pd.DataFrame, group: str, ratio: float) -> Figure:
    """All layers of a scan in grey, one in colour, one point marked.

    Raises:
        ValueError: `points` has no such group, or none at this ratio.
    """
    if not given.to_draw("one_layer", points, "group ratio# accuracy# whole#"):
        return not_measured(str(group))
    checks.word("one_layer", "group", group, list(dict.fromkeys(points.group)))
    known = sorted(set(points.ratio[points.group == group]))
    there = checks.is_number(ratio) and ratio in known
    checks.need(there, "one_layer", "ratio", f"one of {', '.join(map(str, known))}", ratio)
    fig, ax = plt.subplots(figsize=(6.6, 3.4))
    whole = float(points.whole.iloc[0])
    _curves(ax, points, whole, colours=dict.fromkeys(dict.fromkeys(points.group), "#dddddd"))
    mine = points[points.group == group]
    _curves(ax, mine, whole, band=True, colours={group: BLUE})
    at = mine[mine.ratio == ratio].iloc[0]
    ax.plot(100 * ratio, 100 * at.accuracy, "o", ms=11, mfc="none", mec=ORANGE, mew=2.5)
    ax.set(title=group)
    return fig


@styled()
def accuracies(table: pd.DataFrame, title: str = "") -> Figure:
    """Test error of each network: one dot per seed, a bar for the mean, one panel per data set.

    Args:
        table: columns data, label, error (fraction), in the order to draw, top first.
        title: says which setting.
    """
    if not given.to_draw("accuracies", table, "data label error#", title, "table"):
        return not_measured(title)
    parts = [(name, table[table.data == name]) for name in dict.fromkeys(table.data)]
    rows = [part.label.nunique() for _, part in parts]
    fig, axes = plt.subplots(
        len(parts), 1, figsize=(7.6, 0.9 * len(parts) + 0.42 * sum(rows)), squeeze=False,
        height_ratios=rows,
    )  # fmt: skip
    for ax, (name, part) in zip(axes.flat, parts):
        _dots(ax, part)
        ax.set(xlabel="test error (%)", ylabel="", title=f"{title}: {name}")
    legend(axes[0, 0])
    return fig


def _dots(ax: Axes, part: pd.DataFrame) -> None:
    labels = list(dict.fromkeys(part.label))
    ax.plot(
        100 * part.error, [labels.index(x) for x in part.label], "o", color=BLUE, label="a seed"
    )
    for place, label in enumerate(labels):
        mean = 100 * part[part.label == label].error.mean()
        ax.plot([mean, mean], [place - 0.3, place + 0.3], color=ORANGE, lw=2.4,
                label="" if place else "mean of seeds")  # fmt: skip
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.margins(x=0.15)


def _curves(
    ax: Axes,
    points: pd.DataFrame,
    whole: float | None = None,
    band: bool = False,
    colours: Mapping[str, tuple] | None = None,
) -> None:
    colours = colours or colours_of(points.group)
    for i, name in enumerate(colours):
        curve = points[points.group == name].sort_values("ratio")
        if curve.empty:
            continue
        x, y = [100 * r for r in curve.ratio], [100 * a for a in curve.accuracy]
        start = [] if whole is None else [100 * whole]
        look = {"color": colours[name], "marker": MARKERS[i % len(MARKERS)]}
        ax.plot([0] * len(start) + x, start + y, label=name, **look)
        if band and whole is not None and "low" in curve:
            ends = 100 * (whole + curve.low), 100 * (whole + curve.high)
            ax.fill_between(x, *ends, color=colours[name], alpha=0.12, lw=0)
    if whole is not None:
        ax.axhline(100 * whole, color=GREY, lw=1, ls="--")
    ax.set(xlabel="filters removed from that layer (%)", ylabel="accuracy (%)", xlim=(0, 100))
