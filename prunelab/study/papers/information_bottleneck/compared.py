"""VIBNet: what is compared with print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Printed, Range, Shape, Verdict
from prunelab.study.papers.information_bottleneck.cases import TABLES as OF
from prunelab.study.printed import agrees, places
from prunelab.study.results import Line, Results, Run

NETWORKS = {"lenet-300-100": "LeNet-300-100", "lenet-5-relu": "LeNet-5", "resnet-20": "ResNet-20"}
NOT_BUILT = {"GD": "generalized dropout", "GL": "group lasso of SSL"}


def plan(run: Run) -> counts.Plan:
    """The run's network, whole."""
    return counts.plan(run.case.model, 100 if run.case.data == "cifar100" else 10)


def left(run: Run) -> counts.Counts:
    """What is left of it, counted as the paper counts."""
    return plan(run).counts(run.values["widths"])


def weights(run: Run) -> float:
    """Left, in percent."""
    return 100 * left(run).weights / plan(run).counts().weights


def activations(run: Run) -> float:
    """Left, in percent."""
    return 100 * left(run).activations / plan(run).counts().activations


def mmac(run: Run) -> float:
    """Left, in millions."""
    return left(run).macs / 1e6


def widths(line: Line) -> Shape | Any:
    """Of all runs."""
    texts = [plan(run).widths(run.values["widths"]) for run in line.runs]
    return Shape(", ".join(texts), rows=_keys(line)) if texts else line.missing


def _keys(line: Line) -> tuple[str, ...]:
    return tuple(run.key for run in line.runs)


WEIGHTS = t.Pair("weights %,", "weights_pct", weights)
ACTIVATIONS = t.Pair("activations %,", "footprint_pct", activations)
MACS = t.Pair("MMAC,", "mflop", mmac)
ERROR = t.Pair("error %,", "error_pct", m.error, heads=("printed", "ours (last)"))
BEST = t.Column("error %, ours (best)", t.ours(Range, m.best_error))
COMPARED = (WEIGHTS, ACTIVATIONS, MACS, ERROR)
VERDICT = t.Column("verdict", m.NoWorse(COMPARED))


def _mnist(model: str) -> t.Table:
    """Tables 1 and 2."""
    table, network = OF[model], NETWORKS[model]
    pairs = [pair for pair in COMPARED if pair is not MACS or table == "T2"]  # T1 prints none
    return t.Table(
        f"Table {table[1]}: {network} on MNIST (preset paper)",
        t.beside(
            "results",
            "table",
            "method",
            where=lambda rows: rows[rows.table == table],
            note=lambda row: f"not built here ({NOT_BUILT[row.method]})",
            part={"bottleneck", "others"},
        ),
        (
            t.printed("method"),
            VERDICT,
            *(replace(p, raw=True, form="{:.3f}" if p is MACS else p.form) for p in pairs),
            BEST,
            t.Column("widths, printed", lambda line: _architecture(line.printed)),
            t.Column("widths, ours", widths),
        ),
        preset="paper",
    )


def _architecture(row: Any) -> Shape | str:
    return Shape(row.architecture) if row.architecture == row.architecture else DASH


def _best(run: Run) -> dict:
    """The epoch that the test set chooses.

    Source: the authors' code reports the best test error of a run (papers/vibnet.md section 5).
    """
    return max(run.values["history"], key=lambda epoch: epoch["test_accuracy"])


def _then(run: Run) -> Run:
    """The run with the widths of that epoch."""
    course, step = run.values["course"], _best(run)["step"]
    return run.at({"widths": next(p["widths"] for p in course if p["step"] == step)})


def _epoch(line: Line) -> str:
    (run,) = line.runs
    return f"{_best(run)['epoch']:g} of {run.values['history'][-1]['epoch']:g}"


def _from_widths(results: Results, preset: str) -> Iterator[Line]:
    """Every printed row with widths, as if it were a run."""
    rows = results.study.printed("results")
    for row in rows[rows.architecture.notna()].itertuples():
        place = (row.table, row.protocol) if row.protocol == row.protocol else (row.table,)
        case = results.line(preset, printed=(*place, "VIBNet")).case
        numbers = map(int, row.architecture.split("-"))
        run = Run(case, "", 0, {})
        found = dict(zip(plan(run).whole, numbers, strict=True))
        yield Line(case, (run.at({"widths": found}),), printed=row)


CHECKED = tuple(
    replace(pair, form="{:.3f}", kind=Number, heads=("printed", "of the widths"))
    for pair in (WEIGHTS, ACTIVATIONS, MACS)
)


def _follows(line: Line) -> Verdict:
    """Whether the printed numbers follow from the printed widths."""
    (run,), shown = line.runs, {pair: pair.printed(line) for pair in CHECKED}
    met = {
        agrees(p.measure(run), value, places(value)) for p, value in shown.items() if value == value
    }
    if "differs" in met:
        return Verdict("differs", "differs")
    return Verdict("agrees", max(met, key=len))


NETWORK = t.Column("network", lambda line: NETWORKS[line.case.model])
LAST = t.number("error %, last", m.error)
SMALL_ROW = (t.number("weights %", weights), t.number("activations %", activations))


def _of_whole(key: str) -> t.Column:
    def measure(run: Run) -> float:
        return 100 * run.values[key] / getattr(plan(run).counts(), key)

    return t.number(f"{'MACs' if key == 'macs' else key} %", measure)


TABLES = (
    *map(_mnist, OF),
    t.Table(
        "VIBNet if the test set chooses the epoch (preset paper)",
        t.each_run(part="bottleneck"),
        (
            NETWORK,
            t.SEED,
            LAST,
            t.number("error %, best epoch", lambda run: 100 * (1 - _best(run)["test_accuracy"])),
            t.Column("epoch", _epoch),
            t.number("weights % then", lambda run: weights(_then(run))),
            t.number("activations % then", lambda run: activations(_then(run))),
            t.Column(
                "widths then", lambda line: widths(replace(line, runs=tuple(map(_then, line.runs))))
            ),
        ),
        preset="paper",
    ),
    t.Table(
        "What the printed widths give",
        _from_widths,
        (
            t.printed("network"),
            t.printed("method"),
            t.Column("verdict", _follows),
            *CHECKED,
            t.Column("widths", lambda line: _architecture(line.printed)),
        ),
        preset="paper",
    ),
    t.Table(
        "On digits (preset {})",
        t.each_run(part={"bottleneck", "frontier", "others"}),
        (
            t.Column("method", lambda line: line.case.label),
            *SMALL_ROW,
            LAST,
            t.number("error %, best", m.best_error),
            t.Column("widths", widths),
            t.SEED,
        ),
        presets={"quick": "quick", "smoke": "smoke"},
    ),
    t.Table(
        "Tables 3 and 4: VGG on CIFAR (preset paper)",
        t.beside(
            "results",
            "table",
            "protocol",
            "method",
            where=lambda rows: rows[rows.table.isin(["T3", "T4"])],
            missing=DASH,
            part="vgg",
        ),
        (
            t.printed("dataset", "data"),
            t.printed("network"),
            t.printed("protocol"),
            t.printed("method"),
            VERDICT,
            *COMPARED,
            BEST,
            t.Column("in parentheses", lambda line: Printed(line.printed.error_in_parentheses_pct)),
        ),
        preset="paper",
    ),
    t.Table(
        "In short: ResNet-20 on CIFAR-10 (preset standard)",
        t.each_run(part="cifar"),
        (
            NETWORK,
            t.number("kl", lambda run: run.case.task.method.kl, "{:g}"),
            _of_whole("macs"),
            _of_whole("weights"),
            t.number("error %, before", lambda run: 100 * (1 - run.values["before"])),
            LAST,
            t.number("error %, best", m.best_error),
            t.SEED,
        ),
        preset="standard",
    ),
)
