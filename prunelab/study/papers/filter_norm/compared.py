"""PFEC: what is compared with print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from prunelab.study import measures as m
from prunelab.study.cells import DASH, Number, Printed, Shape, Spread
from prunelab.study.recipes import PRESETS
from prunelab.study.results import Line, Results, Run, devices
from prunelab.study.tables import SEEDS, Column, Pair, Table, beside, number, ours, printed
from prunelab.study.tasks import Baseline

NEAR = 0.3  # points of error; the spread of the paper's networks over seeds is about 0.2
MISPRINTS = {"ResNet-34-pruned-C": "a misprint: the paper's own rule gives 7.41"}
TRAINED = {"accuracy", "imagenet"}  # parts


def _counted(results: Results, preset: str | None) -> Iterator[Line]:
    """Table 1's networks over their unpruned ones."""
    rows = beside("table1_overall", "model", where=lambda t: t.dropna(subset="flop"), part="counts")
    for line in rows(results, preset):
        yield line.over(results.line(preset, part="counts", printed=(line.printed.unpruned,)))


def _count(key: str, run: Run) -> int:
    """For ResNet-34 the paper leaves the projection shortcuts out."""
    return run.values[key + ("_without_shortcuts" if run.case.model == "resnet-34" else "")]


def _less(key: str, run: Run) -> float | None:
    """Percent of the unpruned network's that is gone."""
    return None if run.base is None else 100 * (1 - _count(key, run) / _count(key, run.base))


def _pairs(name: str, key: str, field: str) -> tuple[Pair, Pair]:
    less = partial(_less, key)
    return (
        Pair(name, field, partial(_count, key), "{:,}", Number),
        Pair(f"{name} removed %", f"{field}_pruned_pct", less, kind=Number, places=1),
    )


COUNTS = (*_pairs("MACs", "macs", "flop"), *_pairs("weights", "weights", "params"))


def _layers(results: Results, preset: str | None) -> Iterator[Line]:
    """Table 2: each layer of the pruned network over that of the unpruned one, then all of them."""
    rows = ("VGG-16-pruned-A", "VGG-16")
    pruned, whole = (results.line(preset, part="counts", printed=(row,)) for row in rows)
    for place, row in enumerate(results.study.printed("table2_vgg16_layers").itertuples()):
        look = partial(_layer, place)
        yield replace(pruned.at(look).over(whole.at(look)), printed=row)


def _layer(place: int, run: Run) -> dict:
    layers = run.values["layers"]
    if place < len(layers):
        return layers[place]
    return {key: sum(layer[key] for layer in layers) for key in ("macs", "weights")}


def _whole(key: str, run: Run) -> int | None:
    return None if run.base is None else run.base.values[key]


def _maps(run: Run) -> int | None:
    return run.values["out"][0] if "out" in run.values else None


LAYERS = (
    Pair("MACs", "paper_flop", partial(_whole, "macs"), "{:,}", Number),
    Pair("weights", "paper_params", partial(_whole, "weights"), "{:,}", Number),
    Pair("maps after,", "maps_after", _maps, "{}", Number, places=0),
    Pair(
        "MACs removed %", "paper_flop_pruned_pct", m.removed("macs"), "{:.1f}", Number, 0, raw=True
    ),
)


def _trained(results: Results, preset: str | None) -> Iterator[Line]:
    """Every trained network of a preset over its unpruned one, and the printed row of its rule."""
    lines, table = results.lines(preset, part=TRAINED), results.study.printed("table1_overall")
    change = table.error_pct - table.unpruned.map(table.set_index("model").error_pct)
    rows = {(row.model,): row for row in table.assign(change=change).itertuples()}
    whole = {line.case.model: line for line in lines if isinstance(line.case.task, Baseline)}
    for line in lines:
        yield replace(line.over(whole[line.case.model]), printed=rows.get(line.case.printed))


def _printed_change(line: Line) -> str:
    """The change that the paper prints for the same rule on its own network."""
    row = line.printed
    return f"{row.change:+.2f} ({row.model})" if row and row.change == row.change else DASH


BEST = Pair("error %", "error_pct", m.best_error)
ERROR = replace(
    BEST,
    measure=m.error,
    kind=Spread,
    places=2,
    heads=("printed (best epoch)", "ours (last epoch)"),
)
DEVICE = Column("device", devices)
TABLES = (
    Table(
        "Table 1, cost: MACs and weights of really shrunk networks",
        _counted,
        (printed("model"), Column("verdict", m.Equal(COUNTS, MISPRINTS)), *COUNTS),
    ),
    Table(
        "Table 2: VGG-16 and VGG-16-pruned-A, layer by layer",
        _layers,
        (
            Column("layer", lambda line: line.printed.layer.replace("_", " ")),
            Column("verdict", m.Equal(LAYERS, {})),
            Column("map", lambda line: Shape(hw) if (hw := line.printed.out_hw) == hw else DASH),
            Column("maps", lambda line: Printed(line.printed.maps, 0)),
            *LAYERS,
        ),
    ),
    Table(
        "Table 1, test error: the paper's networks and recipe (preset paper)",
        beside("table1_overall", "model", part=TRAINED),
        (
            printed("model"),
            Column("verdict", m.Near(BEST, NEAR)),
            printed("dataset", "data"),
            ERROR,
            Column("error % ours (best epoch)", ours(Spread, m.best_error)),
            SEEDS,
            DEVICE,
        ),
        preset="paper",
    ),
    Table(
        "Before and after pruning, preset {}",
        _trained,
        (
            Column("network", lambda line: line.case.name),
            Column("data", lambda line: line.case.data),
            Column("error % before retraining", ours(Spread, m.error_before_retraining)),
            Column("error % (last epoch)", ours(Spread, m.error)),
            Column("error % (best epoch)", ours(Spread, m.best_error)),
            Column("change by pruning, points", ours(Spread, m.change)),
            Column("paper's change for this rule", _printed_change),
            number("MACs removed %", m.removed("macs"), "{:.1f}"),
            number("weights removed %", m.removed("weights"), "{:.1f}"),
            SEEDS,
            DEVICE,
        ),
        presets={preset: preset for preset in PRESETS[::-1]},
    ),
    Table(
        "What others measured (from their public pages)",
        beside("reproductions"),
        (
            printed("source"),
            printed("setting"),
            printed("metric"),
            printed("baseline_acc_or_err", "baseline"),
            printed("pruned_value", "pruned"),
            printed("note"),
        ),
    ),
)
