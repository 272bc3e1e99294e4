"""Measuring in the background: on all cores, batch by batch, until somebody wants it to stop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from prunelab import train
from prunelab.data import Split

BATCH = 100  # on a CPU: what a layer writes stays in the caches (1000 takes up to 3 times as long)
REST = 0.15  # seconds without a move after which a drag has ended


class StoppedError(Exception):
    """Somebody pressed stop."""


def right(net: nn.Module, part: Split, stop: Callable[[], bool], options: Mapping) -> Tensor:
    """Which images the network classifies correctly, (N,) bool.

    Args:
        net: a network.
        part: images.
        stop: true = leave off; asked before each batch.
        options: of `train.evaluate`.

    Raises:
        StoppedError: `stop` was true.
    """
    found, step = [], BATCH if part.device.type == "cpu" else len(part)
    for first in range(0, len(part), step):
        if stop():
            raise StoppedError
        found.append(train.evaluate(net, part[first : first + step], **options).correct)
    return torch.cat(found)


def at_rest(stop: Callable[[], bool]) -> bool:
    """Wait for the end of a drag: False if something newer was asked for in the meantime."""
    end = time.monotonic() + REST
    while not stop() and time.monotonic() < end:
        time.sleep(0.02)
    return not stop()


class _AllCores:
    """Let torch use every core for a while; its setting reaches other threads too."""

    def __init__(self):
        self._lock, self._users, self._before = threading.Lock(), 0, 1

    @contextmanager
    def __call__(self) -> Iterator[None]:
        own = getattr(os, "sched_getaffinity", None)  # Linux: those we may use
        with self._lock:
            if not self._users:
                self._before = torch.get_num_threads()
                torch.set_num_threads(len(own(0)) if own else os.cpu_count() or 1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    torch.set_num_threads(self._before)


all_cores = _AllCores()
