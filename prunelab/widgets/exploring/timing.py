"""Latencies that can be compared: networks timed in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from torch import Tensor, nn

from prunelab import cost

WARMUP, LEAST, MOST = 1, 3, 9  # rounds
ENOUGH = 0.05  # seconds: who drags a slider waits for the answer


def in_turns(nets: Sequence[nn.Module], example: Tensor) -> list[float]:
    """Median seconds of each network on the same input.

    They take turns, every second round backwards: what else the machine does, and how warm it is,
    then slows all of them alike.
    """
    seconds: list[list[float]] = [[] for _ in nets]
    start = time.perf_counter()
    for number in range(WARMUP + MOST):
        if number >= WARMUP + LEAST and time.perf_counter() - start > ENOUGH:
            break
        for k in range(len(nets))[:: -1 if number % 2 else 1]:
            seconds[k].append(cost.latency(nets[k], example, calls=1, warmup=0).median)
    return [statistics.median(found[WARMUP:]) for found in seconds]
