"""A plan: what is removed and how it was fine-tuned, and the short text that says it.

`conv1=0.5 conv2:0,3,7 +2` removes half of conv1 and three channels of conv2 that were picked by
hand, and was fine-tuned for two epochs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from prunelab import scores
from prunelab.masks import Keep

Hand = Mapping[str, tuple[int, ...]]
FORM = "`conv1=0.5 conv2:0,3 +1`: group=ratio, group:channels, +epochs"
RATIO = re.compile(r"(?P<group>[^=:\s]+)=(?P<ratio>[0-9.eE-]+)")
CHANNELS = re.compile(r"(?P<group>[^=:\s]+):(?P<channels>[0-9]{1,6}(,[0-9]{1,6})*)")
EPOCHS = re.compile(r"(\+[0-9]{1,4})+")


@dataclass(frozen=True)
class Plan:
    """A pruned network.

    Attributes:
        ratios: group -> fraction removed, for the groups that lose any.
        hand: group -> channels removed that were picked by hand; its ratio counts them.
        tuned: epochs of each fine-tuning that it had, in order; None = as on show.
    """

    ratios: Mapping[str, float] = field(default_factory=dict)
    hand: Hand = field(default_factory=dict)
    tuned: tuple[int, ...] | None = ()

    @property
    def epochs(self) -> int:
        """Of fine-tuning, in all."""
        return sum(self.tuned or ())

    def __str__(self) -> str:
        """As `parsed` reads it; empty for the whole network."""
        parts = [
            f"{name}:{','.join(map(str, self.hand[name]))}"
            if name in self.hand
            else f"{name}={ratio!r}"
            for name, ratio in self.ratios.items()
        ]
        tuned = "".join(f"+{epochs}" for epochs in self.tuned or ())
        return " ".join([*parts, tuned] if tuned else parts)


def parsed(text: str, sizes: Mapping[str, int], caller: str = "explorer") -> Plan:
    """The plan that a text says.

    Args:
        text: as `Plan` prints.
        sizes: group -> channels of the whole network.
        caller: whom an error names.

    Raises:
        ValueError: it is no plan, or not of this network.
    """
    ratios: dict[str, float] = {}
    hand: dict[str, tuple[int, ...]] = {}
    tuned: tuple[int, ...] = ()
    for part in text.split():
        if EPOCHS.fullmatch(part):
            tuned += tuple(int(epochs) for epochs in part.split("+") if epochs.strip("0"))
            continue
        found = RATIO.fullmatch(part) or CHANNELS.fullmatch(part)
        if found is None:
            raise ValueError(f"{caller}: a plan is written as {FORM}; got {part[:60]!r}")
        group = _known(found["group"], sizes, caller)
        if group in ratios:
            raise ValueError(f"{caller}: a plan names a group once; `{group}` is named again")
        if "ratio" in found.groupdict():
            ratios[group] = _ratio(found["ratio"], part, caller)
        else:
            channels = tuple(sorted({int(n) for n in found["channels"].split(",")}))
            if channels[-1] >= sizes[group] or len(channels) >= sizes[group]:
                raise ValueError(
                    f"{caller}: `{group}` has {sizes[group]} channels, 0 to {sizes[group] - 1}, and"
                    f" keeps one at least; got {part!r}"
                )
            ratios[group], hand[group] = len(channels) / sizes[group], channels
    return Plan({name: ratio for name, ratio in ratios.items() if ratio}, hand, tuned)


def kept(plan: Plan, order: Mapping[str, Tensor]) -> Keep:
    """What stays: the channels of largest score, or all but those picked by hand.

    Args:
        plan: which ratios.
        order: group -> (size,) scores.
    """
    found = {}
    for name, ratio in plan.ratios.items():
        found[name] = scores.best(order[name], scores.kept(len(order[name]), ratio))
        if name in plan.hand:
            found[name] = torch.ones_like(found[name])
            found[name][list(plan.hand[name])] = False
    return Keep(found)


def _known(group: str, sizes: Mapping[str, int], caller: str) -> str:
    if group not in sizes:
        raise ValueError(f"{caller}: no group `{group[:60]}`; groups are {', '.join(sizes)}")
    return group


def _ratio(text: str, part: str, caller: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio < 1:
        raise ValueError(f"{caller}: a ratio must be in [0, 1); got {part[:60]!r}")
    return ratio
