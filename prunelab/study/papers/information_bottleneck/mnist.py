"""VIBNet on MNIST: Tables 1 and 2, how its settings were chosen, what a test set would choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

from prunelab.study import counts, search
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import Numbers
from prunelab.study.papers.information_bottleneck.cases import ALL_IMAGES, NORMED, SEARCHES
from prunelab.study.papers.information_bottleneck.cases import TABLES as OF
from prunelab.study.results import Line, Results

NETWORKS = {
    "lenet-300-100": "LeNet-300-100",
    "lenet-300-100-bn": "LeNet-300-100 with batch norm",
    "lenet-5-relu": "LeNet-5",
    "resnet-20": "ResNet-20",
}
WEIGHTS = t.Pair("weights %,", "weights_pct", counts.weights)
ACTIVATIONS = t.Pair("activations %,", "footprint_pct", counts.activations)
MACS = t.Pair("MMAC,", "mflop", counts.mmac)
ERROR = t.Pair("error %,", "error_pct", m.error, heads=("printed", "ours (last)"))
BEST = t.span("error %, ours (best)", m.best_error)
COMPARED = (WEIGHTS, ACTIVATIONS, MACS, ERROR)
NO_WORSE = m.NoWorse(COMPARED, seen=lambda line: _seen(line))
CLOSE = 1.05  # a candidate is small enough if its sizes are at most so many times the printed ones


def _seen(line: Line) -> tuple[int, ...]:
    """Seeds that chose the setting of a line."""
    chosen = line.case.part in ("bottleneck", ALL_IMAGES) and line.case.model in SEARCHES
    return SEARCHES[line.case.model].seen if chosen else tuple(run.seed for run in line.runs)


def _mnist(model: str) -> t.Table:
    """Tables 1 and 2. Behind VIBNet's row: on all images, and with batch norm."""
    table, network = OF[model], NETWORKS[model]
    pairs = [pair for pair in COMPARED if pair is not MACS or table == "T2"]  # T1 prints none
    rows = t.beside(
        "results",
        "table",
        "method",
        only=lambda row: row.table == table,
        part={"bottleneck", "others"},
        model=model,
    )

    def lines(results: Results, preset: str | None) -> Iterator[Line]:
        for line in rows(results, preset):
            if line.printed.method != "VIBNet":
                yield line
                continue
            # All images first, as in the paper; then the network that its settings were chosen on.
            for way, one in by_way(results, preset, model).items():
                if one.runs or way == WAYS[1]:
                    yield one

    return t.Table(
        f"Table {table[1]}: {network} on MNIST (preset paper)",
        lines,
        (
            t.Column("method", name),
            NO_WORSE,
            *(replace(p, raw=True, form="{:.3f}" if p is MACS else p.form) for p in pairs),
            BEST,
            t.printed("architecture", "widths, printed", Numbers),
            t.Column("widths, ours", counts.widths),
        ),
        preset="paper",
    )


# The part of the case, and how the name of its network ends.
Way = tuple[str, str]
WAYS: tuple[Way, ...] = (
    (ALL_IMAGES, ""),
    ("bottleneck", ""),
    ("bottleneck", NORMED),
    (ALL_IMAGES, NORMED),
)
LARGER = "larger than printed"


def by_way(results: Results, preset: str | None, model: str) -> dict[Way, Line]:
    """VIBNet on one network: way -> line; the note says if the search met no printed size."""
    printed = next(row for row in results.study.printed("results").itertuples()
                   if (row.table, row.method) == (OF[model], "VIBNet"))  # fmt: skip
    found = {}
    for part, normed in WAYS:
        line = results.line(preset, part=part, model=model + normed)
        chosen = results.line(preset, part="bottleneck", model=model + normed)
        search_of = SEARCHES.get(model + normed)
        seen = [run for run in chosen.runs if search_of and run.seed in search_of.seen]
        searched = replace(chosen, printed=printed, runs=tuple(seen))
        note = LARGER if seen and not _fits(searched) else ""
        found[part, normed] = replace(line, printed=printed, note=note)
    return found


def name(line: Line) -> str:
    """The method; what of a run is not as printed."""
    if line.case is None:
        return line.printed.method
    normed = ", batch norm (a variant)" if line.case.model.endswith(NORMED) else ""
    images = ", all images" if line.case.part == ALL_IMAGES else ""
    larger = f" ({line.note})" if line.note and line.case.part in dict(WAYS) else ""
    return f"{line.printed.method}{normed}{images}{larger}"


# How VIBNet's settings were chosen


def _choice(results: Results, preset: str) -> Iterator[Line]:
    """The settings that were compared."""
    rows = {row.table: row for row in results.study.printed("results").itertuples()
            if row.method == "VIBNet"}  # fmt: skip
    for model, searched in SEARCHES.items():
        printed = rows[OF[model.removesuffix(NORMED)]]
        shown, *others = (
            replace(line, printed=printed)
            for part in ("bottleneck", "candidates")
            for line in results.lines(preset, part=part, model=model)
        )
        yield from searched.judged(shown, others, _fits)


def _fits(line: Line) -> bool:
    """Whether the mean of each size over the seeds is at most a little larger than printed."""
    sizes = [
        pair for pair in (WEIGHTS, ACTIVATIONS, MACS) if pair.printed(line) == pair.printed(line)
    ]
    return all(
        fmean(pair.measure(run) for run in line.runs) <= CLOSE * pair.printed(line)
        for pair in sizes
    )


# The epoch that the test set chooses: the authors' code reports the best test error of a run.
# Source: papers/vibnet.md section 5.


def _chosen(results: Results, preset: str) -> Iterator[Line]:
    """Each run, with the widths and the accuracy of that epoch; the note says which it is."""
    for run in results.runs(preset, part={"bottleneck", ALL_IMAGES}):
        history, course = run.values["history"], run.values["course"]
        best = max(history, key=lambda epoch: epoch["test_accuracy"])
        widths = next(point["widths"] for point in course if point["step"] == best["step"])
        then = run.at(run.values | {"widths": widths, "best_accuracy": best["test_accuracy"]})
        yield Line(run.case, (then,), note=f"{best['epoch']:g} of {history[-1]['epoch']:g}")


NETWORK = t.Column("network", lambda line: NETWORKS[line.case.model])
LAST = t.number("error %, last", m.error)
TABLES = (
    *map(_mnist, OF),
    search.table(
        "How the settings of VIBNet were chosen (preset paper)",
        _choice,
        NETWORK,
        SEARCHES,
        {"epochs": "epochs"},
        (t.span("weights %", counts.weights), t.span("activations %", counts.activations)),
        _fits,
        lambda line: f"{NO_WORSE.met(line, line.runs)} of {len(line.runs)} seeds",
    ),
    t.Table(
        "VIBNet if the test set chooses the epoch (preset paper)",
        _chosen,
        (
            NETWORK,
            t.Column("trained on", lambda line: line.case.setting or "without validation images"),
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
)
