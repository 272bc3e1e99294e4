"""Methods on one network: choose methods, axis and size; see the frontier and who is ahead."""

from __future__ import annotations

from collections.abc import Sequence

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


def contest_player(
    points: pd.DataFrame, ranks: pd.DataFrame, title: str = "", order: Sequence[str] = ()
) -> Pictured:
    """Compare the methods that were run on a network.

    Args:
        points: a row per run: network, method, setting, seed, error (fraction), and a column for
            each axis with the percent left, as `plots.size_frontier` names them.
        ranks: a row per network, axis, size (fraction) and method: rank, accuracy (fraction),
            behind and half (points behind the best and half of the interval, as fractions), ties
            (names), seeds.
        title: says what is compared.
        order: methods in the order of colours and marks, as `plots.size_frontier`.

    Returns:
        A box whose `network`, `axis`, `size`, `methods`, `text` and `picture` are its parts.

    Raises:
        ValueError: there are no points, a column is missing, or there is no axis.
    """
    axes = _axes("contest_player", points, ranks, title, order)
    network = w.Dropdown(options=list(dict.fromkeys(points.network)), description="network")
    axis = w.Dropdown(options=[(SIZES[name], name) for name in axes], description="axis")
    size = w.Dropdown(description="size")
    names = _names(points, order)
    methods = w.SelectMultiple(
        options=names, value=names, rows=min(9, len(names)), description="methods",
        tooltip="Ctrl or Shift and click for several",
    )  # fmt: skip

    def refill(_: object = None) -> None:
        here = ranks[(ranks.network == network.value) & (ranks.axis == axis.value)]["size"]
        size.options = [(f"{100 * one:g}%", one) for one in sorted(set(here), reverse=True)]
        size.index = 0 if size.options else None  # new options leave nothing chosen

    refill()
    for control in (network, axis):
        control.observe(refill, "value")

    def draw() -> tuple[str, bytes]:
        chosen = points[(points.network == network.value) & points.method.isin(methods.value)]
        text = _table(ranks, network.value, axis.value, size.value, methods.value)
        return text, png(_figure(chosen, axis.value, title or network.value, (*order, *names)))

    text, picture = linked([network, axis, size, methods], draw)
    box = Pictured([w.HBox([w.VBox([network, axis, size]), methods]), picture, text])
    box.network, box.axis, box.size, box.methods = network, axis, size, methods
    box.text, box.picture = text, picture
    return box


def contest_figure(
    points: pd.DataFrame, axis: str = "macs_pct", title: str = "", order: Sequence[str] = ()
) -> Figure:
    """All methods on the first network, on one of its axes; errors as `contest_player`."""
    axes = _axes("contest_figure", points, pd.DataFrame(columns=RANKS), title, order)
    checks.word("contest_figure", "axis", axis, tuple(axes))
    first = points[points.network == points.network.iloc[0]]
    whole = (*order, *_names(points, order))
    return _figure(first, axis, title or first.network.iloc[0], whole)


def _axes(
    caller: str, points: pd.DataFrame, ranks: pd.DataFrame, title: str, order: Sequence[str]
) -> list[str]:
    given.text(caller, title)
    known = isinstance(order, list | tuple) and all(isinstance(name, str) for name in order)
    checks.need(known, caller, "order", "names of methods", order)
    for name, table, needed in (("points", points, POINTS), ("ranks", ranks, RANKS)):
        checks.kind(caller, name, table, pd.DataFrame, "a DataFrame")
        checks.columns(caller, name, table, needed)
    if points.empty:
        raise ValueError(f"{caller}: `points` is empty; measure some methods first")
    found = [name for name in SIZES if name in points]
    checks.need(bool(found), caller, "points", f"with one of {', '.join(SIZES)}", None)
    return found


def _names(points: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """The methods with points, those of `order` first."""
    found = set(points.method)
    return [name for name in dict.fromkeys([*order, *points.method]) if name in found]


def _figure(points: pd.DataFrame, axis: str, title: str, order: Sequence[str]) -> Figure:
    shown = points.dropna(subset=[axis]) if axis in points else points
    return plots.size_frontier(shown, None, axis, title, order, far_apart(shown), True)


def far_apart(points: pd.DataFrame) -> bool:
    """Whether some errors are so many times larger than others that they need a log axis."""
    return bool(len(points) and points.error.max() > LOG * max(points.error.min(), 1e-9))


def _table(
    ranks: pd.DataFrame, network: str, axis: str, size: float | None, methods: Sequence[str]
) -> str:
    """Who is ahead at one size."""
    where = (ranks.network == network) & (ranks.axis == axis) & (ranks["size"] == size)
    here = ranks[where].sort_values("accuracy", ascending=False, kind="stable")
    cells = [
        [
            row.rank, row.method, f"{100 * row.accuracy:.2f}%",
            f"{100 * row.behind:.2f} ± {100 * row.half:.2f}" if row.behind or row.half else "–",
            row.ties or "none",
        ]
        for row in here[here.method.isin(methods)].itertuples()
    ]  # fmt: skip
    if not cells:
        return words.note("no method that is chosen reaches this size")
    behind = f"points behind {here.method.iloc[0]}, uncorrected 95%"
    return words.say("table", ["rank", "method", "accuracy", behind, "not told apart from"], cells)
