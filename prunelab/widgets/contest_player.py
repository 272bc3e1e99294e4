"""Methods on one network: choose methods, axis and size; see the frontier and who is ahead."""

from __future__ import annotations

import ipywidgets as w
import pandas as pd
from matplotlib.figure import Figure

from prunelab import checks, plots
from prunelab.plots import given
from prunelab.plots.frontiers import SIZES
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png

POINTS = ("network", "method", "setting", "seed", "error")
RANKS = "network axis size rank method accuracy behind half ties seeds".split()
LOG = 8.0  # largest error divided by the smallest from which on errors need a log axis


def contest_player(points: pd.DataFrame, ranks: pd.DataFrame, title: str = "") -> Pictured:
    """Compare the methods that were run on a network.

    Args:
        points: a row per run: network, method, setting, seed, error (fraction), and a column for
            each axis with the percent left, as `plots.size_frontier` names them.
        ranks: a row per network, axis, size (fraction) and method: rank, accuracy (fraction),
            behind and half (points behind the best and half of the interval, as fractions), ties
            (names), seeds.
        title: says what is compared.

    Returns:
        A box whose `network`, `axis`, `size`, `methods`, `text` and `picture` are its parts.

    Raises:
        ValueError: there are no points, a column is missing, or there is no axis.
    """
    axes = _axes("contest_player", points, ranks, title)
    network = w.Dropdown(options=list(dict.fromkeys(points.network)), description="network")
    axis = w.Dropdown(options=[(SIZES[name], name) for name in axes], description="axis")
    sizes = sorted(set(ranks["size"]), reverse=True)
    size = w.Dropdown(options=[(f"{100 * one:g}%", one) for one in sizes], description="size")
    names = list(dict.fromkeys(points.method))
    methods = w.SelectMultiple(
        options=names, value=names, rows=min(9, len(names)), description="methods",
        tooltip="Ctrl or Shift and click for several",
    )  # fmt: skip

    def draw() -> tuple[str, bytes]:
        chosen = points[(points.network == network.value) & points.method.isin(methods.value)]
        text = _table(ranks, network.value, axis.value, size.value, methods.value)
        return text, png(_figure(chosen, axis.value, title or network.value, names))

    text, picture = linked([network, axis, size, methods], draw)
    box = Pictured([w.HBox([w.VBox([network, axis, size]), methods]), picture, text])
    box.network, box.axis, box.size, box.methods = network, axis, size, methods
    box.text, box.picture = text, picture
    return box


def contest_figure(points: pd.DataFrame, axis: str = "macs_pct", title: str = "") -> Figure:
    """All methods on the first network, on one of its axes; errors as `contest_player`."""
    axes = _axes("contest_figure", points, pd.DataFrame(columns=RANKS), title)
    checks.word("contest_figure", "axis", axis, tuple(axes))
    first = points[points.network == points.network.iloc[0]]
    names = list(dict.fromkeys(points.method))
    return _figure(first, axis, title or first.network.iloc[0], names)


def _axes(caller: str, points: pd.DataFrame, ranks: pd.DataFrame, title: str) -> list[str]:
    given.text(caller, title)
    for name, table, needed in (("points", points, POINTS), ("ranks", ranks, RANKS)):
        checks.kind(caller, name, table, pd.DataFrame, "a DataFrame")
        checks.columns(caller, name, table, needed)
    if points.empty:
        raise ValueError(f"{caller}: `points` is empty; measure some methods first")
    found = [name for name in SIZES if name in points]
    checks.need(bool(found), caller, "points", f"with one of {', '.join(SIZES)}", None)
    return found


def _figure(points: pd.DataFrame, axis: str, title: str, order: list[str]) -> Figure:
    shown = points.dropna(subset=[axis]) if axis in points else points
    wide = bool(len(shown) and shown.error.max() > LOG * max(shown.error.min(), 1e-9))
    return plots.size_frontier(shown, None, axis, title, order, wide)


def _table(ranks: pd.DataFrame, network: str, axis: str, size: float, methods: tuple) -> str:
    """Who is ahead at one size."""
    where = (ranks.network == network) & (ranks.axis == axis) & (ranks["size"] == size)
    cells = [
        [
            row.rank, row.method, f"{100 * row.accuracy:.2f}%",
            f"{100 * row.behind:.2f} ± {100 * row.half:.2f}" if row.behind or row.half else "–",
            row.ties or "none",
        ]
        for row in ranks[where & ranks.method.isin(methods)].itertuples()
    ]  # fmt: skip
    if not cells:
        return words.note("no method that is chosen reaches this size")
    return words.say("table", ["rank", "method", "accuracy", "points behind", "tied with"], cells)
