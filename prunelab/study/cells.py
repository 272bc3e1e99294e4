"""Cells of a table. `str(cell)` is its text, and a cell knows the ledger rows it comes from.

A plain string or number is a cell too: a name, a setting, a number exactly as printed.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

DASH = "–"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Cell:
    """Base of all cells.

    Attributes:
        rows: keys of the ledger rows it comes from.
    """

    rows: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Text(Cell):
    """Text derived from measurements."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Numbers(Text):
    """Several numbers in one text, such as widths (97-71-33) or the size of a map (32x32)."""


@dataclass(frozen=True)
class Number(Cell):
    """One measured value."""

    value: float
    form: str = "{:.2f}"

    def __str__(self) -> str:
        return self.form.format(self.value)


@dataclass(frozen=True)
class Printed(Cell):
    """A number the paper prints, or a dash where it prints none.

    Attributes:
        value: the number; None or nan if it is not printed.
        places: digits after the decimal point; None = as many as it was read with.
        unit: text after the number.
    """

    value: float | None
    places: int | None = None
    unit: str = ""

    def __str__(self) -> str:
        return DASH if self.is_blank else f"{self._number()}{self.unit}"

    def _number(self) -> str:
        if self.places is not None:
            return f"{self.value:.{self.places}f}"
        if abs(self.value) < 1e3:
            return f"{self.value:g}"
        exponent = math.floor(math.log10(abs(self.value)))
        return f"{self.value / 10**exponent:.{digits(self.value) - 1}f}e{exponent}"

    @property
    def is_blank(self) -> bool:
        return self.value is None or math.isnan(self.value)


@dataclass(frozen=True)
class _Several(Cell):
    """The values of one or more runs."""

    values: tuple[float, ...]
    form: str = "{:.2f}"

    @property
    def mean(self) -> float:
        """Sum over count; `statistics.fmean` may round a tie the other way."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True)
class Range(_Several):
    """Mean with minimum and maximum: 6.75 (6.60 to 6.91). Equal values show the mean alone."""

    def __str__(self) -> str:
        middle, low, high = self._texts()
        return middle if low == high else f"{middle} ({low} to {high})"

    @property
    def is_one(self) -> bool:
        """Whether all runs show the same text."""
        _, low, high = self._texts()
        return low == high

    def _texts(self) -> list[str]:
        return [self.form.format(v) for v in (self.mean, min(self.values), max(self.values))]


@dataclass(frozen=True)
class Spread(_Several):
    """Mean and sample standard deviation: 6.75 ± 0.12. A single run shows its value alone."""

    def __str__(self) -> str:
        middle = self.form.format(self.mean)
        if len(self.values) == 1:
            return middle
        return f"{middle} ± {self.form.format(statistics.stdev(self.values))}"


@dataclass(frozen=True)
class Missing(Cell):
    """A value that has not been measured yet.

    Attributes:
        command: the command that measures it; empty if none does.
    """

    command: str = ""

    def __str__(self) -> str:
        return NOT_MEASURED


@dataclass(frozen=True)
class Verdict(Cell):
    """How a measurement compares with the printed value.

    Attributes:
        kind: agrees, differs, missing or other.
        text: the verdict in words.
        command: the command that measures what is missing.
    """

    kind: str
    text: str
    command: str = ""

    def __str__(self) -> str:
        return self.text


def digits(value: float) -> int:
    """Significant digits of a printed number: 313000000.0 has 3, 34.2 has 3, 15000000.0 has 2."""
    mantissa = f"{abs(value):.9e}".split("e")[0]
    return max(1, len(mantissa.replace(".", "").rstrip("0")))
