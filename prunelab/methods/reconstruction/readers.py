"""Readers: the layers that read the channels of a group, and can be rebuilt from fewer of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from prunelab.groups import Group, Groups
from prunelab.groups.group import IN, SELECT
from prunelab.methods.base import Ratios
from prunelab.methods.reconstruction import rows


@dataclass(frozen=True)
class Reader:
    """A layer that reads the channels of a group.

    Attributes:
        layer: its name.
        start: the first column of `weight.flatten(1)` that belongs to the group.
        channels: size of the group.
        area: columns of each channel.
    """

    layer: str
    start: int
    channels: int
    area: int

    @property
    def columns(self) -> slice:
        """The group's columns of `weight.flatten(1)`."""
        return slice(self.start, self.start + self.channels * self.area)


def readers_of(net: nn.Module, group: Group) -> list[Reader]:
    """The layers that read a group. ValueError, with the reason, if one cannot be rebuilt."""
    found = []
    for s in group.slices:
        if s.role in (IN, SELECT):
            layer = net.get_submodule(s.layer)
            if why := rows.unfit(layer):
                raise ValueError(f"`{s.layer}` (reads `{group.name}`) cannot be rebuilt: {why}")
            area = layer.weight[0, 0].numel()
            found.append(Reader(s.layer, s.offset * area, group.size, s.repeat * area))
    if not found or len({r.layer for r in found}) < len(found):
        raise ValueError(f"`{group.name}` is not read by layers that read it once each")
    return found


def chosen(
    caller: str, net: nn.Module, groups: Groups, ratios: Ratios
) -> dict[str, tuple[float, list[Reader]]]:
    """Group -> ratio and readers, in order of execution; one ratio means all that can be rebuilt.

    Raises:
        ValueError: a name is no group, or its readers cannot be rebuilt; or nothing is left.
    """
    named = ratios if isinstance(ratios, Mapping) else dict.fromkeys(groups.inner(), ratios)
    order = {layer: place for place, layer in enumerate(groups.reads)}
    why = "all channels are those of residual streams" if groups else "no layer reads another one"
    found = {}
    for name, ratio in named.items():
        group = groups[name]
        try:
            found[name] = float(ratio), readers_of(net, group)
        except ValueError as error:
            why = str(error)
            if named is ratios:
                raise ValueError(f"{caller}: {why}") from None
    if not found:
        raise ValueError(f"{caller}: `net` has no channels that can be rebuilt: {why}")
    return dict(sorted(found.items(), key=lambda item: order[item[1][1][0].layer]))
