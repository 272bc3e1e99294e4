"""DCP: what is compared with print; `cases` says what is run.

Zhuang, Tan, Zhuang, Liu, Guo, Wu, Huang, Zhu. Discrimination-aware Channel Pruning for Deep Neural
Networks. NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Text
from prunelab.study.papers.discrimination_aware.cases import cases
from prunelab.study.recipes import PRESETS
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = ["STUDY"]

WORDS = {
    "paper": "preset paper",
    "standard": "preset standard, pre-activation ResNet-20; printed are those of ResNet-56",
    "quick": "preset quick, digits; printed are those of ResNet-56 on CIFAR-10",
    "smoke": "preset smoke",
}
MISPRINTS = {"VGGNet adapt": "20.0 / 1.284 million is 15.58, but the exact counts give 15.61"}
# Each before the next, by error gap: the paper's Table 1. L_M + L_S before either: its Table 6.
ORDER = ("DCP-Adapt", "DCP", "WM+", "WM", "Random DCP", "ThiNet", "CP")


def _over(results: Results, preset: str, line: Line) -> Line:
    """The line beside the unpruned network."""
    return line.over(results.line(preset, part="unpruned", model=line.case.model))


def _methods(results: Results, preset: str) -> Iterator[Line]:
    """Each method, with its printed row if it has one."""
    rows = results.study.printed("table1_cifar10").itertuples()
    printed = {(row.network, row.method): row for row in rows}
    for line in results.lines(preset, part="methods"):
        yield replace(
            _over(results, preset, line), printed=printed.get(line.case.printed[:2], NONE)
        )


class _None:
    """A printed row without numbers."""

    def __getattr__(self, name: str) -> float:
        return float("nan")


NONE = _None()


def _times(name: str, key: str, field: str) -> t.Pair:
    """How many times fewer parameters or MACs than the unpruned network has."""

    def measure(run: Run) -> float | None:
        return None if run.base is None else run.base.values[key] / run.values[key]

    return t.Pair(name, field, measure, "{:.2f}", Number)


def _counts(results: Results, preset: str | None) -> Iterator[Line]:
    """Each printed shape, really shrunk."""
    lines = t.beside("complexity", "network", "prune_rate_pct", part="counts")
    for line in lines(results, preset):
        whole = results.line(preset, part="counts", printed=(line.printed.network, "0"))
        yield line.over(whole)


def _orders(results: Results, preset: str) -> Iterator[Line]:
    """Each method of Table 1, beside the one that the paper has next."""
    rows = results.study.printed("table1_cifar10")
    gaps = {row.method: row.err_gap for row in rows.itertuples() if row.network == "ResNet-56"}
    for better, worse in zip(ORDER, ORDER[1:]):
        first, then = (results.line(preset, name=n, part="methods") for n in (better, worse))
        yield replace(first.over(then), printed=_Order(worse, gaps[better] - gaps[worse]))


class _Order:
    """What the paper says of two methods."""

    def __init__(self, other: str, difference: float):
        self.other, self.difference = other, difference


class Before(m.Rule):
    """The printed order holds if the mean difference is below 0 by more than its 95% interval."""

    def judged(self, line: Line) -> tuple[str, str]:
        values = [value for run in line.runs if (value := m.change(run)) is not None]
        if len(values) < 2:
            return "other", "one seed decides nothing" if values else "the other is not measured"
        middle, half = m.interval(values)
        if abs(middle) <= half:
            return "other", f"undecided: {middle:+.2f} ± {half:.2f}"
        return ("agrees", "holds") if middle < 0 else ("differs", "the other way round")


def _gap(line: Line) -> Text | str | t.Missing:
    """The error gap with its 95% interval over seeds."""
    if not line.runs:
        return line.missing
    values = [value for run in line.runs if (value := m.change(run)) is not None]
    if len(values) < 2:
        return DASH
    middle, half = m.interval(values)
    return Text(f"{middle - half:+.2f} to {middle + half:+.2f}", rows=line.keys)


def _selected(key: str, run: Run) -> float:
    """Error after the last selection, before any fine-tuning, in percent."""
    return 100 * (1 - run.values["stages"][-1][key])


def _sweep(name: str, table: str, column: str, *parts: str) -> t.Lines:
    """Each setting of a method, beside the unpruned network and its printed row."""

    def lines(results: Results, preset: str | None) -> Iterator[Line]:
        rows = {str(getattr(r, column)): r for r in results.study.printed(table).itertuples()}
        for line in results.lines(preset, name=name, part={*parts}):
            last = line.case.printed[-1] if line.case.printed else ""
            yield replace(_over(results, preset, line), printed=rows.get(last, NONE))

    return lines


def _setting(line: Line) -> str:
    """What tells it from the others of its table; a line of Table 1 says what it stands for."""
    return line.case.setting or line.case.printed[-1]


SIZES = (_times("parameters /", "params", "param_ratio"), _times("MACs /", "macs", "flops_ratio"))
COUNTS = tuple(
    t.Pair(name, field, lambda run, key=key: run.values[key], "{:,}", Number)
    for name, key, field in (("parameters", "params", "params"), ("MACs", "macs", "flops_mac"))
)
GAP = t.Pair("error gap, points,", "err_gap", m.change, "{:+.2f}")
SETTING = t.Column("setting", _setting)
AFTER = t.span("error %, fine-tuned", m.error)


def _all(title: str, lines: t.Lines, *columns: t.Columns | str) -> t.Table:
    return t.Table(f"{title} ({{}})", lines, columns, presets={p: WORDS[p] for p in PRESETS[::-1]})


STUDY = Study(
    "discrimination_aware",
    cases,
    (
        t.Table(
            "Tables S4 to S6: parameters and MACs of really shrunk networks",
            _counts,
            (
                "network",
                t.printed("prune_rate_pct", "removed %"),
                m.Equal((*COUNTS, *SIZES), MISPRINTS),
                *COUNTS,
                *SIZES,
            ),
        ),
        _all(
            "Table 1",
            _methods,
            t.of_case("name", "method"),
            *SIZES,
            GAP,
            t.Column("95% interval", _gap),
            t.span("error %, not fine-tuned", m.error_before_retraining),
            t.span("error %, last", m.error),
            t.span("error %, best", m.best_error),
            t.SEEDS,
        ),
        _all(
            "Which orders of Table 1 hold",
            _orders,
            t.of_case("name", "better, printed"),
            t.printed("other", "than"),
            Before(),
            t.Pair("difference, points,", "difference", m.change, "{:+.2f}"),
            t.SEEDS,
        ),
        _all(
            "Table 6: lambda, 30% removed, before fine-tuning",
            _sweep("DCP", "table6_lambda", "lam", "lambda"),
            SETTING,
            t.Pair("training error %,", "train_err", partial(_selected, "train_accuracy")),
            t.Pair("test error %,", "test_err", partial(_selected, "accuracy")),
        ),
        _all(
            "Table 7: epsilon of DCP-Adapt",
            _sweep("DCP-Adapt", "table7_epsilon", "setting", "methods", "epsilon"),
            SETTING,
            t.Pair("error %,", "test_err", m.error),
            *SIZES,
        ),
        _all(
            "Table S1: number of losses",
            _sweep("DCP", "tableS1_num_losses", "setting", "methods", "losses"),
            SETTING,
            GAP,
            AFTER,
        ),
    ),
)
