"""Exchange: curves as CSV files, in our own form and in that of Intel's Distiller."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from prunelab import checks
from prunelab.checks import shown
from prunelab.paths import unwritable, whole
from prunelab.sensitivity.scanning.arguments import short

STYLES = ("prunelab", "distiller")
DISTILLER = ["parameter", "sparsity", "top1", "top5", "loss"]
COLUMNS = {"group": "str"} | dict.fromkeys("ratio accuracy low high loss".split(), "float64")
COLUMNS |= dict.fromkeys("kept correct params macs".split(), "int64")
MARK = "# prunelab curves "  # before the comment
CONVERT = {"i": int, "u": int, "f": float, "b": {"True": True, "False": False}.__getitem__}


def to_csv(curves: pd.DataFrame, path: str | Path, style: str = "prunelab") -> None:
    """Write the curves of a scan to a file, which appears whole or not at all.

    Args:
        curves: as `scan` returns, or with other columns of numbers, texts and truth values.
        path: the file; what was there is replaced.
        style: "prunelab" keeps everything: all columns and their types, every digit, and `attrs`
            (plain data) as JSON in a comment on the first line. "distiller" has the columns of
            Distiller's `sensitivities_to_csv`: parameter (the group's name + ".weight"), sparsity
            (ratio), top1 (accuracy in percent), top5 (empty: not measured) and loss.

    Raises:
        TypeError: `curves` is no DataFrame.
        ValueError: another style, missing columns, a column or `attrs` that is no plain data.
        OSError: the folder cannot be written to.
    """
    if not isinstance(curves, pd.DataFrame):
        kind = type(curves).__name__
        raise TypeError(f"to_csv: `curves` must be a DataFrame, as scan returns; got {kind}")
    path = checks.path("to_csv", "path", path)
    if not isinstance(style, str) or style not in STYLES:
        raise ValueError(f"to_csv: `style` must be one of {', '.join(STYLES)}; got {short(style)}")
    _write(path, _ours(curves) if style == "prunelab" else _distillers(curves))


def from_csv(path: str | Path) -> pd.DataFrame:
    """Read curves that `to_csv` or Distiller wrote, or a table with columns of a scan.

    The first line tells which. What `to_csv` wrote in its own style comes back with its types and
    `attrs`; a table written by hand has at least the columns group and ratio.

    A Distiller file gives the columns group (parameter without ".weight"), ratio (sparsity),
    accuracy (top1 / 100) and loss: enough to draw. It knows neither images nor costs, so `correct`,
    `kept`, `params` and `macs` are absent and `solve` refuses it by naming them. top5 is not read.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty file, another header, or a line that does not fit it.

    Source: Distiller (IntelLabs), distiller/sensitivity.py, `sensitivities_to_csv`.
    """
    path = checks.path("from_csv", "path", path)
    if not path.is_file():
        raise FileNotFoundError(f"from_csv: no file {shown(str(path))}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if not text.strip():
            raise ValueError("it is empty")
        return _parsed(text)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"from_csv: `{path}`: {str(error).splitlines()[0]}") from error


def _ours(curves: pd.DataFrame) -> str:
    wrong = [c for c in curves if not isinstance(c, str) or not _is_plain(curves[c])]
    if wrong:
        raise ValueError(
            f"to_csv: column `{wrong[0]}` must hold numbers, texts or truth values and no gaps,"
            f" got {curves[wrong[0]].dtype}"
        )
    head = {"types": {c: str(t) for c, t in curves.dtypes.items()}, "attrs": curves.attrs}
    try:
        comment = MARK + json.dumps(head, default=np.generic.item)
    except (TypeError, ValueError) as error:
        raise ValueError(f"to_csv: `curves.attrs` must be plain data: {error}") from error
    columns = [curves[c].tolist() for c in curves]
    return comment + "\n" + _table(list(curves), zip(*columns))


def _is_plain(values: pd.Series) -> bool:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in CONVERT:
        return True
    return all(isinstance(v, str) for v in values)


def _distillers(curves: pd.DataFrame) -> str:
    missing = [c for c in ("group", "ratio", "accuracy", "loss") if c not in curves]
    if missing:
        raise ValueError(f"to_csv: `curves` lacks the columns {', '.join(missing)}")
    rows = zip(*(curves[c].tolist() for c in ("group", "ratio", "accuracy", "loss")))
    # 100 * 0.57 is 56.99999999999999: twelve digits after the point say the same.
    return _table(DISTILLER, ([f"{g}.weight", r, round(100 * a, 12), "", x] for g, r, a, x in rows))


def _table(header: list[str], rows: Iterable) -> str:
    return "".join(_line(row) + "\n" for row in [header, *rows])


def _line(row: Iterable) -> str:
    r"""One line of CSV; floats as repr gives them, with every digit.

    With its own end of line, "\r\n", the writer puts texts that hold either of them in quotes.
    """
    out = io.StringIO()
    csv.writer(out).writerow(row)
    return out.getvalue().removesuffix("\r\n")


def _write(path: Path, text: str) -> None:
    if not path.parent.is_dir():  # a folder misspelt is not made
        raise unwritable("to_csv", path, FileNotFoundError("no such folder"))
    with whole(path, "to_csv") as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _parsed(text: str) -> pd.DataFrame:
    types, attrs, above = None, {}, 0
    if text.startswith(MARK):
        comment, _, text = text.removeprefix(MARK).partition("\n")
        types, attrs, above = *_head(comment), 1
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, [])
    if types is None:
        header = [cell.strip() for cell in header]
        types = _types(header)
    elif header != list(types):
        raise ValueError(f"line 2: the header must be {','.join(types)}, got {','.join(header)}")
    rows = [_row(cells, types, reader.line_num + above) for cells in reader if cells]
    frame = pd.DataFrame(rows, columns=header, dtype=object).astype(types)
    if header == DISTILLER:
        frame = pd.DataFrame(
            {
                "group": frame.parameter.str.removesuffix(".weight"),
                "ratio": frame.sparsity,
                "accuracy": frame.top1 / 100,
                "loss": frame.loss,
            }
        )
    frame.attrs.update(attrs)
    return frame


def _head(comment: str) -> tuple[dict[str, str], dict]:
    try:
        head = json.loads(comment)
        for kind in head["types"].values():
            pd.api.types.pandas_dtype(kind)
        return dict(head["types"]), dict(head["attrs"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"line 1: the comment is damaged: {error}") from error


def _types(header: list[str]) -> dict[str, str]:
    """The type of each column of a file without our comment."""
    if header == DISTILLER:
        return {c: "float64" if c in ("sparsity", "top1", "loss") else "str" for c in DISTILLER}
    if len(set(header)) == len(header) and {"group", "ratio"} <= set(header) <= set(COLUMNS):
        return {c: COLUMNS[c] for c in header}
    raise ValueError(
        f"line 1: the header must be {','.join(DISTILLER)} or of {','.join(COLUMNS)};"
        f" got {','.join(header)[:80]}"
    )


def _row(cells: list[str], types: Mapping[str, str], line: int) -> list:
    if len(cells) != len(types):
        raise ValueError(f"line {line}: the header has {len(types)} columns, got {len(cells)}")
    row = []
    for cell, (column, kind) in zip(cells, types.items()):
        convert = CONVERT.get(pd.api.types.pandas_dtype(kind).kind, str)
        try:
            row.append(convert(cell))
        except (ValueError, LookupError) as error:
            raise ValueError(f"line {line}: `{column}` must be {kind}, got {cell!r}") from error
    return row
