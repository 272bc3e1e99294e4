"""Network surgery: what is compared with print; `cases` says what is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from prunelab.study import measures as m
from prunelab.study import savings, search
from prunelab.study import tables as t
from prunelab.study.cells import Missing, Number, Printed
from prunelab.study.papers.network_surgery import views
from prunelab.study.papers.network_surgery.cases import (
    ALL_IMAGES,
    PRINTED,
    SEARCHES,
    SETTINGS,
    cases,
)
from prunelab.study.results import Line, Results
from prunelab.study.study import Study

__all__ = ["SETTINGS", "STUDY", "views"]

NETWORK = t.Column("network", lambda line: PRINTED[line.case.model])


# Table 1


def _rows(results: Results) -> dict[str, Any]:
    """Model -> its printed row."""
    models = {name: model for model, name in PRINTED.items()}
    return {models[row.model]: row for row in results.study.printed("table1_overall").itertuples()}


def _overall(results: Results, preset: str) -> Iterator[Line]:
    """Each network, followed by the same trained on all images."""
    for model, row in _rows(results).items():
        for name in ("surgery", ALL_IMAGES):
            line = results.line(preset, name=name, setting="", model=model)
            if line.runs or name != ALL_IMAGES:
                yield replace(line, printed=row)


def _network(line: Line) -> str:
    whole = ", trained on all images" if line.case.name == ALL_IMAGES else ""
    return f"{PRINTED[line.case.model]}{whole}"


SIZE = t.Pair("compression", "compression", m.compression, "{:.1f}x", unit="x", at_least=True)
BEFORE = t.Pair("error % before,", "reference_error_pct", m.error_before, raw=True)
ERROR = t.Pair("error % after,", "error_pct", m.error, raw=True, heads=("printed", "ours (last)"))
COMPRESSION = t.span("compression", m.compression, "{:.1f}x")
NO_WORSE = m.NoWorse((ERROR, SIZE), seen=lambda line: SEARCHES[line.case.model].seen)


# How the settings were chosen


def _choice(results: Results, preset: str) -> Iterator[Line]:
    """The settings that were compared."""
    for model, row in _rows(results).items():
        if model in SEARCHES:
            shown = results.line(preset, part="surgery", model=model)
            others = results.lines(preset, part="candidates", model=model)
            lines = [replace(line, printed=row) for line in (shown, *others)]
            yield from SEARCHES[model].judged(lines[0], lines[1:], _fits)


def _fits(line: Line) -> bool:
    """Whether every seed is at least as small as the printed network."""
    return all(m.compression(run) >= line.printed.compression for run in line.runs)


# Layer by layer


def _alexnet(results: Results, preset: str) -> Iterator[Line]:
    """Counts of any preset, and what the surgery keeps."""
    counted = results.line(part="counts", model="alexnet")
    pruned = results.line(preset, part="imagenet")
    for row in results.study.printed("table4_alexnet_layers").itertuples():
        line = replace(pruned, runs=(*counted.runs, *pruned.runs), printed=row)
        yield line.at(t.layer(row.module))


COUNT = partial(Number, form="{:,}")
PARAMS = t.ours(Number, lambda run: run.values["params"], "{:,}", of="alexnet")


def _count(line: Line) -> str | Missing:
    cell = PARAMS(line)
    if isinstance(cell, Missing):
        return cell
    return "equal" if cell.value == line.printed.params else "differs"


SURVIVING = {"surgery", "no splicing"}
STUDY = Study(
    "network_surgery",
    cases,
    (
        t.Table(
            "Table 1: error and compression (preset paper)",
            _overall,
            (
                t.Column("network", _network),
                NO_WORSE,
                SIZE,
                BEFORE,
                ERROR,
                t.span("error % after, ours (best)", m.best_error),
            ),
            preset="paper",
        ),
        t.Table(
            "Table 2: parameters left, layer by layer (preset paper)",
            t.beside("table2_lenet_layers", "model", at="layer", part="surgery"),
            (
                t.printed("model", "network"),
                "layer",
                t.printed("params", "parameters", COUNT),
                t.printed("han_pct", "Han et al. % printed", Printed),
                t.printed("released_kept", "authors' model, kept", COUNT),
                t.printed("released_pct", "authors' model, %", Number),
                t.span("ours, kept", m.kept, "{:,.0f}"),
                t.span("ours, %", m.kept_percent),
            ),
            preset="paper",
        ),
        t.Table(
            "Which weights survive (preset paper)",
            t.beside("released_models", "model", at="layer", name=SURVIVING, setting=""),
            (
                t.printed("model", "network"),
                "layer",
                t.printed("top_share", "authors' model, %", lambda v: Number(100 * v, "{:.0f}")),
                t.span("surgery, %", m.largest_percent, "{:.0f}", of="surgery"),
                t.span("no splicing, %", m.largest_percent, "{:.0f}", of="no splicing"),
            ),
            preset="paper",
        ),
        search.table(
            "How rate, decay and c were chosen (preset paper)",
            _choice,
            NETWORK,
            SEARCHES,
            {"rate": "lr", "decay": "weight_decay"},
            (COMPRESSION,),
            _fits,
            lambda line: f"{NO_WORSE.met(line, line.runs)} of {len(line.runs)} seeds",
        ),
        t.Table(
            "Surgery and its controls, {}",
            t.each_case(only_run=True, part={"surgery", "frontier", "controls"}),
            (
                NETWORK,
                t.of_case("label", "method"),
                COMPRESSION,
                t.span("error % (last)", m.error),
                t.span("error % (best)", m.best_error),
                t.spread("change by pruning, points", m.change_by_pruning),
                t.SEEDS,
            ),
            presets={
                "paper": "MNIST, presets standard and paper",
                "quick": "preset quick",
                "smoke": "preset smoke",
            },
        ),
        t.Table(
            "XOR, 2-5-1",  # its printed figures are not known well enough to be shown
            t.each_run(part="xor"),
            (
                t.PRESET,
                t.SEED,
                t.Column("printed", lambda line: ""),
                t.number("error % before", m.error_before),
                t.number("error % after", m.error),
                t.number("kept of 21", m.kept, "{}"),
                t.number("into the hidden units", lambda run: t.layer("fc1")(run)["kept"], "{}"),
                t.number("out of them", lambda run: t.layer("fc2")(run)["kept"], "{}"),
            ),
        ),
        *savings.tables(NETWORK),
        t.Table(
            "AlexNet: counts and Table 4 (preset paper)",
            _alexnet,
            (
                "layer",
                t.printed("params", "parameters", COUNT),
                t.Column("parameters ours", PARAMS),
                t.Column("count", _count),
                t.printed("han_pct", "Han et al. % left, printed", Printed),
                t.printed("dns_pct", "surgery % left, printed", Printed),
                t.Column(
                    "surgery % left, ours", t.ours(Number, m.kept_percent, "{:.1f}", of="surgery")
                ),
            ),
            preset="paper",
        ),
    ),
)
