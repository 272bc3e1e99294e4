"""Which images a network gets right, batch by batch, until somebody wants it to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from prunelab import train
from prunelab.data import Split

BATCH = 100  # on a CPU: what a layer writes stays in the caches (1000 takes up to 3 times as long)


class StoppedError(Exception):
    """Somebody pressed stop."""


def right(net: nn.Module, part: Split, stop: Callable[[], bool], options: Mapping) -> Tensor:
    """(N,) bool.

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
