"""Exercises of notebook 10, from the choice of ratios to the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from prunelab import sensitivity
from prunelab.lab import bench
from prunelab.lab.exercise import Exercise

RATIOS = "it must be ratios by group, as {'conv1': 0.3, 'conv2': 0.5, 'fc1': 0.7}"
OVER = "this plan leaves more than half of the MACs: remove more where it saves much"
WORSE = "a single ratio for all groups predicts more: remove less of the sensitive groups"


def _uniform() -> dict[str, float]:
    """The smallest ratio of the curves' grid that meets the budget in all groups."""
    plans = (dict.fromkeys(bench.groups(), r) for r in bench.RATIOS)
    whole = bench.curves().attrs["whole"]["macs"]
    return next(p for p in plans if _guess(p).macs <= bench.BUDGET * whole)


def _guess(plan: Mapping[str, float]) -> sensitivity.Prediction:
    return sensitivity.predict(bench.curves(), plan)


def judge(plan: Any) -> str | None:
    """What is wrong with a plan for half of the MACs."""
    if not isinstance(plan, Mapping):
        return RATIOS
    try:
        mine = _guess(bench.plan_of(plan).ratios)
    except ValueError as error:
        return f"no plan of this network: {str(error).removeprefix('pruned: ')}"
    if mine.macs > bench.BUDGET * bench.curves().attrs["whole"]["macs"]:
        return OVER
    return WORSE if mine.accuracy < _guess(_uniform()).accuracy else None


def columns(keep: Tensor, pixels: int) -> list[int]:
    """Inputs of a linear layer that stay when channels of `pixels` each are flattened before it."""
    return [c * pixels + p for c in keep.nonzero()[:, 0].tolist() for p in range(pixels)]


def recovered(whole: float, pruned: float, tuned: float) -> float:
    """The share of the lost accuracy that fine-tuning brings back."""
    return (tuned - pruned) / (whole - pruned)


def faster(share: float, factor: float) -> float:
    """How many times faster a network gets if `share` of its time is spent `factor` times faster."""
    return 1 / (1 - share + share / factor)


def difference(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Mean difference over seeds, and half of its 95% interval, paired by seed."""
    apart = np.subtract(one, other)
    error = apart.std(ddof=1) / math.sqrt(len(apart))
    return float(apart.mean()), float(student.ppf(0.975, len(apart) - 1) * error)


def _unpaired(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    error = math.sqrt((np.var(one, ddof=1) + np.var(other, ddof=1)) / len(one))
    return difference(one, other)[0], float(student.ppf(0.975, len(one) - 1) * error)


def _normal(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    mean, half = difference(one, other)
    return mean, half * 1.96 / float(student.ppf(0.975, len(one) - 1))


def proved(results: Mapping[str, Sequence[float]]) -> set[tuple[str, str]]:
    """The pairs (better, worse) whose interval does not contain 0."""
    found = set()
    for one, other in combinations(results, 2):
        mean, half = difference(results[one], results[other])
        if abs(mean) > half:
            found.add((one, other) if mean > 0 else (other, one))
    return found


def _by_mean(results: Mapping[str, Sequence[float]]) -> set[tuple[str, str]]:
    mean = {name: float(np.mean(values)) for name, values in results.items()}
    return {(a, b) for a in mean for b in mean if mean[a] > mean[b]}


_RESULTS = (
    {"a": (0.95, 0.96, 0.97), "b": (0.94, 0.95, 0.96), "c": (0.60, 0.75, 0.90)},
    {"a": (0.90, 0.91, 0.92), "b": (0.95, 0.97, 0.96), "c": (0.91, 0.89, 0.93)},
)
_PAIRS = tuple((one["a"], one["c"]) for one in _RESULTS)

LATER = (
    Exercise(
        "10-7",
        "choose the ratios",
        lambda: sensitivity.solve(bench.curves(), macs=bench.BUDGET),
        (
            (lambda: dict.fromkeys(bench.groups(), 0.1), OVER),
            (lambda: {"conv1": 0.9}, WORSE),
            (
                lambda: {"conv9": 0.5},
                "no plan of this network: no group `conv9`; groups are conv1, conv2, fc1",
            ),
        ),
        RATIOS,
        difficulty=3,
        importance=5,
        minutes=20,
        judge=judge,
    ),
    Exercise(
        "10-8",
        "channels through a flatten",
        columns,
        (
            (
                lambda k, p: k.nonzero()[:, 0].tolist(),
                "each channel is `pixels` inputs after the flatten",
            ),
            (lambda k, p: columns(~k, p), "these are the inputs that go"),
            (
                lambda k, p: sorted(
                    c + p_ * len(k) for c in k.nonzero()[:, 0].tolist() for p_ in range(p)
                ),
                "a flatten puts all pixels of a channel together, one channel after the other",
            ),
        ),
        "channel c lies at positions c * pixels to (c + 1) * pixels - 1",
        (
            (torch.tensor([True, False, True]), 4),
            (torch.tensor([False, True, True, False]), 2),
        ),
        difficulty=3,
        importance=4,
        minutes=10,
    ),
    Exercise(
        "10-9",
        "what fine-tuning brings back",
        recovered,
        (
            (lambda w, p, t: t - p, "this is in accuracy; a share of what was lost is asked for"),
            (lambda w, p, t: t / w, "a share of the accuracy lost, not of the whole accuracy"),
            (lambda w, p, t: (w - t) / (w - p), "this is the share that stays lost"),
        ),
        "whole - pruned was lost; tuned - pruned came back",
        ((0.95, 0.75, 0.93), (0.99, 0.19, 0.97)),
        minutes=6,
    ),
    Exercise(
        "10-10",
        "why half of the MACs is not half of the time",
        faster,
        (
            (lambda s, f: f, "only a part of the time gets shorter"),
            (lambda s, f: 1 - s + s / f, "this is the time left; how many times faster is asked"),
            (lambda s, f: 1 + s * (f - 1), "times add up, speeds do not: begin with the time left"),
        ),
        "the time left is 1 - share + share / factor",
        ((0.5, 2.0), (0.9, 4.0), (0.2, 10.0)),
        importance=4,
        minutes=8,
    ),
    Exercise(
        "10-11",
        "a difference over seeds",
        difference,
        (
            (_unpaired, "pair the seeds: take the differences first, then their deviation"),
            (_normal, "three seeds have Student's t with n - 1 degrees of freedom, not 1.96"),
            (
                lambda a, b: (
                    difference(a, b)[0],
                    difference(a, b)[1] * math.sqrt(len(a)),
                ),
                "the error of a mean is the deviation divided by the root of n",
            ),
        ),
        "mean of the differences, and t(0.975, n - 1) times their deviation (n - 1) over root n",
        _PAIRS,
        difficulty=4,
        importance=5,
        minutes=15,
    ),
    Exercise(
        "10-12",
        "which differences are real",
        proved,
        (
            (_by_mean, "a larger mean proves nothing: the interval must not contain 0"),
            (lambda r: {(b, a) for a, b in proved(r)}, "the better one comes first"),
            (lambda r: set(), "some intervals do not contain 0"),
        ),
        "for each pair: is the mean difference larger than half of its interval?",
        tuple((one,) for one in _RESULTS),
        difficulty=4,
        importance=5,
        minutes=15,
    ),
)
