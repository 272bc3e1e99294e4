"""How a layer's weights are spread, before and after quantisation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from prunelab.plots import given
from prunelab.plots.frame import BLUE, GREY, grid, heading, not_measured, styled


@styled()
def weight_histograms(points: pd.DataFrame, title: str = "") -> Figure:
    """A panel for each method: an outline of the weights before, a stem for each bin after.

    Heights are shares of the layer's weights, on a log axis: a bin holds from one weight to most.

    Args:
        points: columns method, weight (the middle of a bin), before and after (counts).
        title: says which layer.
    """
    if not given.to_draw("weight_histograms", points, "method weight# before# after#", title):
        return not_measured(title)
    methods = list(dict.fromkeys(points.method))
    fig, axes = grid(len(methods), 3, (0.8, 1.0), (2.7, 1.7))
    for ax, method in zip(axes.flat, methods):
        part = points[points.method == method]
        before, after = (
            100 * part[name] / max(1, part[name].sum()) for name in ("before", "after")
        )
        ax.fill_between(part.weight, before, step="mid", color=GREY, alpha=0.45, lw=0)
        there = after > 0
        ax.vlines(part.weight[there], 1e-4, after[there], color=BLUE, lw=1.6)
        ax.set_title(method, size=10)
        ax.set_yscale("log")
        ax.set_ylim(_least(before, after), 150)
    fig.supxlabel("weight", size=10)
    fig.supylabel("share of the layer's weights (%)", size=10)
    heading(fig, f"{title} Grey: before. Blue: after.".strip())
    return fig


def _least(*shares: pd.Series) -> float:
    """Below the smallest share that is not zero."""
    every = np.concatenate([part[part > 0] for part in shares])
    return 0.5 * float(every.min(initial=100.0))
