"""DCP: which orders of the paper hold here, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import fmean

from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Text
from prunelab.study.results import Line, Results

NAN = float("nan")
AFTER, BEFORE = "fine-tuned", "30% removed, not fine-tuned"
LOSSES = {"lambda 1": "both losses", "lambda 0": "L_M alone", "L_S only": "L_S alone"}
# The paper's two claims, then what else stands in its Table 1, then our controls.
CLAIMS: dict[str, tuple[tuple[str, str], ...]] = {
    "DCP, then Random DCP, ThiNet and CP": (
        ("DCP", "Random DCP"),
        ("Random DCP", "ThiNet"),
        ("ThiNet", "CP"),
    ),
    "Both losses together before either alone": (
        ("lambda 1", "lambda 0"),
        ("lambda 1", "L_S only"),
    ),
}
FURTHER = (
    ("DCP-Adapt", "DCP"),
    ("DCP", "WM+"),
    ("WM+", "WM"),
    ("WM", "Random DCP"),
    ("DCP", "filter norm"),
    ("DCP", "random"),
)
# Two networks are of one size if the parameters and the MACs of one are at most this much more
# than those of the other.
SHARE = 0.2


@dataclass(frozen=True)
class Order:
    """What the paper says of two settings: the first has the smaller error.

    Attributes:
        name: both, in words.
        difference: of the printed errors, first less second, in points; nan = not printed.
        when: when the error is measured.
    """

    name: str
    difference: float
    when: str


def orders(results: Results, preset: str) -> Iterator[Line]:
    """Each order: the runs of the first, beside those of the second with the same seed."""
    errors = _printed(results)
    model = results.line(preset, part="unpruned", printed=("ResNet-56",)).case.model
    for better, worse in (*(pair for claim in CLAIMS.values() for pair in claim), *FURTHER):
        of_losses = better in LOSSES
        part, key = ("lambda", "setting") if of_losses else ("methods", "name")
        first, second = (
            results.line(preset, model=model, part=part, **{key: one}) for one in (better, worse)
        )
        if first.case is None or second.case is None:
            continue
        line = first.over(second)
        paired = tuple(run for run in line.runs if run.base is not None)
        difference = errors.get(better, NAN) - errors.get(worse, NAN)
        order = Order(_named((better, worse)), difference, BEFORE if of_losses else AFTER)
        yield replace(line, runs=paired, printed=order)


def _printed(results: Results) -> dict[str, float]:
    """Method -> printed error gap of ResNet-56; setting of lambda -> printed test error."""
    table1 = results.study.printed("table1_cifar10").itertuples()
    gaps = {row.method: row.err_gap for row in table1 if row.network == "ResNet-56"}
    table6 = results.study.printed("table6_lambda").itertuples()
    errors = {row.lam if row.lam in LOSSES else f"lambda {row.lam}": row.test_err for row in table6}
    return gaps | errors


def differences(line: Line) -> list[float]:
    """First less second, in points of the test error, of each seed that both were run with."""
    return [value for run in line.runs if (value := m.change(run)) is not None]


def unequal(line: Line) -> str:
    """How the mean sizes of the two differ, if they are not of one size."""
    ratios = {
        what: fmean(run.values[key] / run.base.values[key] for run in line.runs)
        for what, key in (("parameters", "params"), ("MACs", "macs"))
    }
    if all(1 / (1 + SHARE) <= ratio <= 1 + SHARE for ratio in ratios.values()):
        return ""
    return " and ".join(f"{ratio:.2f} times the {what}" for what, ratio in ratios.items())


class Before(m.Rule):
    """An order holds if the mean difference is below 0 by more than its 95% interval.

    Networks of unequal size are not judged.
    """

    def judged(self, line: Line) -> tuple[str, str]:
        if sizes := unequal(line):
            return "other", f"not judged: the first has {sizes}"
        values = differences(line)
        if len(values) < 2:
            return "other", "one seed decides nothing"
        middle, half = m.interval(values)
        if abs(middle) <= half:
            return "other", "undecided"
        kind, text = ("agrees", "holds") if middle < 0 else ("differs", "the other way round")
        said = line.printed.difference == line.printed.difference
        return kind if said else "other", text


def gap(line: Line) -> Text | str | t.Missing:
    """The 95% interval of a mean difference over seeds."""
    if not line.runs:
        return line.missing
    values = differences(line)
    if len(values) < 2:
        return DASH
    middle, half = m.interval(values)
    return Text(f"{middle - half:+.2f} to {middle + half:+.2f}", rows=line.keys)


def findings(results: Results, preset: str) -> list[str]:
    """For each claim of the paper, a sentence on its orders; then one on our controls."""
    found = {line.printed.name: line for line in orders(results, preset)}
    claims = CLAIMS | {"Beside controls of ours": FURTHER[-2:]}
    return [
        f"**{claim}:** {'; '.join(told)}."
        for claim, pairs in claims.items()
        if (told := [_told(found[name]) for name in map(_named, pairs) if name in found])
    ]


def _named(pair: Iterable[str]) -> str:
    return " before ".join(LOSSES.get(one, one) for one in pair)


def _told(line: Line) -> str:
    """One order in words."""
    values = differences(line)
    if not values:
        return f"{line.printed.name} is not measured"
    many = f"{len(values)} seed{'s' * (len(values) > 1)}"
    return f"{line.printed.name}: {Before()(line)} ({fmean(values):+.2f} points, {many})"
