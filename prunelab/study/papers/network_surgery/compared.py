"""Network surgery: what is compared with print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from prunelab.study import measures as m
from prunelab.study import saved, search
from prunelab.study import tables as t
from prunelab.study.cells import Missing, Number, Printed, Range, Spread
from prunelab.study.papers.network_surgery.cases import (
    ALL_IMAGES,
    PRINTED,
    SEARCHES,
    alexnet_layer,
)
from prunelab.study.results import Line, Results, Run

MODELS = {name: model for model, name in PRINTED.items()}
NETWORK = t.Column("network", lambda line: PRINTED[line.case.model])


def compression(run: Run) -> float:
    """All parameters over those that are kept."""
    return run.values["compression"]


def before(run: Run) -> float:
    """Test error of the network that is pruned, in percent."""
    return 100 * (1 - run.values["before"]["accuracy"])


def change(run: Run) -> float:
    """Of the test error by pruning, in points."""
    return 100 * (run.values["before"]["accuracy"] - run.values["accuracy"])


# Table 1


def _rows(results: Results) -> dict[str, Any]:
    """Model -> the pruned network's printed row, with the error of its reference."""
    table = results.study.printed("table1_overall")
    errors = table[table.kind == "reference"].set_index("model").error_pct
    pruned = table[table.kind == "pruned"].assign(reference=table.model.map(errors))
    return {MODELS[row.model]: row for row in pruned.itertuples()}


def _overall(results: Results, preset: str) -> Iterator[Line]:
    """Each network, and below it what is trained on all images."""
    for model, row in _rows(results).items():
        for name in ("surgery", ALL_IMAGES):
            line = results.line(preset, name=name, setting="", model=model)
            if line.runs or name != ALL_IMAGES:
                yield replace(line, printed=row)


def _network(line: Line) -> str:
    whole = ", trained on all images" if line.case.name == ALL_IMAGES else ""
    return f"{PRINTED[line.case.model]}{whole}"


SIZE = t.Pair("compression", "compression", compression, "{:.1f}x", unit="x", at_least=True)
BEFORE = t.Pair("error % before,", "reference", before, raw=True)
ERROR = t.Pair("error % after,", "error_pct", m.error, raw=True, heads=("printed", "ours (last)"))
COMPRESSION = t.Column("compression", t.ours(Range, compression, "{:.1f}x"))
NO_WORSE = m.NoWorse((ERROR, SIZE), seen=lambda line: SEARCHES[line.case.model].seen)

# How the settings were chosen


def _choice(results: Results, preset: str) -> Iterator[Line]:
    """Each setting that was compared."""
    for model, row in _rows(results).items():
        if model not in SEARCHES:
            continue
        found = [
            results.line(preset, part="surgery", model=model),
            *results.lines(preset, part="candidates", model=model),
        ]
        shown, *others = (replace(line, printed=row) for line in found)
        yield from SEARCHES[model].judged(shown, others, _fits)


def _fits(line: Line) -> bool:
    """Whether every seed is at least as small as the printed network."""
    return all(compression(run) >= line.printed.compression for run in line.runs)


# Layer by layer


def _alexnet(results: Results, preset: str) -> Iterator[Line]:
    """What is counted, of any preset, and what the surgery leaves."""
    counted = results.line(part="counts", model="alexnet")
    pruned = results.line(preset, part="imagenet")
    for row in results.study.printed("table4_alexnet_layers").itertuples():
        name = row.layer if row.layer == "total" else alexnet_layer(row.layer)
        line = replace(pruned, runs=(*counted.runs, *pruned.runs), printed=row)
        yield line.at(t.layer(name))


def kept_pct(run: Run) -> float:
    """Of a layer's parameters, in percent."""
    return 100 * run.values["kept"] / run.values["size"]


def _top(run: Run) -> float:
    """Of the survivors, the share that was among the largest before, in percent."""
    return 100 * run.values["top_share"]


PARAMS = t.ours(Number, lambda run: run.values["params"], "{:,}", of="alexnet")


def _count(line: Line) -> str | Missing:
    cell = PARAMS(line)
    if isinstance(cell, Missing):
        return cell
    return "equal" if cell.value == line.printed.params else "differs"


SURVIVING = {"surgery", "no splicing"}


TABLES = (
    t.Table(
        "Table 1: error and compression (preset paper)",
        _overall,
        (
            t.Column("network", _network),
            t.Column("verdict", NO_WORSE),
            SIZE,
            BEFORE,
            ERROR,
            t.Column("error % after, ours (best)", t.ours(Range, m.best_error)),
        ),
        preset="paper",
    ),
    t.Table(
        "Table 2: parameters left, layer by layer (preset paper)",
        t.beside("table2_lenet_layers", "model", at="layer", part="surgery"),
        (
            t.printed("model", "network"),
            t.printed("layer"),
            t.Column("parameters", lambda line: Number(line.printed.params, "{:,}")),
            t.Column("Han et al. % printed", lambda line: Printed(line.printed.han_pct)),
            t.Column(
                "authors' model, kept", lambda line: Number(line.printed.released_kept, "{:,}")
            ),
            t.Column("authors' model, %", lambda line: Number(line.printed.released_pct)),
            t.Column("ours, kept", t.ours(Range, lambda run: run.values["kept"], "{:,.0f}")),
            t.Column("ours, %", t.ours(Range, kept_pct)),
        ),
        preset="paper",
    ),
    t.Table(
        "Which weights survive (preset paper)",
        t.beside("released_models", "model", at="layer", name=SURVIVING, setting=""),
        (
            t.printed("model", "network"),
            t.printed("layer"),
            t.Column(
                "authors' model, %", lambda line: Number(100 * line.printed.top_share, "{:.0f}")
            ),
            t.Column("surgery, %", t.ours(Range, _top, "{:.0f}", of="surgery")),
            t.Column("no splicing, %", t.ours(Range, _top, "{:.0f}", of="no splicing")),
        ),
        preset="paper",
    ),
    search.table(
        "How rate, decay and c were chosen (preset paper)",
        _choice,
        NETWORK,
        SEARCHES,
        {"rate": "lr", "decay": "weight_decay"},
        COMPRESSION,
        _fits,
        lambda line: f"{NO_WORSE.met(line, line.runs)} of {len(line.runs)} seeds",
    ),
    t.Table(
        "Surgery and its controls, {}",
        t.each_case(only_run=True, part={"surgery", "frontier", "controls"}),
        (
            NETWORK,
            t.Column("method", lambda line: line.case.label),
            COMPRESSION,
            t.Column("error % (last)", t.ours(Range, m.error)),
            t.Column("error % (best)", t.ours(Range, m.best_error)),
            t.Column("change by pruning, points", t.ours(Spread, change)),
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
            t.number("error % before", before),
            t.number("error % after", m.error),
            t.number("kept of 21", lambda run: run.values["kept"], "{}"),
            t.number("into the hidden units", lambda run: t.layer("fc1")(run)["kept"], "{}"),
            t.number("out of them", lambda run: t.layer("fc2")(run)["kept"], "{}"),
        ),
    ),
    *saved.tables(NETWORK),
    t.Table(
        "AlexNet: counts and Table 4 (preset paper)",
        _alexnet,
        (
            t.printed("layer"),
            t.Column("parameters", lambda line: Number(line.printed.params, "{:,}")),
            t.Column("parameters ours", PARAMS),
            t.Column("count", _count),
            t.Column("Han et al. % left, printed", lambda line: Printed(line.printed.han_pct)),
            t.Column("surgery % left, printed", lambda line: Printed(line.printed.dns_pct)),
            t.Column("surgery % left, ours", t.ours(Number, kept_pct, "{:.1f}", of="surgery")),
        ),
        preset="paper",
    ),
)
