"""Measures of a run, and the rules that judge them against the paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from scipy.stats import t as student

from prunelab.study import printed
from prunelab.study.cells import NOT_MEASURED, Verdict
from prunelab.study.results import Line, Run
from prunelab.study.tables import Measure, Pair


def value(key: str) -> Measure:
    """A measure: a value of the run, or None if it has none of that name."""
    return lambda run: run.values.get(key)


def missed(key: str) -> Measure:
    """A measure: what an accuracy leaves of 100 percent, or None if the run has none such."""
    return lambda run: 100 * (1 - run.values[key]) if key in run.values else None


error = missed("accuracy")  # test error
best_error = missed("best_accuracy")  # the lowest of any epoch: it is optimistic
val_error = missed("val_accuracy")
error_before_retraining = missed("accuracy_before_retraining")
compression = value("compression")  # number of all parameters divided by that of those kept
kept = value("kept")  # parameters, of a layer or of the whole network


def change(run: Run) -> float | None:
    """Change of the test error from the base run, in points; above 0 is worse."""
    if run.base is None or run.base.key == run.key:
        return None
    return 100 * (run.base.values["accuracy"] - run.values["accuracy"])


def error_before(run: Run) -> float:
    """Test error of the network before pruning, in percent."""
    return 100 * (1 - run.values["before"]["accuracy"])


def change_by_pruning(run: Run) -> float:
    """Change of the test error by pruning, in points; above 0 is worse."""
    return error(run) - error_before(run)


def kept_percent(run: Run) -> float:
    """The share of a layer's parameters that is kept, in percent."""
    return 100 * run.values["kept"] / run.values["size"]


def largest_percent(run: Run) -> float:
    """The share of a layer's surviving weights that were among its largest before, in percent."""
    return 100 * run.values["top_share"]


def interval(values: Sequence[float], together: int = 1) -> tuple[float, float]:
    """Mean, and half of its 95% interval by Student's t, of two values or more.

    Args:
        values: the values.
        together: how many intervals hold together with 95%, by Bonferroni.
    """
    spread = stdev(values) / math.sqrt(len(values))
    return fmean(values), float(student.ppf(1 - 0.025 / together, len(values) - 1)) * spread


def removed(key: str) -> Measure:
    """A measure: how many of the base's MACs, weights, ... are removed, in percent."""

    def measure(run: Run) -> float | None:
        return None if run.base is None else 100 * (1 - run.values[key] / run.base.values[key])

    return measure


class Rule:
    """A rule that judges a line; in a table it is the column `verdict`."""

    name = "verdict"
    pairs: tuple[Pair, ...] = ()

    def cells(self, line: Line) -> Iterator[tuple[str, Verdict]]:
        yield self.name, self(line)

    def __call__(self, line: Line) -> Verdict:
        """The verdict; for a line without runs, how to measure it."""
        if line.runs:
            return Verdict(*self.judged(line), rows=line.keys)
        if line.case is None:
            return Verdict("other", line.note)
        return Verdict("missing", f"{NOT_MEASURED}: {line.command}", line.missing.command)

    def judged(self, line: Line) -> tuple[str, str]:
        """Kind and text of the verdict of a line with runs."""
        raise NotImplementedError

    def of(self, pair: Pair, line: Line) -> tuple[str, str]:
        """Kind and text of the verdict of one of its pairs, in a line with runs."""
        raise NotImplementedError


@dataclass(frozen=True)
class Equal(Rule):
    """Counts agree if they equal the printed ones in all printed digits.

    Attributes:
        pairs: the counts to compare.
        misprints: printed model -> why it cannot agree.
    """

    pairs: tuple[Pair, ...]
    misprints: Mapping[str, str] = field(default_factory=dict)

    def judged(self, line: Line) -> tuple[str, str]:
        met = {pair.name.strip(" %,"): self._met(pair, line) for pair in self.pairs}
        wrong = [name for name, how in met.items() if how == "differs"]
        cut = [name for name, how in met.items() if how == "equal (truncated)"]
        if wrong:
            why = self.misprints.get(getattr(line.printed, "model", ""))
            return "differs", f"differs: {', '.join(wrong)}{f' ({why})' if why else ''}"
        return "agrees", f"equal ({', '.join(cut)} truncated in print)" if cut else "equal"

    def of(self, pair: Pair, line: Line) -> tuple[str, str]:
        how = self._met(pair, line)
        return ("differs" if how == "differs" else "agrees"), how

    def _met(self, pair: Pair, line: Line) -> str:
        shown, measured = pair.printed(line), pair.measure(line.runs[0])
        if shown != shown or measured is None:
            return ""  # not printed
        return printed.agrees(measured, shown, pair.places)


@dataclass(frozen=True)
class Near(Rule):
    """A mean agrees if it is close to the printed value.

    Attributes:
        pair: the value to compare.
        points: the largest difference that still agrees.
    """

    pair: Pair
    points: float

    @property
    def pairs(self) -> tuple[Pair, ...]:  # type: ignore[override]
        return (self.pair,)

    def of(self, pair: Pair, line: Line) -> tuple[str, str]:
        return self.judged(line)

    def judged(self, line: Line) -> tuple[str, str]:
        values = [self.pair.measure(run) for run in line.runs]
        gap = sum(values) / len(values) - self.pair.printed(line)
        if abs(gap) <= self.points:
            return "agrees", f"within {self.points} points ({gap:+.2f})"
        return "differs", f"{abs(gap):.2f} points {'above' if gap > 0 else 'below'}"


@dataclass(frozen=True)
class NoWorse(Rule):
    """Runs agree if none of them is worse than printed in any value, to the printed digits.

    Attributes:
        pairs: the values to compare.
        seen: line -> seeds that were used to choose the settings; others are counted separately.
    """

    pairs: tuple[Pair, ...]
    seen: Callable[[Line], Collection[int]] | None = None

    def judged(self, line: Line) -> tuple[str, str]:
        seen = self.seen(line) if self.seen else {run.seed for run in line.runs}
        groups = {
            "seeds": [run for run in line.runs if run.seed in seen],
            "fresh seeds": [run for run in line.runs if run.seed not in seen],
        }
        met = {name: self.met(line, runs) for name, runs in groups.items()}
        texts = [f"{met[k]} of {len(runs)} {k}" for k, runs in groups.items() if runs]
        kind = "agrees" if sum(met.values()) == len(line.runs) else "differs"
        return kind, f"within print in {' and '.join(texts)}"

    def of(self, pair: Pair, line: Line) -> tuple[str, str]:
        met = sum(self._is_met(pair, line, run) for run in line.runs)
        kind = "agrees" if met == len(line.runs) else "differs"
        return kind, f"within print in {met} of {len(line.runs)} seeds"

    def met(self, line: Line, runs: Collection[Run]) -> int:
        """How many of these runs agree."""
        return sum(all(self._is_met(pair, line, run) for pair in self.pairs) for run in runs)

    def _is_met(self, pair: Pair, line: Line, run: Run) -> bool:
        shown, value = pair.printed(line), pair.measure(run)
        if shown != shown:
            return True  # not printed
        if pair.at_least:
            return value >= shown
        return round(value, max(2, printed.places(shown))) <= shown
