"""VIBNet: what is compared with print; `cases` says what is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Numbers, Printed
from prunelab.study.papers.information_bottleneck import mnist, views
from prunelab.study.papers.information_bottleneck.cases import METHODS, SETTINGS, cases
from prunelab.study.papers.information_bottleneck.findings import findings
from prunelab.study.papers.information_bottleneck.mnist import (
    ACTIVATIONS,
    BEST,
    COMPARED,
    LAST,
    MACS,
    NETWORK,
    NO_WORSE,
    WEIGHTS,
)
from prunelab.study.printed import agrees, places
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = ["METHODS", "SETTINGS", "STUDY", "findings", "views"]

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


STUDY = Study(
    "information_bottleneck",
    cases,
    (
        *mnist.TABLES,
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
