"""Weighed: what a task leaves of a network, on every scale: operations, bytes, seconds, images."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from prunelab import cost, train
from prunelab.data import Dataset
from prunelab.masks import packed
from prunelab.study.savings import sizes
from prunelab.study.work import Work

BATCH, CALLS, ROUNDS = 64, 5, 3  # images of a timed call, calls in a row, and turns


@dataclass(frozen=True)
class Weighed:
    """A task, and then its network on the scales.

    Attributes:
        task: a `Baseline`, `Prune` or `Scratch`.
    """

    KIND: ClassVar[str] = "weighed"

    task: Any

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Measure.

        Values: accuracy, weights, params, macs, widths or None; kept: parameters that are not 0;
        bytes: of the smallest file that `surgery` writes; seconds and whole_seconds: of a call
        with 64 images, of what is left and of the network before, the best medians of calls in
        turns; correct: which test images are right, as `masks.packed` writes it.
        """
        before = deepcopy(net)
        small, found = self.task.made(net, data, work)
        plain, total = cost.measure(small, data.example), cost.nonzeros(small).values()
        x = next(iter(data.test[:BATCH].batches(BATCH)))[0]
        timed = [
            [cost.latency(n, x, calls=CALLS, warmup=1).median for n in (small, before)]
            for _ in range(ROUNDS)
        ]
        seconds, whole = (min(times) for times in zip(*timed))
        return {
            "accuracy": found["accuracy"],
            "params": plain.params,
            "weights": plain.weights,
            "macs": plain.macs,
            "kept": sum(kept for kept, _ in total),
            "widths": found.get("widths"),
            "bytes": min(sizes(small).values()),
            "seconds": seconds,
            "whole_seconds": whole,
            "correct": packed(train.evaluate(small, data.test).correct.cpu()),
        }
