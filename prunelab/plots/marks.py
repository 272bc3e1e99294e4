"""Error against size: a dot per run, a line through the means, a star per paper's value."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from prunelab.plots.frame import GREY
from prunelab.plots.names import INK, Name

WINE = "#882255"  # dark, and told from the style's seven colours by the colour-blind too
STAR = {"marker": "*", "mfc": "none", "mec": INK, "mew": 1.4, "ls": ""}


def palette(number: int) -> list[str]:
    """Colours of methods, in turn; the first eight differ."""
    cycle = [*mpl.rcParams["axes.prop_cycle"].by_key()["color"], WINE]
    return [cycle[i % len(cycle)] for i in range(number)]


def means(part: pd.DataFrame, x: str) -> pd.DataFrame:
    """Mean size `x` and error over the seeds of each setting, by size.

    Without a column setting, the runs of each seed are ordered by size, and equal places belong
    together.
    """
    if "setting" in part:
        key = part.setting
    else:
        key = part.groupby("seed")[x].rank(method="first")
    return part[[x, "error"]].groupby(key.to_numpy()).mean().sort_values(x)


def one_seed(ax: Axes) -> None:
    """An entry of the legend for the dots of `runs`."""
    ax.plot([], [], "o", color=GREY, alpha=0.55, ms=5, mew=0, label="one seed")


def runs(ax: Axes, part: pd.DataFrame, x: str, name: str, marker: str, colour: str) -> pd.DataFrame:
    """A dot per run, and a line, `name` in the legend, through the means, which are returned."""
    ax.plot(part[x], 100 * part.error, marker, color=colour, alpha=0.55, ms=5, mew=0)
    mean = means(part, x)
    ax.plot(mean[x], 100 * mean.error, color=colour, marker=marker, ms=7, mec="white", mew=0.8,
            label=name)  # fmt: skip
    return mean


def stars(ax: Axes, printed: pd.DataFrame, x: str) -> list[Name]:
    """A hollow star for each printed value and one entry of the legend; gives their names."""
    names = [Name(row["method"], row[x], 100 * row["error"]) for row in printed.to_dict("records")]
    for name in names:
        ax.plot(name.x, name.y, ms=14, label="_", zorder=4, **STAR)
    if names:
        ax.plot([], [], ms=12, label="printed in a paper", **STAR)
    return names
