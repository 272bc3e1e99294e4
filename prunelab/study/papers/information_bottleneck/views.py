"""Input of VIBNet's figures and widget, from ledger rows."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from prunelab.study import counts
from prunelab.study import views as v
from prunelab.study.papers.information_bottleneck.cases import (
    STEM,
    TABLES,
    BottleneckSetting,
    cases,
)
from prunelab.study.printed import printed
from prunelab.study.results import Run
from prunelab.study.study import Study

SIZES = {"weights_pct": counts.weights, "activations_pct": counts.activations, "error": v.error}


def _runs(rows: Iterable[dict], **wanted: object) -> list[Run]:
    return Study(STEM, cases).results(rows).runs(**wanted)


def frontier(rows: Iterable[dict], setting: BottleneckSetting) -> pd.DataFrame:
    """Points of one network: method, setting, seed, sizes in percent, error (fraction)."""
    others = [setting.others[0].data] if setting.others else []
    where = {"model": setting.network.model, "data": {setting.network.data, *others}}
    return v.points(_runs(rows, part={"bottleneck", "frontier", "others"}, **where), SIZES)


def _printed(model: str, data: str) -> pd.DataFrame:
    """The printed rows of one network on MNIST, with the columns of `frontier`."""
    rows = printed(STEM, "results")
    rows = rows[rows.table == (TABLES[model] if data == "mnist" else None)].reset_index(drop=True)
    return rows.assign(activations_pct=rows.footprint_pct, error=rows.error_pct / 100)


def printed_points(model: str, data: str) -> pd.DataFrame:
    """The printed points of one network on MNIST, in the columns of `frontier`."""
    return _printed(model, data)[["method", *SIZES]]


def course(rows: Iterable[dict]) -> pd.DataFrame:
    """Units left of each place after each epoch: place, epoch, units, size, seed."""
    return v.course(_runs(rows), "widths", "units")


def log_ratios(rows: Iterable[dict]) -> pd.DataFrame:
    """Histograms of log(sigma^2 / mu^2) of runs: place, epoch, counts."""
    return v.course(_runs(rows), "log_ratio", "counts")[["place", "epoch", "counts"]]


def played(rows: Iterable[dict]) -> list[dict]:
    """Runs of one network at several strengths, as `widgets.strength_player` takes them."""
    return [
        {
            "kl": run.case.task.method.kl,
            "seed": run.seed,
            "widths": {place: run.values["widths"][place] for place in counts.of(run).whole},
            "whole": dict(counts.of(run).whole),
            "macs": counts.left(run).macs,
            "best_error": 1 - run.values["best_accuracy"],
            "pixels": run.values.get("pixels"),
            **{name: measure(run) for name, measure in SIZES.items()},
        }
        for run in _runs(rows)
    ]


def printed_run(model: str, data: str) -> dict | None:
    """The printed VIBNet row of a network on MNIST, as `widgets.strength_player` takes it."""
    found = _printed(model, data)
    for line in found[found.method == "VIBNet"].itertuples():  # one at most
        out = {name: getattr(line, name) for name in SIZES}
        if line.mflop == line.mflop:
            out["macs"] = round(1e6 * line.mflop)
        if isinstance(line.architecture, str):
            widths = map(int, line.architecture.split("-"))
            out["widths"] = dict(zip(counts.network(model).whole, widths))
        return out
    return None


def printed_curve(model: str, data: str) -> pd.DataFrame | None:
    """The authors' curve of all units of LeNet-300-100 on MNIST: epoch, left (fraction)."""
    if (model, data) != ("lenet-300-100", "mnist"):
        return None
    return printed(STEM, "figure2_curve")[["epoch", "left"]]
