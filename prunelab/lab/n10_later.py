"""Exercises of notebook 10, from the choice of ratios to the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from prunelab.lab import bench
from prunelab.lab.exercise import Exercise
from prunelab.lab.planning import RATIOS, against, judge, solver


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


def _unpaired(one: Sequence[float], other: Sequence[float], free: int) -> tuple[float, float]:
    """The mean, and half of an interval that takes the two as independent."""
    error = math.sqrt((np.var(one, ddof=1) + np.var(other, ddof=1)) / len(one))
    return difference(one, other)[0], float(student.ppf(0.975, free * (len(one) - 1)) * error)


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


def _always(results: Mapping[str, Sequence[float]]) -> set[tuple[str, str]]:
    return {(a, b) for a in results for b in results if np.all(np.greater(results[a], results[b]))}


_RESULTS = (
    {"a": (0.95, 0.96, 0.97), "b": (0.94, 0.95, 0.96), "c": (0.60, 0.75, 0.90)},
    {"a": (0.90, 0.91, 0.92), "b": (0.95, 0.97, 0.96), "c": (0.91, 0.89, 0.93)},
    {  # five seeds: here Student's t is another number
        "a": (0.90, 0.93, 0.91, 0.94, 0.92),
        "b": (0.896, 0.922, 0.894, 0.934, 0.906),
        "c": (0.898, 0.918, 0.89, 0.943, 0.904),
    },
)
_PAIRS = tuple((one["a"], one["c"]) for one in _RESULTS)

LATER = (
    Exercise(
        "10-7",
        "choose the ratios",
        solver,
        (
            (
                lambda: dict.fromkeys(bench.groups(), 0.1),
                "it leaves 82.2% of the MACs: remove more where that saves much",
            ),
            (
                lambda: {"conv1": 1.5},
                "no plan of this network: a ratio must be in [0, 1); got 'conv1=1.5'",
            ),
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
        note=against,
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
                lambda k, p: k.repeat_interleave(p),
                "this is a mask; the positions of the inputs that stay are asked for",
            ),
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
            (lambda w, p, t: 100 * recovered(w, p, t), "this is in percent; a share is asked for"),
        ),
        "how much was lost by pruning, and how much of that is there again?",
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
        "how long does the part take that stays as it is, and how long the other?",
        ((0.5, 2.0), (0.9, 4.0), (0.2, 10.0)),
        importance=4,
        minutes=8,
    ),
    Exercise(
        "10-11",
        "a difference over seeds",
        difference,
        (
            (lambda a, b: _unpaired(a, b, 1), "pair the seeds: take the differences first"),
            (lambda a, b: _unpaired(a, b, 2), "pair the seeds; the two are not independent"),
            (_normal, "three seeds have Student's t with n - 1 degrees of freedom, not 1.96"),
            (
                lambda a, b: (difference(a, b)[0], difference(a, b)[1] * math.sqrt(len(a))),
                "the error of a mean is the deviation divided by the root of n",
            ),
            (
                lambda a, b: (difference(a, b)[0], difference(a, b)[1] * math.sqrt(1 - 1 / len(a))),
                "divide the squares by n - 1 in the deviation (`ddof=1`)",
            ),
            (lambda a, b: (-difference(a, b)[0], difference(a, b)[1]), "one minus other, not so"),
            (
                lambda a, b: (difference(a, b)[0], 2 * difference(a, b)[1]),
                "this is the whole width; half of it is asked for",
            ),
            (
                lambda a, b: (
                    difference(a, b)[0] - difference(a, b)[1],
                    difference(a, b)[0] + difference(a, b)[1],
                ),
                "these are the ends of the interval; its middle and half of its width are asked for",
            ),
        ),
        "take one difference for each seed; then their mean, deviation, and the factor of Student's t",
        _PAIRS,
        difficulty=4,
        importance=5,
        minutes=15,
        tolerance=1e-3,  # a factor from a table
    ),
    Exercise(
        "10-12",
        "which differences are real",
        proved,
        (
            (_by_mean, "a larger mean proves nothing: the interval must not contain 0"),
            (lambda r: {(b, a) for a, b in proved(r)}, "the better one comes first"),
            (_always, "ahead in every seed is not proved: the interval must not contain 0"),
            (lambda r: set(), "some intervals do not contain 0"),
            (
                lambda r: {tuple(sorted(pair)) for pair in proved(r)},
                "these pairs are proved, but within each the better one comes first",
            ),
        ),
        "for each pair: is the mean difference larger than half of its interval?",
        tuple((one,) for one in _RESULTS),
        difficulty=4,
        importance=5,
        minutes=15,
    ),
)
