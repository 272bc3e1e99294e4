"""RBP, a reconstruction: what is compared; `cases` says what is run.

Its tables are not public. The question that its abstract asks is answered here: does it help to
decide a layer given what was pruned before it?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Cell, Number, Text
from prunelab.study.papers.recursive_bayesian import views
from prunelab.study.papers.recursive_bayesian.arms import (
    EQUAL,
    ERROR,
    SIZES,
    WEIGHTS,
    paired,
)
from prunelab.study.papers.recursive_bayesian.cases import ARMS, SETTINGS, cases
from prunelab.study.papers.recursive_bayesian.findings import (
    NETWORKS,
    NOT_PROVED,
    ONE_SEED,
    factor,
    findings,
    in_brief,
    limited,
    sign,
)
from prunelab.study.papers.recursive_bayesian.frontier import at_equal_error
from prunelab.study.papers.recursive_bayesian.strengths import beta, is_allowed, judged, val_error
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = [
    "ARMS",
    "SETTINGS",
    "SIZES",
    "STUDY",
    "WEIGHTS",
    "at_equal_error",
    "findings",
    "in_brief",
    "judged",
    "paired",
    "sign",
    "views",
]

NETWORK = t.Column("network", lambda line: f"{NETWORKS[line.case.model]}, {line.case.data}")
WORDS = {"paper": "presets standard and paper", "quick": "preset quick", "smoke": "preset smoke"}
BETA = t.Column("beta", lambda line: f"{beta(line):g}")


class Helps(m.Rule):
    """Conditioning helps if RBP is smaller, or more accurate, and in nothing worse.

    A difference counts if its p-value, corrected for the number of arms, is below 5%.
    """

    def judged(self, line: Line) -> tuple[str, str]:
        if line.printed.limits:
            return "other", limited(line.printed.limits)
        if len(line.printed.values[ERROR]) < 2:
            return "other", ONE_SEED
        signs = {"smaller": sign(line, WEIGHTS), "more accurate": sign(line, ERROR)}
        better = [word for word, found in signs.items() if found < 0]
        worse = [word for word, found in signs.items() if found > 0]
        if better and worse:
            return "other", f"RBP is {better[0]}; the other is {worse[0]}"
        if better or worse:
            kind, who = ("agrees", "RBP") if better else ("differs", "the other")
            return kind, f"{who} is {' and '.join(better or worse)}"
        return "other", NOT_PROVED


class HelpsAtEqualError(m.Rule):
    """Conditioning helps if RBP is smaller at the error of the other arm; corrected as above."""

    def judged(self, line: Line) -> tuple[str, str]:
        values = line.printed.values[EQUAL]
        if not values:
            return "other", "no frontier to compare along"
        if len(values) < 2:
            return "other", ONE_SEED
        found = {-1: ("agrees", "RBP is smaller"), 1: ("differs", "the other is smaller")}
        return found.get(sign(line, EQUAL), ("other", NOT_PROVED))


def _with_interval(name: str) -> t.Column:
    def cell(line: Line) -> Cell | str:
        values = line.printed.values[name]
        if len(values) < 2:
            return DASH if values else line.missing
        middle, half = m.interval(values)
        return Text(f"{middle:+.2f} ± {half:.2f}", rows=line.keys)

    return t.Column(f"{name} (mean ± 95% interval)", cell)


def _p(*names: str) -> Callable[[Line], Text | str]:
    def cell(line: Line) -> Text | str:
        if len(line.printed.values[names[0]]) < 2:
            return DASH
        return Text(" / ".join(f"{line.printed.p[name]:.3f}" for name in names), rows=line.keys)

    return cell


def _factor(line: Line) -> Cell | str:
    """RBP's weights over those of the other arm."""
    values = line.printed.values[EQUAL]
    if len(values) < 2:
        return DASH if line.runs else line.missing
    return Text(factor(values), rows=line.keys)


def _allowed(line: Line) -> str:
    """Whether the rule may take a strength."""
    return DASH if not line.runs else "yes" if is_allowed(line) else "no"


def _left(arm: str) -> t.Column:
    return t.Column(arm, lambda line: Number(line.printed.weights[arm], rows=line.keys))


SIZE = (
    t.span("weights % (rW)", counts.weights),
    t.span("activations % (rN)", counts.activations),
    t.span("MMAC", counts.mmac, "{:.3f}"),
    t.span("error %, last", m.error),
)


def _fewer(run: Run) -> float | None:
    return None if run.base is None else run.base.values["macs"] / run.values["macs"]


# Our shapes are made to reach what is printed, so nothing is judged.
FEWER = t.Pair(
    "times fewer MACs,", "flops_reduction", _fewer, "{:.2f}", Number, 1, at_least=True, built=True
)


def _shapes(results: Results, preset: str | None) -> Iterator[Line]:
    """Each printed reduction, with a shape that reaches it."""
    for line in t.beside("results", "network", part="counts")(results, preset):
        whole = results.line(preset, part="counts", name=line.case.name, setting="whole")
        yield line.over(whole)


STUDY = Study(
    "recursive_bayesian",
    cases,
    (
        t.Table(
            "Does conditioning help, at the rule's strengths? A reconstruction, not the paper's"
            " table ({})",
            paired,
            (
                NETWORK,
                t.Column("RBP less", lambda line: line.note),
                Helps(),
                *map(_with_interval, SIZES),
                t.Column("p of weights / of test error (Holm)", _p(WEIGHTS, ERROR)),
                t.SEEDS,
            ),
            presets=WORDS,
        ),
        t.Table(
            "Does conditioning help, at equal error? A reconstruction, not the paper's table ({})",
            paired,
            (
                NETWORK,
                t.Column("RBP beside", lambda line: line.note),
                HelpsAtEqualError(),
                t.Column("times the other's weights (95% interval)", _factor),
                t.Column("p (Holm)", _p(EQUAL)),
                t.SEEDS,
            ),
            presets={"paper": WORDS["paper"]},
        ),
        t.Table(
            "Weights left % at equal error, along each arm's frontier ({})",
            at_equal_error,
            (
                NETWORK,
                t.Column("error", lambda line: line.printed.kind),
                t.Column("error %", lambda line: Number(line.printed.error, rows=line.keys)),
                *map(_left, ARMS),
                t.Column("seeds", lambda line: len({run.seed for run in line.runs})),
            ),
            presets={"paper": WORDS["paper"]},
        ),
        t.Table(
            "Arms of RBP, and its relatives ({})",
            t.each_case(part={"arms", "others"}),
            (
                NETWORK,
                t.of_case("name", "arm or method"),
                *SIZE,
                t.Column("widths", counts.widths),
                t.SEEDS,
            ),
            presets=WORDS,
        ),
        t.Table(
            "How the strengths were chosen (presets standard and paper)",
            judged,
            (
                NETWORK,
                t.of_case("name", "arm"),
                BETA,
                t.spread("validation error %", val_error),
                t.span("weights %", counts.weights),
                t.Column(
                    "allowed",
                    lambda line: ("yes" if is_allowed(line) else "no") if line.runs else DASH,
                ),
                t.Column("taken by the rule", lambda line: line.note),
                t.SEEDS,
            ),
            preset="paper",
        ),
        t.Table(
            "Shapes at ImageNet's size; errors are not measured",
            _shapes,
            (
                "network",
                FEWER,
                t.number("MACs", lambda run: run.values["macs"], "{:,}"),
                t.number("parameters", lambda run: run.values["params"], "{:,}"),
                t.Column("error", lambda line: "not measured"),
            ),
        ),
    ),
)
