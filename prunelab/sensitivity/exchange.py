"""Curves as CSV files: pandas' own, and those of Intel's Distiller."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd

from prunelab import checks, paths

STYLES = ("prunelab", "distiller")
DISTILLER = ["parameter", "sparsity", "top1", "top5", "loss"]
MARK = "# prunelab curves "  # before the attributes, on the first line


def to_csv(curves: pd.DataFrame, path: str | Path, style: str = "prunelab") -> None:
    """Write the curves of a scan to a file, which appears whole or not at all.

    Args:
        curves: as `scan` returns.
        path: the file; an older one is replaced.
        style: "prunelab" writes the table as pandas does, below a first line with `attrs` as JSON.
            "distiller" writes the columns of Distiller's `sensitivities_to_csv`: parameter (the
            group's name + ".weight"), sparsity (ratio), top1 (accuracy in percent), top5 (empty)
            and loss.

    Raises:
        TypeError: `curves` is no DataFrame.
        ValueError: another style, missing columns, or `attrs` that JSON cannot hold.
        OSError: the file cannot be written.
    """
    checks.word("to_csv", "style", style, STYLES)
    needed = "group ratio accuracy loss" if style == "distiller" else "group ratio"
    checks.columns("to_csv", "curves", curves, needed.split())
    path = checks.path("to_csv", "path", path)
    if not path.parent.is_dir():  # a misspelt folder is not created
        raise paths.unwritable("to_csv", path, FileNotFoundError("no such folder"))
    text = _distiller(curves) if style == "distiller" else _head(curves.attrs) + _table(curves)
    with paths.whole(path, "to_csv") as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def from_csv(path: str | Path) -> pd.DataFrame:
    """Read curves that `to_csv` or Distiller wrote, or any table with columns group and ratio.

    A Distiller file gives group (parameter without ".weight"), ratio, accuracy (top1 / 100) and
    loss: enough for a plot. It knows neither images nor costs, so `solve` refuses it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no such table.

    Source: Distiller (IntelLabs), distiller/sensitivity.py, `sensitivities_to_csv`.
    """
    path = checks.path("from_csv", "path", path)
    if not path.is_file():
        raise FileNotFoundError(f"from_csv: no file {checks.shown(str(path))}")
    try:
        first, _, rest = (text := path.read_text(encoding="utf-8-sig")).partition("\n")
        ours = first.startswith(MARK)
        attrs = json.loads(first.removeprefix(MARK)) if ours else {}
        curves = _read(rest if ours else text)
        curves.attrs.update(attrs)
        return curves
    except (ValueError, TypeError) as error:  # pandas' and json's own errors are ValueErrors
        raise ValueError(f"from_csv: `{path}`: {str(error).splitlines()[0]}") from error


def _head(attrs: dict) -> str:
    try:
        return f"{MARK}{json.dumps(attrs)}\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"to_csv: `curves.attrs` must be plain data: {error}") from error


def _table(curves: pd.DataFrame) -> str:
    return curves.to_csv(index=False, lineterminator="\n")


def _distiller(curves: pd.DataFrame) -> str:
    percent = (100 * curves.accuracy).round(12)  # 100 * 0.57 is 56.99999999999999
    columns = (curves.group + ".weight", curves.ratio, percent, "", curves.loss)
    return _table(pd.DataFrame(dict(zip(DISTILLER, columns))))


def _read(text: str) -> pd.DataFrame:
    names = {"group": "str", "parameter": "str"}  # a group may be called 0 or NA
    table = pd.read_csv(
        io.StringIO(text), dtype=names, keep_default_na=False, skipinitialspace=True
    )
    if list(table) == DISTILLER:
        group = table.parameter.str.removesuffix(".weight")
        columns = {"group": group, "ratio": table.sparsity, "accuracy": table.top1 / 100}
        table = pd.DataFrame(columns | {"loss": table.loss})
    if not {"group", "ratio"} <= set(table):
        raise ValueError(f"it must have columns group and ratio, or {', '.join(DISTILLER)}")
    return table
