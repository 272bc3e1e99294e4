"""Input of RBP's figures and widget, from ledger rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from prunelab.study import counts
from prunelab.study import measures as m
from prunelab.study import views as v
from prunelab.study.papers.recursive_bayesian.arms import OTHERS
from prunelab.study.papers.recursive_bayesian.cases import ARMS, STEM, Setting, cases
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study
from prunelab.study.units import EDGES

SIZES = {"weights_pct": counts.weights, "activations_pct": counts.activations, "error": v.error}


def _results(rows: Iterable[dict]) -> Results:
    return Results(Study(STEM, cases), rows)


def toy(rows: Iterable[dict]) -> pd.DataFrame:
    """Means of the toy's channels: arm, place, unit, epoch, mean, noisy."""
    found = []
    for run in _results(rows).runs(part="toy"):
        points = run.values["course"]
        an_epoch = next(point["step"] for point in points if point["step"])
        for point in points:
            for place in counts.of(run).whole:
                noisy, at = point["stage"] in ("all", place), point["step"] / an_epoch
                for unit, mean in enumerate(point["mean"][place], 1):
                    found.append((run.case.name, place, unit, at, mean, noisy))
    return pd.DataFrame(found, columns=["arm", "place", "unit", "epoch", "mean", "noisy"])


def noise(rows: Iterable[dict], model: str, data: str) -> pd.DataFrame:
    """Histograms of log(sigma^2 / mu^2) of RBP's first run: place, epoch, counts."""
    found = v.course(_first(rows, model, data), "log_ratio", "counts")
    return found[["place", "epoch", "counts"]]


def widths(rows: Iterable[dict], model: str, data: str) -> pd.DataFrame:
    """Units left after each epoch of RBP's first run: place, epoch, units, size, seed."""
    return v.course(_first(rows, model, data), "widths", "units")


def _first(rows: Iterable[dict], model: str, data: str) -> list[Run]:
    return _results(rows).runs(part="arms", name=ARMS[0], model=model, data=data)[:1]


def frontier(rows: Iterable[dict], model: str, data: str) -> pd.DataFrame:
    """Points of all arms and relatives: method, setting, seed, sizes in percent, error."""
    parts = {"arms", "candidates", "others"}
    return v.points(_results(rows).runs(part=parts, model=model, data=data), SIZES)


def played(rows: Iterable[dict], settings: Iterable[Setting]) -> list[dict]:
    """The toy's runs and the first run of each arm, as `widgets.stage_player` takes them.

    Args:
        rows: ledger rows.
        settings: of the networks to play.
    """
    results = _results(rows)
    runs = results.runs(part="toy")
    for setting in settings:
        for arm in ARMS:
            runs += results.runs(part="arms", name=arm, network=setting.network)[:1]
    return [_moments(run) for run in runs]


def _moments(run: Run) -> dict[str, Any]:
    points, method = run.values["course"], run.case.task.method
    an_epoch = next(point["step"] for point in points if point["step"])
    order = list(dict.fromkeys(point["stage"] for point in points))
    counts_of: dict[str, list[int]] = {}
    moments = []
    for point in points:
        counts_of |= point.get("log_ratio", {})
        places = {
            place: {
                "size": size,
                "left": point["widths"][place],
                "phase": _phase(place, point["stage"], order),
                "means": point.get("mean", {}).get(place),
                "counts": counts_of.get(place),
            }
            for place, size in counts.of(run).whole.items()
        }
        moment = {"stage": point["stage"], "epoch": point["step"] / an_epoch, "places": places}
        moments.append(moment)
    name = f"{run.case.name}, {run.case.model} on {run.case.data}"
    threshold = method.threshold * method.sigma
    return {"name": name, "threshold": threshold, "edges": list(EDGES), "moments": moments}


def _phase(place: str, stage: str, order: list[str]) -> str:
    """What a place does while a stage runs; the stages come in this order."""
    if stage in ("all", place):
        return "noisy"
    return "decided" if order.index(place) < order.index(stage) else "waiting"


def differences(lines: Iterable[Line], sizes: Iterable[str]) -> pd.DataFrame:
    """Of pairs of arms, what `plots.differences` takes: measure, pair, mean, half, seeds.

    The intervals are widened for the number of arms (Bonferroni).

    Args:
        lines: from `arms.paired`.
        sizes: measures of `arms.Beside.values`.
    """
    found = []
    for line in lines:
        pair = f"RBP less {line.note}" + ("\n(limited by the list)" if line.printed.limits else "")
        for name in sizes:
            values = line.printed.values[name]
            if values:  # one seed has no interval
                several = len(values) > 1
                middle = m.interval(values, len(OTHERS)) if several else (values[0], math.nan)
                found.append((name, pair, *middle, len(values)))
    return pd.DataFrame(found, columns=["measure", "pair", "mean", "half", "seeds"])
