"""Flow: the graph of a network, and where in each activation the channels of a group stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import fx, nn

from prunelab.groups.evidence import Evidence
from prunelab.groups.group import Groups
from prunelab.groups.labels import thin, varying
from prunelab.groups.values import Tracked


@dataclass(frozen=True)
class ChannelAxis:
    """The channels of one group in one activation.

    Attributes:
        axis: the axis along which they stand.
        channel: (n,) for each position of that axis the channel of the group, or -1.
    """

    axis: int
    channel: np.ndarray


@dataclass(frozen=True, eq=False)
class Flow:
    """What tracing saw.

    Attributes:
        graph: the network's graph, as in evaluation.
        root: a copy of the network on the meta device; owns constants made in `forward`.
        groups: the prunable groups.
        values: node name -> what it gave while the network was followed.
    """

    graph: fx.Graph
    root: nn.Module
    groups: Groups
    values: dict[str, object]
    evidence: Evidence

    def place(self, node: str, group: str) -> ChannelAxis | None:
        """Where `group` stands in the output of `node`.

        None if it does not, if the output is no single tensor, or if its channels are spread over
        more than one axis.
        """
        value = self.values[node]
        if not isinstance(value, Tracked):
            return None
        axes = varying(value.labels) or [1]
        if len(axes) > 1 or value.labels.ndim < 2:
            return None
        few = thin(value.labels, tuple(axes))
        index = [0] * few.ndim
        index[axes[0]] = slice(None)
        channel = self.evidence.carried(group, few[tuple(index)].numpy())
        return ChannelAxis(axes[0], channel) if (channel >= 0).any() else None
