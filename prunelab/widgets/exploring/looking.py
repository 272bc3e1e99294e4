"""Looking inside a group: its filters and maps as pictures, its scores, the classes that lose."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from prunelab import sensitivity
from prunelab.data import Split
from prunelab.groups import Group, Groups
from prunelab.groups.wiring import Wiring
from prunelab.meta import dtype_of
from prunelab.sensitivity.criterion import writers

JUDGED = 1000  # images that say which classes lose
CRITERIA = ("l1", "l2", "taylor", "geometric median", "mean activation", "batch norm")


@dataclass(frozen=True)
class Seen:
    """What is seen of a group: pictures, ranks by criterion, the photo, which classes lose."""

    filters: np.ndarray
    maps: np.ndarray | None  # None without images
    ranks: dict[str, list[float]]
    photo: np.ndarray | None
    said: tuple[list[str], list[str]] | None


class Looker:
    """Looks inside the groups of a whole network; what takes time is done once.

    Args:
        net: the whole network.
        groups: of it.
        split: the images that answer; its photos are shown.
        looked: the images that criteria look at.
        logits: entry of the output that holds the logits.
    """

    def __init__(
        self,
        net: nn.Module,
        groups: Groups,
        split: Split,
        looked: Split,
        logits: str | int | None = None,
    ):
        self.net, self.groups, self.split, self.looked = net, groups, split, looked
        self.logits, self.photos = logits, len(split)
        self._ranks: dict[str, dict[str, list[float]]] = {}
        self._said: dict[str, tuple[list[str], list[str]]] = {}

    def look(self, group: str, photo: int) -> Seen:
        """The channels of a group, and what they write for a photo."""
        one = self.groups[group]
        some = self.split.batch(slice(photo, photo + 1), dtype_of(self.net))[0]
        if group not in self._ranks:
            self._ranks[group] = ranks(self.net, self.groups, group, self.looked, self.logits)
        pictures = filters(self.net, one), maps(self.net, one, some)
        said = self._said.get(group)
        return Seen(*pictures, self._ranks[group], thumbnail(self.split, photo), said)

    def classes(self, group: str, advance: Callable[[float], None]) -> tuple[list[str], list[str]]:
        """A word and a line for each channel: which classes lose most if it alone goes.

        `advance` is told the fraction done; it may raise to stop.
        """
        if group not in self._said:
            part = self.split[:JUDGED]
            self._said[group] = losses(self.net, group, part, self.logits, advance)
        return self._said[group]


def filters(net: nn.Module, group: Group) -> np.ndarray:
    """(size, 1 or 3, h, w) in [0, 1]: how the first layer of the group writes each channel.

    Kernels that read one or three channels are shown as they are, grey = 0. Of other convolutions
    the mean absolute weight of each position is shown; of pointwise and linear layers all weights,
    folded to a square.
    """
    tensors = net.state_dict()
    first = writers(group, tensors)[0]
    weight = tensors[first.tensor].detach().movedim(first.axis, 0).cpu().float()
    weight = weight[first.offset : first.offset + first.repeat * group.size : first.repeat]
    if weight.ndim == 4 and weight.shape[-1] > 1:
        if weight.shape[1] in (1, 3):
            return _around_grey(weight).numpy()
        size = weight.abs().mean(1, keepdim=True)
        return (size / _largest(size)).numpy()
    flat = weight.flatten(1)
    side = math.ceil(math.sqrt(flat.shape[1]))
    folded = torch.zeros(len(flat), side * side)
    folded[:, : flat.shape[1]] = flat
    return _around_grey(folded.view(len(flat), 1, side, side)).numpy()


def _around_grey(weight: Tensor) -> Tensor:
    return 0.5 + 0.5 * weight / _largest(weight.abs())


def _largest(size: Tensor) -> Tensor:
    """Of each channel."""
    return size.flatten(1).amax(1).clamp(min=1e-12).view(-1, 1, 1, 1)


def maps(net: nn.Module, group: Group, photo: Tensor) -> np.ndarray:
    """(size, 1, h, w) in [0, 1]: what the channels write for a photo, on one scale for all.

    Args:
        net: the network.
        group: of it.
        photo: (1, C, H, W) as the network takes it.
    """
    first = writers(group, net.state_dict())[0]
    wiring = Wiring.of(net, photo, "explorer")
    node, seen = wiring.activation(wiring.call(first.layer)), []

    def take(_: object, __: Tensor, value: Tensor) -> None:
        last = isinstance(wiring.parts[first.layer], nn.Linear)
        own = value.movedim(-1, 1) if last else value
        seen.append(own[0, first.offset : first.offset + first.repeat * group.size].clone())

    wiring.watch({node}, take)(photo)
    found = seen[-1][:: first.repeat].abs().float().cpu()
    found = found if found.ndim == 3 else found.reshape(group.size, 1, -1)
    return (found / found.max().clamp(min=1e-12)).unsqueeze(1).numpy()


def ranks(
    net: nn.Module, groups: Groups, group: str, split: Split | None, logits: str | int | None
) -> dict[str, list[float]]:
    """Criterion -> share of the group's channels that each channel is above.

    A criterion that the group has nothing for is left out.
    """
    found = {}
    for name in CRITERIA:
        try:
            score = sensitivity.ranking(net, groups.select([group]), name, split, logits)[group]
        except ValueError:  # a group without batch norm has no scale; or there are no images
            continue
        place = score.argsort(stable=True).argsort().cpu().double()
        found[name] = (place / max(1, len(score) - 1)).tolist()
    return found


def losses(
    net: nn.Module,
    group: str,
    split: Split,
    logits: str | int | None,
    advance: Callable[[float], None],
) -> tuple[list[str], list[str]]:
    """For each channel the class that loses most if it alone goes, and a line with the next ones.

    Args:
        net: the whole network.
        group: name of the group.
        split: the images that answer.
        logits: entry of the output that holds the logits.
        advance: told the fraction done; may raise to stop.
    """
    table = sensitivity.each_channel(net, split, group, logits=logits, progress=advance)
    parts = [part for _, part in table.groupby("channel")]
    return [_word(part) for part in parts], [_line(part) for part in parts]


def _word(part: pd.DataFrame) -> str:
    """The class that loses most, in the tile itself: a finger does not hover."""
    worst = part.loc[part.change.idxmin()]
    if worst.change >= 0:
        return "none loses"
    return f"class {int(worst['class'])}: {100 * worst.change:+.0f}".replace("-", "−")


def _line(part: pd.DataFrame) -> str:
    worst = part.sort_values("change").head(3)
    said = [
        f"class {row['class']}: {100 * row['change']:+.0f} points".replace("-", "−")
        for row in worst.to_dict("records")
        if row["change"] < 0
    ]
    return "without it, " + (", ".join(said) if said else "no class loses")


def thumbnail(split: Split, photo: int) -> np.ndarray:
    """(H, W, 3) in [0, 1]: a photo, stretched to the whole range."""
    x = split.batch(slice(photo, photo + 1))[0][0].cpu()
    x = (x - x.min()) / (x.max() - x.min()).clamp(min=1e-12)
    return x[[0, 0, 0] if len(x) < 3 else [0, 1, 2]].permute(1, 2, 0).numpy()
