"""PFEC: what is compared with print; `cases` says what is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import DASH, Number, Numbers, Printed, Spread
from prunelab.study.papers.filter_norm.cases import LONG, RETRAIN, SMALL, TABLE_1, cases
from prunelab.study.papers.filter_norm.shown import TRAINED, before, epochs, errors, of, trained
from prunelab.study.recipes import PRESETS
from prunelab.study.results import Line, Results, Run, devices
from prunelab.study.study import Study
from prunelab.study.tasks import Baseline

__all__ = ["LONG", "RETRAIN", "SMALL", "STUDY", "TABLE_1", "before", "errors", "of"]

NEAR = 0.3  # points of error; the spread of the paper's networks over seeds is about 0.2
MISPRINTS = {"ResNet-34-pruned-C": "a misprint: the paper's own rule gives 7.41"}


def _count(key: str, run: Run) -> int:
    """For ResNet-34 the paper leaves the projection shortcuts out."""
    return run.values[key + ("_without_shortcuts" if run.case.model == "resnet-34" else "")]


def _less(key: str, run: Run) -> float | None:
    """Reduction from the unpruned network, in percent."""
    return None if run.base is None else 100 * (1 - _count(key, run) / _count(key, run.base))


def _pairs(name: str, key: str, field: str) -> tuple[t.Pair, t.Pair]:
    less = partial(_less, key)
    return (
        t.Pair(name, field, partial(_count, key), "{:,}", Number),
        t.Pair(f"{name} removed %", f"{field}_pruned_pct", less, kind=Number, places=1),
    )


COUNTS = (*_pairs("MACs", "macs", "flop"), *_pairs("weights", "weights", "params"))


def _layers(results: Results, preset: str | None) -> Iterator[Line]:
    """Table 2: each layer of the pruned network beside the unpruned one, then the total."""
    rows = ("VGG-16-pruned-A", "VGG-16")
    pruned, whole = (results.line(preset, part="counts", printed=(row,)) for row in rows)
    for row in results.study.printed("table2_vgg16_layers").itertuples():
        look = t.layer(row.module)
        yield replace(pruned.at(look).over(whole.at(look)), printed=row)


def _whole(key: str, run: Run) -> int | None:
    return None if run.base is None else run.base.values[key]


def _maps(run: Run) -> int | None:
    return run.values["out"][0] if "out" in run.values else None


REMOVED = m.removed("macs")
LAYERS = (
    t.Pair("MACs", "paper_flop", partial(_whole, "macs"), "{:,}", Number),
    t.Pair("weights", "paper_params", partial(_whole, "weights"), "{:,}", Number),
    t.Pair("maps after,", "maps_after", _maps, "{}", Number, places=0),
    t.Pair("MACs removed %", "paper_flop_pruned_pct", REMOVED, "{:.1f}", Number, 0, raw=True),
)


def _trained(results: Results, preset: str | None) -> Iterator[Line]:
    """Each trained network of a preset, its unpruned network, and the printed row of its rule."""
    lines, table = trained(results, preset), results.study.printed("table1_overall")
    change = table.error_pct - table.unpruned.map(table.set_index("model").error_pct)
    rows = {(row.model,): row for row in table.assign(change=change).itertuples()}
    whole = {line.case.model: line for line in lines if isinstance(line.case.task, Baseline)}
    for line in lines:
        yield replace(line.over(whole[line.case.model]), printed=rows.get(line.case.printed))


def _printed_change(line: Line) -> str:
    """The change that the paper prints for the same rule on its own network."""
    row = line.printed
    return f"{row.change:+.2f} ({row.model})" if row and row.change == row.change else DASH


def _printed_error(line: Line) -> str:
    """The error that the paper prints, if it has a row for this very network."""
    row = line.printed
    same = row and TABLE_1[row.model.removesuffix(" scratch-train")][0] == line.case.model
    return f"{row.error_pct:.2f}" if same else DASH


BEST = t.Pair("error %", "error_pct", m.best_error)
ENDS = ("printed (best epoch)", "ours (last epoch)")
ERROR = t.Pair("error %", "error_pct", m.error, kind=Spread, places=2, heads=ENDS)
DEVICE = t.Column("device", devices)
STUDY = Study(
    "filter_norm",
    cases,
    (
        t.Table(
            "Table 1, cost: MACs and weights of really shrunk networks",
            t.beside(
                "table1_overall",
                "model",
                only=lambda row: row.flop == row.flop,
                over="unpruned",
                part="counts",
            ),
            ("model", m.Equal(COUNTS, MISPRINTS), *COUNTS),
        ),
        t.Table(
            "Table 2: VGG-16 and VGG-16-pruned-A, layer by layer",
            _layers,
            (
                t.printed("layer", kind=lambda name: name.replace("_", " ")),
                m.Equal(LAYERS),
                t.printed("out_hw", "map", Numbers),
                t.printed("maps", kind=partial(Printed, places=0)),
                *LAYERS,
            ),
        ),
        t.Table(
            "Table 1, test error: the paper's networks and recipe (preset paper)",
            t.beside("table1_overall", "model", part=TRAINED),
            (
                "model",
                m.Near(BEST, NEAR),
                t.printed("dataset", "data"),
                ERROR,
                t.spread("error % ours (best epoch)", m.best_error),
                t.SEEDS,
                DEVICE,
            ),
            preset="paper",
        ),
        t.Table(
            "Before and after pruning, preset {}",
            _trained,
            (
                t.of_case("name", "network"),
                t.of_case("data"),
                t.Column("epochs", epochs),
                t.spread("error % before retraining", m.error_before_retraining),
                t.spread("error % (last epoch)", m.error),
                t.spread("error % (best epoch)", m.best_error),
                t.Column("paper's error % (best epoch)", _printed_error),
                t.spread("change by pruning, points", m.change),
                t.Column("paper's change for this rule", _printed_change),
                t.number("MACs removed %", REMOVED, "{:.1f}"),
                t.number("weights removed %", m.removed("weights"), "{:.1f}"),
                t.SEEDS,
                DEVICE,
            ),
            presets={preset: preset for preset in PRESETS[::-1]},
        ),
        t.Table(
            "What others measured (from their public pages)",
            t.beside("reproductions"),
            (
                "source",
                "setting",
                "metric",
                t.printed("baseline_acc_or_err", "baseline"),
                t.printed("pruned_value", "pruned"),
                "note",
            ),
        ),
    ),
)
