"""What long trainings cost: their operations, or the hours that these take."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import BLUE, GREY, ORANGE, heading, legend, not_measured, styled

WHEN = {"before": GREY, "during": ORANGE, "after": BLUE}
UNITS = {"eflop": "operations (EFLOP)", "hours": "hours"}


def hours(exaflop: float, gpus: int, teraflops: float, utilisation: float) -> float:
    """Hours that a training takes.

    Args:
        exaflop: its operations, 1e18.
        gpus: how many share it.
        teraflops: the peak of one of them, 1e12 operations a second.
        utilisation: the share of all their peaks that the training reaches, in (0, 1].

    Raises:
        ValueError: a number is out of bounds.
    """
    checks.count("hours", "gpus", gpus)
    for name, value in (("exaflop", exaflop), ("teraflops", teraflops)):
        checks.number("hours", name, value, "a number > 0", lambda v: v > 0)
    checks.number("hours", "utilisation", utilisation, "in (0, 1]", lambda v: 0 < v <= 1)
    return exaflop * 1e18 / (gpus * teraflops * 1e12 * utilisation) / 3600


@styled({"axes.grid.axis": "x"})
def training_costs(
    costs: pd.DataFrame, title: str = "", unit: str = "eflop", chosen: str = ""
) -> Figure:
    """A bar for each recipe: what it trains before, during and after its pruning.

    Args:
        costs: columns recipe, when (before, during or after) and `unit`.
        title: says of what.
        unit: eflop or hours.
        chosen: the recipe whose name is set in bold.

    Raises:
        ValueError: a column is missing, or `unit` or a value of `when` is none of these.
    """
    checks.word("training_costs", "unit", unit, tuple(UNITS))
    checks.kind("training_costs", "chosen", chosen, str, "text")
    if not given.to_draw("training_costs", costs, f"recipe when {unit}#", title, "costs"):
        return not_measured(title)
    for when in costs.when:
        checks.word("training_costs", "costs.when", when, tuple(WHEN))
    names = list(dict.fromkeys(costs.recipe))
    table = costs.pivot_table(index="recipe", columns="when", values=unit, aggfunc="sum")
    table = table.reindex(index=names, columns=[*WHEN]).fillna(0.0)
    fig, ax = plt.subplots(figsize=(8.4, 1.3 + 0.36 * len(names)))
    left = pd.Series(0.0, index=names)
    for when, colour in WHEN.items():
        ax.barh(names, table[when], 0.66, left=left, color=colour, label=f"{when} the pruning")
        left += table[when]
    for place, (name, total) in enumerate(left.items()):
        ax.text(total, place, f" {total:.3g}", va="center", size=9)
        ax.get_yticklabels()[place].set_weight("bold" if name == chosen else "normal")
    ax.set(xlabel=UNITS[unit], ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.12 * left.max()))
    legend(ax, "training")
    heading(fig, title)
    return fig
