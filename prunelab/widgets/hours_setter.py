"""How long a recipe takes: choose it, how many GPUs, their peak, and how well they are used."""

from __future__ import annotations

import ipywidgets as w
import pandas as pd
from matplotlib.figure import Figure

from prunelab import checks, plots
from prunelab.plots import given
from prunelab.plots.training import WHEN, hours
from prunelab.widgets import words
from prunelab.widgets.frame import Pictured, linked, png

GPUS = (1, 2, 4, 8, 16, 32, 64)


def hours_figure(
    costs: pd.DataFrame, gpus: int = 8, teraflops: float = 1000.0, utilisation: float = 0.05
) -> Figure:
    """The hours of all recipes; arguments and errors as `hours_setter`."""
    _check("hours_figure", costs)
    return _figure(costs, "", gpus, teraflops, utilisation)


def hours_setter(
    costs: pd.DataFrame, gpus: int = 8, teraflops: float = 1000.0, utilisation: float = 0.05
) -> Pictured:
    """Set what a training runs on, and see the hours of each recipe.

    Args:
        costs: columns recipe, when (before, during or after) and eflop.
        gpus: one of 1, 2, 4, ... 64, to begin with.
        teraflops: the peak of one GPU, 1e12 operations a second: of its data sheet, for the
            precision that is used. An assumption, to be set by the reader.
        utilisation: the share of it that training reaches, in (0, 1]; another assumption.

    Returns:
        A box whose `recipe`, `gpus`, `teraflops`, `utilisation`, `text` and `picture` are its
        parts.

    Raises:
        ValueError: there are no costs, a column is missing, or a number is out of bounds.
    """
    _check("hours_setter", costs)
    known = checks.is_count(gpus) and gpus in GPUS
    checks.need(known, "hours_setter", "gpus", f"one of {', '.join(map(str, GPUS))}", gpus)
    hours(1.0, gpus, teraflops, utilisation)  # refuses what it cannot be
    recipe = w.Dropdown(options=list(dict.fromkeys(costs.recipe)), description="recipe")
    many = w.SelectionSlider(options=GPUS, value=gpus, description="GPUs")
    peak = w.BoundedFloatText(
        value=teraflops, min=0.001, max=1e6, description="TFLOP/s", tooltip="peak of one GPU"
    )
    share = w.FloatSlider(
        value=utilisation, min=0.01, max=1, step=0.01, readout_format=".0%", description="used"
    )

    def draw() -> tuple[str, bytes]:
        where = many.value, peak.value, share.value
        return _told(costs, recipe.value, *where), png(_figure(costs, recipe.value, *where))

    text, picture = linked([recipe, many, peak, share], draw)
    box = Pictured([w.HBox([recipe, many]), w.HBox([peak, share]), picture, text])
    box.recipe, box.gpus, box.teraflops, box.utilisation = recipe, many, peak, share
    box.text, box.picture = text, picture
    return box


def _check(caller: str, costs: pd.DataFrame) -> None:
    if not given.to_draw(caller, costs, "recipe when eflop#", name="costs"):
        raise ValueError(f"{caller}: `costs` is empty; it must have a row for one recipe at least")


def _figure(
    costs: pd.DataFrame, chosen: str, gpus: int, teraflops: float, utilisation: float
) -> Figure:
    timed = costs.assign(hours=costs.eflop * hours(1.0, gpus, teraflops, utilisation))
    where = f"{gpus} GPU{'s' * (gpus > 1)} of {teraflops:g} TFLOP/s, {utilisation:.0%} used"
    return plots.training_costs(timed, f"Assumed: {where}", "hours", chosen)


def _told(costs: pd.DataFrame, recipe: str, gpus: int, teraflops: float, utilisation: float) -> str:
    own = costs[costs.recipe == recipe].groupby("when").eflop.sum()
    each = hours(1.0, gpus, teraflops, utilisation)
    cells = [[when, f"{own[when]:.2f}", f"{own[when] * each:,.1f}"] for when in WHEN if when in own]
    total = ["together", f"{own.sum():.2f}", f"{own.sum() * each:,.1f}"]
    return words.say("table", [f"{recipe}, training", "EFLOP", "hours"], [*cells, total])
