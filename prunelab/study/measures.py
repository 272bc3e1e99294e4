"""What tables compare: values of a run, and the rules of their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from prunelab.study import printed
from prunelab.study.cells import NOT_MEASURED, Verdict
from prunelab.study.results import Line, Run
from prunelab.study.tables import Measure, Pair


def error(run: Run) -> float:
    """Test error, in percent."""
    return 100 * (1 - run.values["accuracy"])


def best_error(run: Run) -> float | None:
    """The lowest test error of an epoch, in percent: it flatters."""
    return _error(run, "best_accuracy")


def val_error(run: Run) -> float:
    """Error on validation images, in percent."""
    return 100 * (1 - run.values["val_accuracy"])


def error_before_retraining(run: Run) -> float | None:
    """Test error right after pruning, in percent."""
    return _error(run, "accuracy_before_retraining")


def _error(run: Run, key: str) -> float | None:
    return 100 * (1 - run.values[key]) if key in run.values else None


def change(run: Run) -> float | None:
    """Of the test error by pruning, in points: above 0 it is worse."""
    if run.base is None or run.base.key == run.key:
        return None
    return 100 * (run.base.values["accuracy"] - run.values["accuracy"])


def error_before(run: Run) -> float:
    """Test error of the network that is pruned, in percent."""
    return 100 * (1 - run.values["before"]["accuracy"])


def change_by_pruning(run: Run) -> float:
    """Change of the test error by pruning, in points: above 0 it is worse."""
    return error(run) - error_before(run)


def kept(run: Run) -> int:
    """Parameters kept, of a layer or of the whole network."""
    return run.values["kept"]


def kept_percent(run: Run) -> float:
    """The share of a layer's parameters that is kept, in percent."""
    return 100 * run.values["kept"] / run.values["size"]


def largest_percent(run: Run) -> float:
    """The share of a layer's surviving weights that were among its largest before, in percent."""
    return 100 * run.values["top_share"]


def compression(run: Run) -> float:
    """All parameters over those that are kept."""
    return run.values["compression"]


def removed(key: str) -> Measure:
    """Percent of the base's MACs, weights, ..., that are gone."""

    def measure(run: Run) -> float | None:
        return None if run.base is None else 100 * (1 - run.values[key] / run.base.values[key])

    return measure


class Rule:
    """How a line is judged. A table takes it as its column `verdict`."""

    name = "verdict"

    def cells(self, line: Line) -> Iterator[tuple[str, Verdict]]:
        """Heading and cell."""
        yield self.name, self(line)

    def __call__(self, line: Line) -> Verdict:
        """The verdict of a line; one without runs says how to measure it."""
        if line.runs:
            return Verdict(*self.judged(line), rows=line.keys)
        if line.case is None:
            return Verdict("other", line.note)
        return Verdict("missing", f"{NOT_MEASURED}: {line.command}", line.missing.command)

    def judged(self, line: Line) -> tuple[str, str]:
        """Kind and text of the verdict of a line with runs."""
        raise NotImplementedError


@dataclass(frozen=True)
class Equal(Rule):
    """The verdict of counts: all printed digits are met, or which are not.

    Attributes:
        pairs: what is compared.
        misprints: printed model -> why it cannot be met.
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

    def _met(self, pair: Pair, line: Line) -> str:
        shown, measured = pair.printed(line), pair.measure(line.runs[0])
        if shown != shown or measured is None:
            return ""  # not printed
        return printed.agrees(measured, shown, pair.places)


@dataclass(frozen=True)
class Near(Rule):
    """The verdict of a mean: how far it is from print.

    Attributes:
        pair: what is compared.
        points: how far it may be.
    """

    pair: Pair
    points: float

    def judged(self, line: Line) -> tuple[str, str]:
        values = [self.pair.measure(run) for run in line.runs]
        gap = sum(values) / len(values) - self.pair.printed(line)
        if abs(gap) <= self.points:
            return "agrees", f"within {self.points} points ({gap:+.2f})"
        return "differs", f"{abs(gap):.2f} points {'above' if gap > 0 else 'below'}"


@dataclass(frozen=True)
class NoWorse(Rule):
    """The verdict of single runs: how many are nowhere worse than print, to the printed digits.

    Attributes:
        pairs: what is compared.
        seen: line -> seeds that had a say when settings were chosen; the others are counted apart.
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

    def met(self, line: Line, runs: Collection[Run]) -> int:
        """How many of these runs."""
        return sum(all(self._is_met(pair, line, run) for pair in self.pairs) for run in runs)

    def _is_met(self, pair: Pair, line: Line, run: Run) -> bool:
        shown, value = pair.printed(line), pair.measure(run)
        if shown != shown:
            return True  # not printed
        if pair.at_least:
            return value >= shown
        return round(value, max(2, printed.places(shown))) <= shown
