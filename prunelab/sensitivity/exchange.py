"""Curves in the form of Intel's Distiller, for plots beside its own."""

from __future__ import annotations

import pandas as pd

from prunelab import checks

COLUMNS = ("parameter", "sparsity", "top1", "top5", "loss")


def to_distiller(curves: pd.DataFrame) -> pd.DataFrame:
    """The columns of Distiller's `sensitivities_to_csv`, to be written by `to_csv(index=False)`.

    They are parameter (the group's name + ".weight"), sparsity (ratio), top1 (accuracy in percent),
    top5 (empty: not measured) and loss.

    Raises:
        TypeError: `curves` is no DataFrame.
        ValueError: it lacks columns.
    """
    checks.columns("to_distiller", "curves", curves, ("group", "ratio", "accuracy", "loss"))
    percent = (100 * curves.accuracy).round(12)  # 100 * 0.57 is 56.99999999999999
    names = curves.group.astype(str) + ".weight"
    return pd.DataFrame(dict(zip(COLUMNS, (names, curves.ratio, percent, "", curves.loss))))


def from_distiller(table: pd.DataFrame) -> pd.DataFrame:
    """Curves from a file of Distiller's, read by `pd.read_csv`: group, ratio, accuracy and loss.

    That is enough for a plot. Distiller knows neither images nor costs, so `solve` refuses it.

    Raises:
        TypeError: `table` is no DataFrame.
        ValueError: it lacks columns.

    Source: Distiller (IntelLabs), distiller/sensitivity.py, `sensitivities_to_csv`.
    """
    checks.columns("from_distiller", "table", table, COLUMNS)
    group = table.parameter.astype(str).str.removesuffix(".weight")
    accuracy = table.top1.astype("float64") / 100
    columns = {"group": group, "ratio": table.sparsity, "accuracy": accuracy, "loss": table.loss}
    return pd.DataFrame(columns)
