"""What VIBNet's study found on MNIST, in sentences made from its rows."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from prunelab.study.papers.information_bottleneck.cases import NORMED, TABLES
from prunelab.study.papers.information_bottleneck.mnist import (
    ACTIVATIONS,
    ERROR,
    NETWORKS,
    WEIGHTS,
    by_way,
    name,
)
from prunelab.study.results import Line, Results, Run


def findings(results: Results, preset: str = "paper") -> list[str]:
    """Of each network and way to train: how VIBNet ends, and what a choice by test error adds."""
    lines = [line for model in TABLES for line in by_way(results, preset, model).values()]
    return [_told(line) for line in lines if line.runs]


def _told(line: Line) -> str:
    network = NETWORKS[line.case.model.removesuffix(NORMED)]
    ours = {pair: fmean(map(pair.measure, line.runs)) for pair in (WEIGHTS, ACTIVATIONS, ERROR)}
    sizes = " and ".join(
        f"{ours[pair]:.2f}% of the {word} ({pair.printed(line):g} printed)"
        for pair, word in ((WEIGHTS, "weights"), (ACTIVATIONS, "activations"))
    )
    gap = ours[ERROR] - ERROR.printed(line)
    seeds = f"{len(line.runs)} seed{'s' if len(line.runs) > 1 else ''}"
    return (
        f"{network}, {name(line)}, {seeds}: {sizes}; its error of {ours[ERROR]:.2f}% is"
        f" {abs(gap):.2f} points {'above' if gap > 0 else 'below'} print."
        f" Were the epoch chosen by test error, it would be {_less(line.runs)} points lower."
    )


def _less(runs: Iterable[Run]) -> str:
    """Mean and range of what the best epoch on the test set is better by, at whatever widths."""
    gains = [
        100 * max(epoch["test_accuracy"] for epoch in run.values["history"])
        - 100 * run.values["accuracy"]
        for run in runs
    ]
    return f"{fmean(gains):.2f} ({min(gains):.2f} to {max(gains):.2f})"
