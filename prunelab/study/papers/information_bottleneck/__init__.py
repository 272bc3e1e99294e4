"""VIBNet: what is compared with print; `cases` says what is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Numbers, Printed
from prunelab.study.papers.information_bottleneck import views
from prunelab.study.papers.information_bottleneck.cases import METHODS, SETTINGS, cases
from prunelab.study.papers.information_bottleneck.cases import TABLES as OF
from prunelab.study.printed import agrees, places
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = ["METHODS", "SETTINGS", "STUDY", "views"]

NETWORKS = {"lenet-300-100": "LeNet-300-100", "lenet-5-relu": "LeNet-5", "resnet-20": "ResNet-20"}
NOT_BUILT = {"GD": "generalized dropout", "GL": "group lasso of SSL"}

WEIGHTS = t.Pair("weights %,", "weights_pct", counts.weights)
ACTIVATIONS = t.Pair("activations %,", "footprint_pct", counts.activations)
MACS = t.Pair("MMAC,", "mflop", counts.mmac)
ERROR = t.Pair("error %,", "error_pct", m.error, heads=("printed", "ours (last)"))
BEST = t.span("error %, ours (best)", m.best_error)
COMPARED = (WEIGHTS, ACTIVATIONS, MACS, ERROR)
NO_WORSE = m.NoWorse(COMPARED)


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
            only=lambda row: row.table == table,
            note=lambda row: f"not built here ({NOT_BUILT[row.method]})",
            part={"bottleneck", "others"},
        ),
        (
            "method",
            NO_WORSE,
            *(replace(p, raw=True, form="{:.3f}" if p is MACS else p.form) for p in pairs),
            BEST,
            t.printed("architecture", "widths, printed", Numbers),
            t.Column("widths, ours", counts.widths),
        ),
        preset="paper",
    )


# The epoch that the test set chooses: the authors' code reports the best test error of a run.
# Source: papers/vibnet.md section 5.


def _chosen(results: Results, preset: str) -> Iterator[Line]:
    """Each run, with the widths and the accuracy of that epoch; the note says which it is."""
    for run in results.runs(preset, part="bottleneck"):
        history, course = run.values["history"], run.values["course"]
        best = max(history, key=lambda epoch: epoch["test_accuracy"])
        widths = next(point["widths"] for point in course if point["step"] == best["step"])
        then = run.at(run.values | {"widths": widths, "best_accuracy": best["test_accuracy"]})
        yield Line(run.case, (then,), note=f"{best['epoch']:g} of {history[-1]['epoch']:g}")


# Do the printed numbers follow from the printed widths?


def _from_widths(results: Results, preset: str) -> Iterator[Line]:
    """Each printed row with widths, as if it were a run."""
    rows = results.study.printed("results")
    for row in rows[rows.architecture.notna()].itertuples():
        place = (row.table, row.protocol) if row.protocol == row.protocol else (row.table,)
        case = results.line(preset, printed=(*place, "VIBNet")).case
        run, numbers = Run(case, "", 0, {}), map(int, row.architecture.split("-"))
        found = dict(zip(counts.of(run).whole, numbers, strict=True))
        yield Line(case, (run.at({"widths": found}),), printed=row)


CHECKED = tuple(
    replace(pair, form="{:.3f}", kind=Number, heads=("printed", "of the widths"))
    for pair in (WEIGHTS, ACTIVATIONS, MACS)
)


class Follows(m.Rule):
    """A printed row agrees if all its numbers follow from its widths."""

    def judged(self, line: Line) -> tuple[str, str]:
        (run,), shown = line.runs, {pair: pair.printed(line) for pair in CHECKED}
        met = {agrees(p.measure(run), v, places(v)) for p, v in shown.items() if v == v}
        return ("differs", "differs") if "differs" in met else ("agrees", max(met, key=len))


def _of_whole(name: str, key: str) -> t.Column:
    """What is left of all MACs or weights, in percent."""
    return t.number(name, lambda run: 100 * run.values[key] / getattr(counts.of(run).counts(), key))


NETWORK = t.Column("network", lambda line: NETWORKS[line.case.model])
LAST = t.number("error %, last", m.error)
STUDY = Study(
    "information_bottleneck",
    cases,
    (
        *map(_mnist, OF),
        t.Table(
            "VIBNet if the test set chooses the epoch (preset paper)",
            _chosen,
            (
                NETWORK,
                t.SEED,
                LAST,
                t.number("error %, best epoch", m.best_error),
                t.Column("epoch", lambda line: line.note),
                t.number("weights % then", counts.weights),
                t.number("activations % then", counts.activations),
                t.Column("widths then", counts.widths),
            ),
            preset="paper",
        ),
        t.Table(
            "What the printed widths give",
            _from_widths,
            (
                "network",
                "method",
                Follows(),
                *CHECKED,
                t.printed("architecture", "widths", Numbers),
            ),
            preset="paper",
        ),
        t.Table(
            "On digits (preset {})",
            t.each_run(part={"bottleneck", "frontier", "others"}),
            (
                t.of_case("label", "method"),
                t.number("weights %", counts.weights),
                t.number("activations %", counts.activations),
                LAST,
                t.number("error %, best", m.best_error),
                t.Column("widths", counts.widths),
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
                only=lambda row: row.table in ("T3", "T4"),
                missing=DASH,
                part="vgg",
            ),
            (
                t.printed("dataset", "data"),
                "network",
                "protocol",
                "method",
                NO_WORSE,
                *COMPARED,
                BEST,
                t.printed("error_in_parentheses_pct", "in parentheses", Printed),
            ),
            preset="paper",
        ),
        t.Table(
            "In short: ResNet-20 on CIFAR-10 (preset standard)",
            t.each_run(part="cifar"),
            (
                NETWORK,
                t.number("kl", lambda run: run.case.task.method.kl, "{:g}"),
                _of_whole("MACs %", "macs"),
                _of_whole("weights %", "weights"),
                t.number("error %, before", lambda run: 100 * (1 - run.values["before"])),
                LAST,
                t.number("error %, best", m.best_error),
                t.SEED,
            ),
            preset="standard",
        ),
    ),
)
