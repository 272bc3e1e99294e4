"""RBP, a reconstruction: what is compared; `cases` says what is run.

Its tables are not public. The question that its abstract asks is answered here: does it help to
decide a layer given what was pruned before it?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Text
from prunelab.study.papers.recursive_bayesian import views
from prunelab.study.papers.recursive_bayesian.cases import ARMS, SETTINGS, Setting, cases
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = ["ARMS", "SETTINGS", "STUDY", "judged", "paired", "views"]

NETWORKS = {
    "lenet-300-100": "LeNet-300-100",
    "lenet-5-relu": "LeNet-5",
    "preresnet-20": "pre-activation ResNet-20",
}
NETWORK = t.Column("network", lambda line: f"{NETWORKS[line.case.model]}, {line.case.data}")
WORDS = {"paper": "presets standard and paper", "quick": "preset quick", "smoke": "preset smoke"}
BETA = t.Column("beta", lambda line: f"{line.case.task.method.beta:g}")


def val_error(run: Run) -> float:
    """Validation error after fine-tuning, in percent."""
    return 100 * (1 - run.values["history"][-1]["val_accuracy"])


def setting_of(line: Line) -> Setting:
    """How the arms run on the network of a line."""
    return next(one for one in SETTINGS[line.case.preset] if one.network == line.case.network)


def judged(results: Results, preset: str | None) -> Iterator[Line]:
    """Each arm at each strength, with the seeds that choose.

    The rule, written before anything ran: of the strengths whose mean validation error after
    fine-tuning is allowed, take the largest. The note says "yes" there.
    """
    for network in dict.fromkeys(line.case.network for line in results.lines(preset, part="arms")):
        for arm in ARMS:
            wanted = {"part": {"arms", "candidates"}, "name": arm, "network": network}
            found = [_seen(line) for line in results.lines(preset, **wanted)]
            found.sort(key=lambda line: line.case.task.method.beta)
            taken = [line for line in found if _is_allowed(line)][-1:]
            yield from (replace(line, note="yes" if line in taken else "") for line in found)


def _seen(line: Line) -> Line:
    seen = setting_of(line).seen
    return replace(line, runs=tuple(run for run in line.runs if run.seed < seen))


def _is_allowed(line: Line) -> bool:
    errors = [val_error(run) for run in line.runs]
    return bool(errors) and sum(errors) / len(errors) <= setting_of(line).allowed


def paired(results: Results, preset: str | None) -> Iterator[Line]:
    """RBP beside each other arm, seed by seed, with fresh seeds only; the note names the other."""
    for line in results.lines(preset, part="arms", name=ARMS[0]):
        seen = setting_of(line).seen
        fresh = replace(line, runs=tuple(run for run in line.runs if run.seed >= seen))
        for other in ARMS[1:]:
            base = results.line(preset, part="arms", name=other, network=line.case.network)
            yield replace(fresh.over(base), note=other)


def difference(measure: t.Measure) -> Callable[[Line], list[float]]:
    """A function from a line to the differences of its runs from their bases."""
    return lambda line: [measure(r) - measure(r.base) for r in line.runs if r.base is not None]


SIZES = {
    "weights, points": difference(counts.weights),
    "MACs, points": difference(counts.macs),
    "test error, points": difference(m.error),
}


def _with_interval(name: str) -> t.Column:
    def cell(line: Line) -> Text | str | t.Missing:
        values = SIZES[name](line)
        if len(values) < 2:
            return DASH if values else line.missing
        middle, half = m.interval(values)
        return Text(f"{middle:+.2f} ± {half:.2f}", rows=line.keys)

    return t.Column(f"{name} (mean ± 95% interval)", cell)


class Helps(m.Rule):
    """Conditioning helps if RBP ends smaller, or with a smaller error, and in nothing worse."""

    def judged(self, line: Line) -> tuple[str, str]:
        found = {"smaller": "weights, points", "more accurate": "test error, points"}
        signs = {}
        for word, name in found.items():
            values = SIZES[name](line)
            if len(values) < 2:
                return "other", "one seed decides nothing"
            middle, half = m.interval(values)
            signs[word] = 0 if abs(middle) <= half else (1 if middle > 0 else -1)
        better = [word for word, sign in signs.items() if sign < 0]
        worse = [word for word, sign in signs.items() if sign > 0]
        if better and worse:
            return "other", f"RBP is {better[0]}; the other is {worse[0]}"
        if better or worse:
            kind, who = ("agrees", "RBP") if better else ("differs", "the other")
            return kind, f"{who} is {' and '.join(better or worse)}"
        return "other", "no difference beyond the interval"


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
            "Does conditioning help? A reconstruction, not the paper's table ({})",
            paired,
            (
                NETWORK,
                t.Column("RBP less", lambda line: line.note),
                Helps(),
                *map(_with_interval, SIZES),
                t.SEEDS,
            ),
            presets=WORDS,
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
                    "allowed", lambda line: "yes" if line.runs and _is_allowed(line) else "no"
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
