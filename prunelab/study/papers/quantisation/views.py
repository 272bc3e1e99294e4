"""Input of the figures of quantisation, and sentences about them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from prunelab.study.papers.quantisation.cases import FLOAT, STEM, cases
from prunelab.study.results import Run
from prunelab.study.study import Case, Study

NAMES = {"lenet-5": "LeNet-5", "preresnet-20": "pre-activation ResNet-20"}
NEAR = 0.001  # of error: within 0.1 points a network is as good as in float
RUNS = Study(STEM, cases)


def size(run: Run) -> int:
    """Bytes of its smallest file."""
    return min(run.values["bytes"].values())


def network(case: Case) -> str:
    """A case's network and data in words."""
    return f"{NAMES[case.model]}, {case.data}"


def points(rows: Iterable[dict], preset: str) -> pd.DataFrame:
    """All runs: model, network, method, setting, seed, error (fraction), bytes (% of float)."""
    found = [
        {
            "model": run.case.model,
            "network": network(run.case),
            "method": run.case.name,
            "setting": run.case.setting,
            "seed": run.seed,
            "error": 1 - run.values["accuracy"],
            "bytes_pct": 100 * size(run) / run.values["bytes"]["dense"],
        }
        for run in RUNS.results(rows).runs(preset)
    ]
    columns = ["model", "network", "method", "setting", "seed", "error", "bytes_pct"]
    return pd.DataFrame(found, columns=columns)


def spreads(rows: Iterable[dict], preset: str, model: str) -> pd.DataFrame:
    """Weights of the largest layer, first seed: method, layer, weight (bin), before, after."""
    found = []
    for line in RUNS.results(rows).lines(preset, model=model):
        if line.case.name == FLOAT or not line.runs:
            continue
        own = line.runs[0].values["histogram"]
        step = 2 * own["limit"] / len(own["before"])
        for number, pair in enumerate(zip(own["before"], own["after"])):
            weight = -own["limit"] + (number + 0.5) * step
            found.append((line.case.label, own["layer"], weight, *pair))
    return pd.DataFrame(found, columns=["method", "layer", "weight", "before", "after"])


def findings(rows: Iterable[dict], preset: str) -> list[str]:
    """For each network, sentences about its smallest file and its most accurate one."""
    out = []
    for name, own in points(rows, preset).groupby("network", sort=False):
        means = own.groupby(["method", "setting"], sort=False)[["error", "bytes_pct"]].mean()
        whole = means.loc[FLOAT].iloc[0] if FLOAT in means.index else None
        rest = means.drop(FLOAT, errors="ignore")
        if whole is None or rest.empty:
            continue
        least, best = rest.bytes_pct.idxmin(), rest.error.idxmin()
        text = f"{name}: {_told(least, rest)}, the smallest file"
        text += " and" if best == least else f"; {_told(best, rest)},"
        text += " the smallest error"
        out.append(f"{text}. In float it is {100 * whole.error:.2f}%.")
        near = rest[rest.error <= whole.error + NEAR]
        if len(near):
            told = _told(near.bytes_pct.idxmin(), near)
            out.append(f"{name}: of what is at most 0.1 points worse than float, {told}.")
    return out


def _told(key: tuple[str, str], means: pd.DataFrame) -> str:
    row = means.loc[key]
    name = ", ".join(filter(None, key))
    return f"{name} has {row.bytes_pct:.1f}% of the bytes and an error of {100 * row.error:.2f}%"
