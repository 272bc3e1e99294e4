"""What the figures and the widget take, from rows alone."""

from __future__ import annotations

import pandas as pd

from prunelab.study import tables as t
from prunelab.study.papers.information_bottleneck import counts
from prunelab.study.papers.information_bottleneck.recipes import STEM
from prunelab.study.papers.information_bottleneck.tables import NETWORKS, counted, percent


def course(rows: list[dict]) -> pd.DataFrame:
    """Units left of each place after each epoch: place, epoch, units, size, seed."""
    return pd.DataFrame([
        {"place": place, "epoch": epoch, "units": units, "size": size, "seed": row["seed"]}
        for row in rows
        for epoch, point in enumerate(row["values"]["course"])
        for place, size in _whole(row).items()
        for units in [point["widths"][place]]
    ])  # fmt: skip


def log_ratios(row: dict | None) -> pd.DataFrame:
    """Histograms of log(sigma^2 / mu^2): place, epoch, counts."""
    points = enumerate(row["values"]["course"] if row else [])
    return pd.DataFrame([
        {"place": place, "epoch": epoch, "counts": point["log_ratio"][place]}
        for epoch, point in points if "log_ratio" in point
        for place in _whole(row)
    ])  # fmt: skip


def played(rows: list[dict]) -> list[dict]:
    """Runs of one network at several strengths, as `widgets.strength_player` takes them."""
    out = []
    for row in rows:
        values, (weights, activations) = row["values"], percent(row)
        out.append({
            "kl": row["recipe"]["task"]["method"]["kl"], "seed": row["seed"],
            "widths": {place: values["widths"][place] for place in _whole(row)},
            "whole": _whole(row), "weights_pct": weights, "activations_pct": activations,
            "macs": counted(row).macs, "error": 1 - values["accuracy"],
            "best_error": 1 - values["best_accuracy"], "pixels": values.get("pixels"),
        })  # fmt: skip
    return out


def printed_run(model: str, data: str) -> dict | None:
    """The printed VIBNet row of a network on MNIST, as `widgets.strength_player` takes it."""
    if data != "mnist":
        return None
    lines = t.printed(STEM, "results")
    (line,) = lines[(lines.table == NETWORKS[model][0]) & (lines.method == "VIBNet")].itertuples()
    out = {"weights_pct": line.weights_pct, "activations_pct": line.footprint_pct,
           "error": line.error_pct / 100}  # fmt: skip
    if line.mflop == line.mflop:
        out["macs"] = round(1e6 * line.mflop)
    if isinstance(line.architecture, str):
        widths = map(int, line.architecture.split("-"))
        out["widths"] = dict(zip(counts.PLACES[model], widths))
    return out


def printed_curve(model: str, data: str) -> pd.DataFrame | None:
    """The authors' curve of all units of LeNet-300-100 on MNIST: epoch, left (fraction)."""
    if (model, data) != ("lenet-300-100", "mnist"):
        return None
    return t.printed(STEM, "figure2_curve")[["epoch", "left"]]


def _whole(row: dict) -> dict[str, int]:
    model = row["recipe"]["model"]
    return dict(zip(counts.PLACES[model], counts.WHOLE[model]))
