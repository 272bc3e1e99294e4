"""Input of DCP's figures and widget, from ledger rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from prunelab import pictures
from prunelab.study import measures as m
from prunelab.study.papers.discrimination_aware import lines
from prunelab.study.papers.discrimination_aware.cases import cases
from prunelab.study.papers.discrimination_aware.settings import SETTINGS, STEM
from prunelab.study.printed import printed
from prunelab.study.results import Results, Run
from prunelab.study.study import Study

STAGED = {"DCP", "DCP-Adapt", "Random DCP"}
# Part of the study -> what is varied, its printed table, the column that names a setting there,
# and for each panel: heading, printed column, measure.
Sweep = tuple[str, str, str, tuple[tuple[str, str, Callable[[Run], float | None]], ...]]
SWEEPS: dict[str, Sweep] = {
    "lambda": (
        "table6_lambda",
        "lam",
        "ResNet-56 on CIFAR-10",
        (
            ("training error (%)", "train_err", lambda run: lines.selected("train_accuracy", run)),
            ("test error (%)", "test_err", lambda run: lines.selected("accuracy", run)),
        ),
    ),
    "epsilon": (
        "table7_epsilon",
        "epsilon",
        "VGGNet on CIFAR-10",
        (
            ("test error (%)", "test_err", m.error),
            ("parameters, before / after", "param_ratio", lambda run: lines.fewer("params", run)),
        ),
    ),
    "losses": (
        "tableS1_num_losses",
        "num_losses",
        "ResNet-56 on CIFAR-10",
        (("error gap (points)", "err_gap", m.change),),
    ),
}


def _results(rows: Iterable[dict]) -> Results:
    return Results(Study(STEM, cases), rows)


def stages(rows: Iterable[dict], preset: str) -> pd.DataFrame:
    """Errors of the staged methods on the first network of a preset.

    Columns: method, seed, moment, error, train_error (fractions).
    """
    results, found = _results(rows), []
    model = next(iter(SETTINGS[preset].values())).network.model
    for line in results.lines(preset, part="methods", name=STAGED, model=model):
        for run in lines.over(results, preset, line).runs:
            found += [(run.case.name, run.seed, *moment) for moment in _moments(run)]
    return pd.DataFrame(found, columns=["method", "seed", "moment", "error", "train_error"])


def _moments(run: Run) -> Iterable[tuple[str, float, float]]:
    """Moment, test error and training error of the network, from unpruned to fine-tuned."""
    yield "unpruned", 1 - run.base.values["accuracy"] if run.base else np.nan, np.nan
    for one in run.values["stages"]:
        yield f"stage {one['stage']}", 1 - one["accuracy"], 1 - one["train_accuracy"]
    yield "fine-tuned", 1 - run.values["accuracy"], np.nan


def sweep(rows: Iterable[dict], preset: str, part: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Our runs and the printed points of a sweep: setting, measure, value, source; ours: seed."""
    table, column, source, panels = SWEEPS[part]
    results, ours = _results(rows), []
    for line in lines.varied(part, results, preset):
        name, at = f"ours, {line.case.model} on {line.case.data}", lines.setting(part, line)
        for run in line.runs:
            ours += [(at, panel, measure(run), name, run.seed) for panel, _, measure in panels]
    theirs = [
        (lines.text(getattr(row, column)), panel, getattr(row, field), f"printed, {source}")
        for row in printed(STEM, table).itertuples()
        for panel, field, _ in panels
    ]
    columns = ["setting", "measure", "value", "source"]
    found = pd.DataFrame(ours, columns=[*columns, "seed"]).astype({"value": float})
    return found, pd.DataFrame(theirs, columns=columns)


def selections(rows: Iterable[dict], preset: str) -> Mapping[str, Any] | None:
    """What was recorded of single layers; None if it was not measured."""
    runs = _results(rows).runs(preset, part="selections")
    return runs[0].values if runs else None


def maps(values: Mapping[str, Any], layer: str) -> tuple[np.ndarray, np.ndarray]:
    """The maps (C, H, W) of a layer and the image (C, H, W), as grey values."""
    return pictures.unpack(values["layers"][layer]["maps"]), pictures.unpack(values["image"])


def chosen(values: Mapping[str, Any], layer: str) -> dict[str, list[int]]:
    """The channels of a layer that DCP drops, and those that it keeps, the first chosen first."""
    found = values["layers"][layer]
    kept = set(found["kept"]["DCP"])
    dropped = [c for c in range(len(found["scores"][0])) if c not in kept]
    return {"dropped by DCP": dropped, "kept by DCP": [c for c in found["order"] if c in kept]}


def layers(values: Mapping[str, Any]) -> pd.DataFrame:
    """Each layer: its dropped and its kept maps, and what both losses were and became.

    Brightness is the mean of the maps, in percent of the layer's brightest pixel. A loss whose
    end is more than 1 times its start was smaller with no channel at all.
    """
    found = []
    for name, layer in values["layers"].items():
        shown, grey = pictures.unpack(layer["maps"]), chosen(values, name)
        bright = {key: 100 * shown[channels].mean() / 255 for key, channels in grey.items()}
        first, last = (np.asarray(layer["losses"][at]) for at in (0, -1))
        losses = {f"{loss}, end / start": now for loss, now in zip(("L_M", "L_S"), last / first)}
        row = {"layer": name}
        row |= {f"brightness %, {key}": value for key, value in bright.items()}
        found.append(row | losses)
    return pd.DataFrame(found).round(2)
