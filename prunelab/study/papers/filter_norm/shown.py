"""PFEC: which training of a network is shown, where there are a longer and a shorter one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from prunelab.study.papers.filter_norm.cases import earlier
from prunelab.study.recipes import Recipe
from prunelab.study.results import Line, Results
from prunelab.study.views import error

TRAINED = {"accuracy", "imagenet"}  # parts


def before(preset: str, seeds: Iterable[int]) -> dict[str, list[Recipe]]:
    """Part -> recipes of what is shown until the longer trainings are measured."""
    seeds = list(seeds)
    found: dict[str, list[Recipe]] = {case.part: [] for case in earlier("standard")}
    for case in earlier(preset):
        own = replace(case, preset=preset)
        found[case.part] += [own.recipe("filter_norm", seed) for seed in seeds[: case.seeds]]
    return found


def epochs(line: Line) -> str:
    """Of the training before pruning, as "4" or "1.5"."""
    return f"{line.case.network.training.epochs:g}"


def of(rows: Iterable[dict]) -> str:
    """What rows were measured on, as "vgg-16 on cifar10, 30 epochs"."""
    for row in rows:
        recipe = row["recipe"]
        return f"{recipe['model']} on {recipe['data']}, {recipe['budget']['epochs']:g} epochs"
    return "no network"


def longest(lines: Iterable[Line]) -> list[Line]:
    """The lines without those of a network that has another training, which is shown instead.

    Shown is the longest training that is measured in full; failing that, one that is measured in
    part; failing that, the longest.
    """
    trainings: dict[tuple, dict[float, list[Line]]] = {}
    for line in (lines := list(lines)):
        network = line.case.network
        same = trainings.setdefault((network.model, network.data), {})
        same.setdefault(network.training.epochs, []).append(line)

    def rank(length: float, of: list[Line]) -> tuple[bool, bool, float]:
        measured = [bool(line.runs) for line in of]
        return all(measured), any(measured), length

    shown = [max(same.items(), key=lambda one: rank(*one))[1] for same in trainings.values()]
    kept = {id(line) for one in shown for line in one}
    return [line for line in lines if id(line) in kept]


def trained(results: Results, preset: str | None) -> list[Line]:
    """The trained networks of a preset, each in its longest training that is measured in full."""
    return longest(results.lines(preset, part=TRAINED))


def errors(results: Results, preset: str) -> pd.DataFrame:
    """Test errors of the trained networks: data (and epochs), label, error; a row for each seed."""
    found = [
        (f"{line.case.data}, {epochs(line)} epochs", line.case.name, error(run))
        for line in trained(results, preset)
        for run in line.runs
    ]
    return pd.DataFrame(found, columns=["data", "label", "error"])
