"""Where the explorer stands on the curves of a scan."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunelab.plots.frame import GREY, ORANGE

SIZE, DPI = (5.4, 3.1), 100  # inches, dots an inch: 540 pixels wide
PALE, INK = "#d4d4d4", "#333333"
NAMED = 8  # a legend names at most so many curves


def explored(
    points: pd.DataFrame,
    whole: float,
    ratios: Mapping[str, float],
    selected: Collection[str] = (),
    colours: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:
    """The curves of a scan in grey, selected groups in colour, and a dot at each ratio in use.

    It is drawn at every move of a slider, in whatever thread: hence no pyplot, no style that is
    set for all figures, and no layout that is searched for.

    Args:
        points: columns group, ratio, accuracy (fractions), one layer pruned at a time.
        whole: accuracy of the whole network.
        ratios: group -> fraction removed now; the dot lies on the line between measured points.
        selected: groups to draw in colour.
        colours: group -> colour.
        title: says which network.
    """
    fig = Figure(figsize=SIZE, dpi=DPI, facecolor="white", layout="none")
    ax = fig.add_axes((0.11, 0.155, 0.86, 0.745 if title else 0.815), facecolor="white")
    curves = {name: _curve(part, whole) for name, part in points.groupby("group", sort=False)}
    for name in sorted(curves, key=lambda name: name in selected):  # selected ones on top
        chosen = name in selected
        colour = (colours or {}).get(name, INK) if chosen else PALE
        x, y = curves[name]
        ax.plot(x, y, color=colour, lw=2.0 if chosen else 1.2, zorder=3 if chosen else 2,
                marker="o", ms=3.5 if chosen else 2, label=name if chosen else None)  # fmt: skip
    for name in [name for name in curves if ratios.get(name, 0) > 0]:
        at, ring = 100 * ratios[name], {"mec": GREY, "mew": 1.2, "ms": 6}
        if name in selected:
            ring = {"mec": ORANGE, "mew": 2.2, "ms": 10}
        ax.plot(at, np.interp(at, *curves[name]), "o", mfc="none", zorder=4, **ring)
    ax.axhline(100 * whole, color=GREY, lw=1, ls="--", zorder=1)
    _dress(ax, title)
    if len(set(selected) & set(curves)) <= NAMED:
        ax.plot([], [], "o", mfc="none", mec=ORANGE, mew=2.2, ms=8, ls="", label="removed now")
        ax.legend(loc="lower left", fontsize=8, frameon=True, framealpha=0.8, edgecolor="none",
                  facecolor="white", labelcolor=INK)  # fmt: skip
    return fig


def _curve(part: pd.DataFrame, whole: float) -> tuple[np.ndarray, np.ndarray]:
    """Percent removed and percent accuracy, from the whole network on."""
    part = part[part.ratio > 0].sort_values("ratio")
    x, y = [0, *part.ratio], [whole, *part.accuracy]
    return 100 * np.array(x), 100 * np.array(y)


def _dress(ax: Axes, title: str) -> None:
    """The look of the other figures, set on these axes alone."""
    ax.set(xlim=(0, 100), xlabel="channels removed from that group alone (%)")
    ax.set_ylabel("accuracy (%)")
    ax.set_title(title, fontsize=10, fontweight="bold", loc="left", color=INK)
    ax.grid(True, color="#e3e3e3", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9, colors=INK)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=9.5, color=INK)
    for side, spine in ax.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=INK)
