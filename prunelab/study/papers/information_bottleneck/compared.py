"""VIBNet: what is compared with print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study.cells import DASH, Number, Printed, Range, Shape, Verdict
from prunelab.study.papers.information_bottleneck.cases import TABLES as OF
from prunelab.study.printed import agrees, places
from prunelab.study.results import Line, Results, Run
from prunelab.study.tables import (
    SEED,
    Column,
    Pair,
    Table,
    beside,
    each_run,
    number,
    ours,
    printed,
)

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


WEIGHTS = Pair("weights %,", "weights_pct", weights)
ACTIVATIONS = Pair("activations %,", "footprint_pct", activations)
MACS = Pair("MMAC,", "mflop", mmac)
ERROR = Pair("error %,", "error_pct", m.error, heads=("printed", "ours (last)"))
BEST = Column("error %, ours (best)", ours(Range, m.best_error))
COMPARED = (WEIGHTS, ACTIVATIONS, MACS, ERROR)
VERDICT = Column("verdict", m.NoWorse(COMPARED))


def _mnist(model: str) -> Table:
    """Tables 1 and 2."""
    table, network = OF[model], NETWORKS[model]
    pairs = [pair for pair in COMPARED if pair is not MACS or table == "T2"]  # T1 prints none
    return Table(
        f"Table {table[1]}: {network} on MNIST (preset paper)",
        beside(
            "results",
            "table",
            "method",
            where=lambda rows: rows[rows.table == table],
            note=lambda row: f"not built here ({NOT_BUILT[row.method]})",
            part={"bottleneck", "others"},
        ),
        (
            printed("method"),
            VERDICT,
            *(replace(p, raw=True, form="{:.3f}" if p is MACS else p.form) for p in pairs),
            BEST,
            Column("widths, printed", lambda line: _architecture(line.printed)),
            Column("widths, ours", widths),
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


NETWORK = Column("network", lambda line: NETWORKS[line.case.model])
LAST = number("error %, last", m.error)
SMALL_ROW = (number("weights %", weights), number("activations %", activations))


def _of_whole(key: str) -> Column:
    def measure(run: Run) -> float:
        return 100 * run.values[key] / getattr(plan(run).counts(), key)

    return number(f"{'MACs' if key == 'macs' else key} %", measure)


TABLES = (
    *map(_mnist, OF),
    Table(
        "VIBNet if the test set chooses the epoch (preset paper)",
        each_run(part="bottleneck"),
        (
            NETWORK,
            SEED,
            LAST,
            number("error %, best epoch", lambda run: 100 * (1 - _best(run)["test_accuracy"])),
            Column("epoch", _epoch),
            number("weights % then", lambda run: weights(_then(run))),
            number("activations % then", lambda run: activations(_then(run))),
            Column(
                "widths then", lambda line: widths(replace(line, runs=tuple(map(_then, line.runs))))
            ),
        ),
        preset="paper",
    ),
    Table(
        "What the printed widths give",
        _from_widths,
        (
            printed("network"),
            printed("method"),
            Column("verdict", _follows),
            *CHECKED,
            Column("widths", lambda line: _architecture(line.printed)),
        ),
        preset="paper",
    ),
    Table(
        "On digits (preset {})",
        each_run(part={"bottleneck", "frontier", "others"}),
        (
            Column("method", lambda line: line.case.label),
            *SMALL_ROW,
            LAST,
            number("error %, best", m.best_error),
            Column("widths", widths),
            SEED,
        ),
        presets={"quick": "quick", "smoke": "smoke"},
    ),
    Table(
        "Tables 3 and 4: VGG on CIFAR (preset paper)",
        beside(
            "results",
            "table",
            "protocol",
            "method",
            where=lambda rows: rows[rows.table.isin(["T3", "T4"])],
            missing=DASH,
            note=lambda row: "not run here",
            part="vgg",
        ),
        (
            printed("dataset", "data"),
            printed("network"),
            printed("protocol"),
            printed("method"),
            VERDICT,
            *COMPARED,
            BEST,
            Column("in parentheses", lambda line: Printed(line.printed.error_in_parentheses_pct)),
        ),
        preset="paper",
    ),
    Table(
        "In short: ResNet-20 on CIFAR-10 (preset standard)",
        each_run(part="cifar"),
        (
            NETWORK,
            number("kl", lambda run: run.case.task.method.kl, "{:g}"),
            _of_whole("macs"),
            _of_whole("weights"),
            number("error %, before", lambda run: 100 * (1 - run.values["before"])),
            LAST,
            number("error %, best", m.best_error),
            SEED,
        ),
        preset="standard",
    ),
)
