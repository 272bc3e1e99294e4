"""What the figures and the widget of VIBNet take, from ledger rows."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from prunelab.study import counts, views
from prunelab.study.papers.information_bottleneck.cases import STEM, TABLES, cases
from prunelab.study.papers.information_bottleneck.compared import activations, left, plan, weights
from prunelab.study.printed import printed
from prunelab.study.results import Run
from prunelab.study.study import Study


def _runs(rows: Iterable[dict], **wanted: str) -> list[Run]:
    return Study(STEM, cases).results(rows).runs(**wanted)


def frontier(rows: Iterable[dict], model: str, data: str) -> pd.DataFrame:
    """Points of one network: method, setting, seed, sizes in percent, error (fraction)."""
    measures = {
        "weights_pct": weights,
        "activations_pct": activations,
        "error": lambda run: 1 - run.values["accuracy"],
    }
    return views.points(_runs(rows, model=model, data=data), measures)


def printed_points(model: str, data: str) -> pd.DataFrame:
    """What the paper prints for one network on MNIST, in the columns of `frontier`."""
    names = {"weights_pct": "weights_pct", "footprint_pct": "activations_pct", "error_pct": "error"}
    rows = printed(STEM, "results")
    rows = rows[rows.table == (TABLES[model] if data == "mnist" else None)].reset_index(drop=True)
    points = rows[["method", *names]].rename(columns=names)
    return points.assign(error=points.error / 100)


def course(rows: Iterable[dict]) -> pd.DataFrame:
    """Units left of each place after each epoch: place, epoch, units, size, seed."""
    lines = [
        (place, epoch, point["widths"][place], size, run.seed)
        for run in _runs(rows)
        for epoch, point in enumerate(run.values["course"])
        for place, size in plan(run).whole.items()
    ]
    return pd.DataFrame(lines, columns=["place", "epoch", "units", "size", "seed"])


def log_ratios(rows: Iterable[dict]) -> pd.DataFrame:
    """Histograms of log(sigma^2 / mu^2) of runs: place, epoch, counts."""
    lines = [
        (place, epoch, point["log_ratio"][place])
        for run in _runs(rows)
        for epoch, point in enumerate(run.values["course"])
        if "log_ratio" in point
        for place in plan(run).whole
    ]
    return pd.DataFrame(lines, columns=["place", "epoch", "counts"])


def played(rows: Iterable[dict]) -> list[dict]:
    """Runs of one network at several strengths, as `widgets.strength_player` takes them."""
    return [
        {
            "kl": run.case.task.method.kl,
            "seed": run.seed,
            "widths": {place: run.values["widths"][place] for place in plan(run).whole},
            "whole": dict(plan(run).whole),
            "weights_pct": weights(run),
            "activations_pct": activations(run),
            "macs": left(run).macs,
            "error": 1 - run.values["accuracy"],
            "best_error": 1 - run.values["best_accuracy"],
            "pixels": run.values.get("pixels"),
        }
        for run in _runs(rows)
    ]


def printed_run(model: str, data: str) -> dict | None:
    """The printed VIBNet row of a network on MNIST, as `widgets.strength_player` takes it."""
    if data != "mnist":
        return None
    lines = printed(STEM, "results")
    (line,) = lines[(lines.table == TABLES[model]) & (lines.method == "VIBNet")].itertuples()
    out = {
        "weights_pct": line.weights_pct,
        "activations_pct": line.footprint_pct,
        "error": line.error_pct / 100,
    }
    if line.mflop == line.mflop:
        out["macs"] = round(1e6 * line.mflop)
    if isinstance(line.architecture, str):
        widths = map(int, line.architecture.split("-"))
        out["widths"] = dict(zip(counts.plan(model).whole, widths))
    return out


def printed_curve(model: str, data: str) -> pd.DataFrame | None:
    """The authors' curve of all units of LeNet-300-100 on MNIST: epoch, left (fraction)."""
    if (model, data) != ("lenet-300-100", "mnist"):
        return None
    return printed(STEM, "figure2_curve")[["epoch", "left"]]
