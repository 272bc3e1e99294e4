"""Tables: printed beside measured. Made from rows alone; never imports torch.

A printed number is shown only if its confidence mark says that it was read or computed; a number
that is merely remembered never appears. A missing row says "not measured".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from prunelab import paths

PAPERS = paths.shipped() / "data" / "papers"
SHOWN = ("source", "computed", "seed")
NOT_MEASURED = "not measured"


def printed(stem: str, table: str) -> pd.DataFrame:
    """The printed rows of a table that may be shown. FileNotFoundError: there is no such table."""
    path = PAPERS / stem / f"{table}.csv"
    if not path.is_file():
        raise FileNotFoundError(f"printed: no table `{table}` of `{stem}` ({path.name} is missing)")
    frame = pd.read_csv(path)
    return frame[frame.confidence.isin(SHOWN)].reset_index(drop=True)


def digits(value: float) -> int:
    """Significant digits of a printed number: 313000000.0 has 3, 34.2 has 3, 15000000.0 has 2."""
    mantissa = f"{abs(value):.9e}".split("e")[0]
    return max(1, len(mantissa.replace(".", "").rstrip("0")))


def agrees(measured: float, shown: float, places: int | None = None) -> str:
    """How a measured value meets a printed one, to the printed digits.

    Args:
        measured: the exact value.
        shown: the printed one.
        places: digits after the point; None = as many significant digits as `shown` has (for a
            printed 0, none after the point).

    Returns:
        "equal", "equal (truncated)" where the paper cut digits off instead of rounding, "differs".
    """
    if places is None:
        places = digits(shown) - 1 - math.floor(math.log10(abs(shown))) if shown else 0
    unit = 10.0**-places
    if abs(measured - shown) <= unit * (0.5 + 1e-9):  # a tie may have been rounded either way
        return "equal"
    cut = math.trunc(measured / unit * (1 + 1e-12))  # guards 0.3 / 0.1 = 2.9999999999999996
    if abs(cut * unit - shown) < unit / 1e6:
        return "equal (truncated)"
    return "differs"


def spread(values: Iterable[float], scale: float = 100.0, places: int = 2) -> str:
    """Mean and sample standard deviation, e.g. "6.75 ± 0.12"; one value stands alone."""
    values = [v * scale for v in values]
    if not values:
        return NOT_MEASURED
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{places}f}"
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return f"{mean:.{places}f} ± {sd:.{places}f}"


def ranged(values: Iterable[float], form: str = "{:.2f}") -> str:
    """Mean, and lowest to highest, e.g. "6.75 (6.60 to 6.91)"; equal ones stand alone."""
    values = list(values)
    if not values:
        return NOT_MEASURED
    mean, low, high = (
        form.format(v) for v in (sum(values) / len(values), min(values), max(values))
    )
    return mean if low == high else f"{mean} ({low} to {high})"


def within(runs: list[dict[str, float]], printed: Mapping[str, float]) -> str:
    """How many runs are nowhere above what is printed, to two digits or as many as are printed.

    Args:
        runs: of each seed, value by name.
        printed: name -> value; one that is not a number is not printed.
    """
    limits = {name: value for name, value in printed.items() if value == value}
    met = sum(
        all(round(run[name], max(2, places(value))) <= value for name, value in limits.items())
        for run in runs
    )
    return f"within print in {met} of {len(runs)} seeds"


def places(value: float) -> int:
    """Digits behind the point."""
    return len(f"{value:g}".partition(".")[2])


def number(value: float | None, places: int | None = None) -> str:
    """A printed number for a table; a blank where the paper gives none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if places is not None:
        return f"{value:.{places}f}"
    if abs(value) < 1e3:
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    return f"{value / 10**exponent:.{digits(value) - 1}f}e{exponent}"


def errors(rows: Iterable[dict], key: str = "accuracy") -> list[float]:
    """Test errors, as fractions, of the rows that have `key`."""
    return [1 - row["values"][key] for row in rows if key in row["values"]]


def of_kind(rows: Iterable[dict], kind: str, label: str | None = None, preset: str | None = None):
    """The rows whose task is of class `kind`, with that label and preset where given."""
    return [
        row
        for row in rows
        if row["recipe"]["task"]["type"] == kind
        and label in (None, row["label"])
        and preset in (None, row["preset"])
    ]


def current(
    rows: Iterable[dict], recipes: Callable[[str, Iterable[int]], Mapping[str, Iterable]]
) -> list[dict]:
    """The rows of recipes as they are now, under their labels of now: older versions stay out.

    Args:
        rows: of one paper.
        recipes: the paper's function: (preset, seeds) -> part -> recipes.
    """
    rows = list(rows)
    found = dict.fromkeys((row["preset"], row["seed"]) for row in rows)
    parts = [part for preset, seed in found for part in recipes(preset, (seed,)).values()]
    labels = {recipe.key: recipe.label for part in parts for recipe in part}
    return [row | {"label": labels[row["key"]]} for row in rows if row["key"] in labels]


def frame(lines: list[dict]) -> pd.DataFrame:
    """The lines of a table; one that says so where nothing is measured."""
    return pd.DataFrame(lines or [{"network": NOT_MEASURED}])


def where(rows: Iterable[dict]) -> str:
    """Devices and precision of some rows, e.g. "cpu, float32"."""
    found = {
        f"{r['device']}, {(r['recipe'].get('budget') or {}).get('precision', 'counted')}"
        for r in rows
    }
    return "; ".join(sorted(found)) or "–"


def points(rows: Iterable[dict]) -> pd.DataFrame:
    """The points of scans in one frame, with the label, criterion and seed of each."""
    frames = [
        pd.DataFrame(row["values"]["points"]).assign(
            label=row["label"],
            seed=row["seed"],
            criterion=row["recipe"]["task"].get("criterion"),
            whole=row["values"].get("accuracy"),
        )
        for row in rows
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
