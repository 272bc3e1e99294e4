"""Looking inside a recorded network whose weights come with the package: no image is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prunelab import models, paths, sensitivity, surgery
from prunelab.groups import Groups, trace
from prunelab.widgets.exploring.looking import Seen, filters, ranks

# Row of a recording -> the network that it was measured on; a test compares with the recipes.
TRAINED = {"058234313d97": "ba4364b25449", "52006e9206c1": "67508a1142eb"}


class Weights:
    """Filters of a network, and what criteria say that look at weights alone.

    Args:
        model: name of the architecture, see `models.build`.
        file: the trained network.
        shape: of a batch of one input.
    """

    photos = 0

    def __init__(self, model: str, file: Path, shape: tuple[int, ...]):
        self.model, self.file, self.shape = model, file, shape

    @cached_property
    def _net(self) -> tuple[torch.nn.Module, Groups]:
        """Read at the first look: an explorer opens without it."""
        net = surgery.load(models.build(self.model), self.file).eval()
        return net, trace(net, torch.zeros(self.shape))

    @cached_property
    def order(self) -> Mapping[str, Tensor]:
        """Group -> scores by which the recorded networks were pruned."""
        return sensitivity.ranking(*self._net, "l1")

    def look(self, group: str, photo: int) -> Seen:
        """The channels of a group."""
        net, groups = self._net
        found = ranks(net, groups, group, None, None)
        return Seen(filters(net, groups[group]), None, found, None, None)

    def classes(self, group: str, advance: Callable[[float], None]) -> tuple[list[str], list[str]]:
        """Which classes lose is a question to images."""
        raise ValueError("explorer: a recording has no images: give a network and data")


def weights(network: Mapping[str, Any] | None, shape: tuple[int, ...]) -> Weights | None:
    """The weights of a recording's network (model and file, a name), if they are here."""
    if network is None:
        return None
    file = paths.results() / "data" / "checkpoints" / f"{network['file']}.safetensors"
    return Weights(network["model"], file, shape) if file.is_file() else None
