"""Network surgery: what is compared with print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from prunelab.study import measures as m
from prunelab.study import saved, search
from prunelab.study.cells import Missing, Number, Printed, Range, Spread
from prunelab.study.papers.network_surgery.cases import (
    ALL_IMAGES,
    PRINTED,
    SEARCHES,
    alexnet_layer,
)
from prunelab.study.results import Line, Results, Run
from prunelab.study.tables import (
    PRESET,
    SEED,
    SEEDS,
    Column,
    Pair,
    Table,
    each_run,
    number,
    ours,
    printed,
)

MODELS = {name: model for model, name in PRINTED.items()}
NETWORK = Column("network", lambda line: PRINTED[line.case.model])


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


SIZE = Pair("compression", "compression", compression, "{:.1f}x", unit="x", at_least=True)
BEFORE = Pair("error % before,", "reference", before, raw=True)
ERROR = Pair("error % after,", "error_pct", m.error, raw=True, heads=("printed", "ours (last)"))
COMPRESSION = Column("compression", ours(Range, compression, "{:.1f}x"))
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


def _layer(name: str, run: Run) -> Mapping[str, Any]:
    """A layer of a run, or of all of them the sum."""
    layers = {layer["layer"]: layer for layer in run.values["layers"]}
    if name != "total":
        return layers[name]
    keys = {"kept", "size", "params"} & set.intersection(*map(set, layers.values()))
    return {key: sum(layer[key] for layer in layers.values()) for key in keys}


def _layers(results: Results, preset: str) -> Iterator[Line]:
    for row in results.study.printed("table2_lenet_layers").itertuples():
        line = results.line(preset, part="surgery", model=MODELS[row.model])
        yield replace(line.at(partial(_layer, row.layer)), printed=row)


def _survivors(results: Results, preset: str) -> Iterator[Line]:
    """The surgery and its control without splicing in one line."""
    for row in results.study.printed("released_models").itertuples():
        found = [
            results.line(preset, name=name, setting="", model=MODELS[row.model])
            for name in ("surgery", "no splicing")
        ]
        runs = tuple(run for line in found for run in line.runs)
        line = replace(found[0], runs=runs, printed=row)
        yield line.at(partial(_layer, row.layer))


def _alexnet(results: Results, preset: str) -> Iterator[Line]:
    """What is counted, of any preset, and what the surgery leaves."""
    counted = results.line(part="counts", model="alexnet")
    pruned = results.line(preset, part="imagenet")
    for row in results.study.printed("table4_alexnet_layers").itertuples():
        name = row.layer if row.layer == "total" else alexnet_layer(row.layer)
        line = replace(pruned, runs=(*counted.runs, *pruned.runs), printed=row)
        yield line.at(partial(_layer, name))


def kept_pct(run: Run) -> float:
    """Of a layer's parameters, in percent."""
    return 100 * run.values["kept"] / run.values["size"]


def _top(run: Run) -> float:
    """Of the survivors, the share that was among the largest before, in percent."""
    return 100 * run.values["top_share"]


PARAMS = ours(Number, lambda run: run.values["params"], "{:,}", of="alexnet")


def _count(line: Line) -> str | Missing:
    cell = PARAMS(line)
    if isinstance(cell, Missing):
        return cell
    return "equal" if cell.value == line.printed.params else "differs"


# The controls, and XOR


def _controls(results: Results, preset: str) -> list[Line]:
    lines = results.lines(preset, part={"surgery", "frontier", "controls"})
    return [line for line in lines if line.runs]


def _entries(name: str, layer: str) -> Column:
    return number(name, lambda run: _layer(layer, run)["kept"], "{}")


def _within(line: Line) -> str:
    return f"{NO_WORSE.met(line, line.runs)} of {len(line.runs)} seeds"


TABLES = (
    Table(
        "Table 1: error and compression (preset paper)",
        _overall,
        (
            Column("network", _network),
            Column("verdict", NO_WORSE),
            SIZE,
            BEFORE,
            ERROR,
            Column("error % after, ours (best)", ours(Range, m.best_error)),
        ),
        preset="paper",
    ),
    Table(
        "Table 2: parameters left, layer by layer (preset paper)",
        _layers,
        (
            printed("model", "network"),
            printed("layer"),
            Column("parameters", lambda line: Number(line.printed.params, "{:,}")),
            Column("Han et al. % printed", lambda line: Printed(line.printed.han_pct)),
            Column("authors' model, kept", lambda line: Number(line.printed.released_kept, "{:,}")),
            Column("authors' model, %", lambda line: Number(line.printed.released_pct)),
            Column("ours, kept", ours(Range, lambda run: run.values["kept"], "{:,.0f}")),
            Column("ours, %", ours(Range, kept_pct)),
        ),
        preset="paper",
    ),
    Table(
        "Which weights survive (preset paper)",
        _survivors,
        (
            printed("model", "network"),
            printed("layer"),
            Column(
                "authors' model, %", lambda line: Number(100 * line.printed.top_share, "{:.0f}")
            ),
            Column("surgery, %", ours(Range, _top, "{:.0f}", of="surgery")),
            Column("no splicing, %", ours(Range, _top, "{:.0f}", of="no splicing")),
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
        Column("within print", _within),
    ),
    Table(
        "Surgery and its controls, {}",
        _controls,
        (
            NETWORK,
            Column("method", lambda line: line.case.label),
            COMPRESSION,
            Column("error % (last)", ours(Range, m.error)),
            Column("error % (best)", ours(Range, m.best_error)),
            Column("change by pruning, points", ours(Spread, change)),
            SEEDS,
        ),
        presets={
            "paper": "MNIST, presets standard and paper",
            "quick": "preset quick",
            "smoke": "preset smoke",
        },
    ),
    Table(
        "XOR, 2-5-1",  # its printed figures are not known well enough to be shown
        each_run(part="xor"),
        (
            PRESET,
            SEED,
            Column("printed", lambda line: ""),
            number("error % before", before),
            number("error % after", m.error),
            number("kept of 21", lambda run: run.values["kept"], "{}"),
            _entries("into the hidden units", "fc1"),
            _entries("out of them", "fc2"),
        ),
    ),
    *saved.tables(NETWORK),
    Table(
        "AlexNet: counts and Table 4 (preset paper)",
        _alexnet,
        (
            printed("layer"),
            Column("parameters", lambda line: Number(line.printed.params, "{:,}")),
            Column("parameters ours", PARAMS),
            Column("count", _count),
            Column("Han et al. % left, printed", lambda line: Printed(line.printed.han_pct)),
            Column("surgery % left, printed", lambda line: Printed(line.printed.dns_pct)),
            Column("surgery % left, ours", ours(Number, kept_pct, "{:.1f}", of="surgery")),
        ),
        preset="paper",
    ),
)
