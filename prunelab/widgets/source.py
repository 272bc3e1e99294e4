"""Where the explorer's answers come from: one interface for measuring and for looking up."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from prunelab import checks, scores
from prunelab.sensitivity.budget.price import Price
from prunelab.train import Budget
from prunelab.widgets.plans import Hand, Plan

MEASURED, RECORDED, PREDICTED = "measured", "recorded", "predicted"
Ratios = Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """What a network does at some ratios, as far as it is known now."""

    accuracy: float  # of the pruned network on the images seen so far, in [0, 1]
    low: float | None  # of the change against the whole network: 95% interval, paired on the same
    high: float | None  # images; for a prediction, how far off it may be; None = not known
    whole: float  # accuracy of the whole network on the same images
    images: int  # seen so far
    total: int  # images in all
    params: int  # of the pruned network
    macs: int  # of the pruned network for one image
    seconds: float | None  # time of one image alone; None while it is not known
    how: str  # "measured" now, "recorded" earlier, or "predicted" from single layers
    epochs: int = 0  # of fine-tuning that the network had after pruning
    whole_seconds: float | None = None  # of the whole network, timed in turns with the pruned one


class Source(abc.ABC):
    """Answers for one network on one set of images."""

    title: str  # names the network and the images
    rows: list[dict]  # the network as `prunelab.groups.diagram` gives it
    stages: dict[str, list[str]]  # stage label -> names of its groups
    price: Price  # exact parameters and MACs of any widths
    whole: dict  # the whole network: params, macs, images; accuracy and seconds once known
    curves: pd.DataFrame | None = None  # a scan with its attrs
    presets: dict[str, dict[str, float]]  # label -> ratios
    criterion: str | None = "l1"  # what ranks the channels; None if it has no name
    looks: bool = (
        False  # whether the criterion looks at images, at training images if there are any
    )
    logits: str | int | None = None  # entry of the output that holds the logits
    made: str = ""  # when and how, in one line, if it is a recording
    inside: Any = None  # what looks inside its groups: `exploring.looking.Looker`
    hand: Hand = MappingProxyType(
        {}
    )  # group -> channels that were picked by hand, if they give its ratio
    why_not: str = ""  # why nothing can be scanned or saved; empty if it can
    why_not_train: str = ""  # the same for fine-tuning

    @property
    def sizes(self) -> Mapping[str, int]:
        """Group name -> channels of the whole network, in order of execution."""
        return self.price.sizes

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a batch of one input."""
        return (1, *next(row["out"] for row in self.rows if row["kind"] == "input"))

    def kept(self, ratios: Ratios) -> dict[str, int]:
        """Group name -> channels that stay, for the groups that lose any.

        Raises:
            ValueError: an unknown group, or a ratio outside [0, 1).
        """
        checks.kind("explorer", "ratios", ratios, Mapping, "a mapping, group -> fraction removed")
        for name in ratios:
            if name not in self.sizes:
                groups = ", ".join(self.sizes)
                raise ValueError(f"explorer: no group `{name}`; groups are {groups}")
        counts = {name: scores.kept(size, ratios.get(name, 0)) for name, size in self.sizes.items()}
        return {name: count for name, count in counts.items() if count < self.sizes[name]}

    def key(self, ratios: Ratios | Plan) -> frozenset:
        """What equal networks have in common: their widths."""
        return frozenset(self.kept(self.plan(ratios).ratios).items())

    def cost(self, ratios: Ratios) -> tuple[int, int]:
        """Parameters and MACs of the pruned network, exact."""
        return self.price(self.kept(ratios))

    def take(self, plan: Plan) -> None:
        """Go to a plan: its channels picked by hand are removed from now on."""
        self.hand = dict(plan.hand)

    def plan(self, given: Ratios | Plan) -> Plan:
        """Ratios as a plan, with the channels by hand and the fine-tunings that are on show."""
        if isinstance(given, Plan):
            return given
        lost = self.kept(given)
        hand = {name: own for name, own in self.hand.items() if name in lost}
        return Plan({name: given[name] for name in lost}, hand, None)

    def removed(self, group: str, ratios: Ratios | Plan) -> list[int]:
        """Positions of the channels of a group that the network at these ratios lacks."""
        return []

    def budgets(self, ratios: Ratios | Plan) -> list[Budget]:
        """Budgets of the fine-tunings that the network at these ratios has had."""
        return []

    def predicted(self, ratios: Ratios | Plan) -> Answer | None:
        """What the curves alone say, with a range, if it is known how far off they may be."""
        return None

    @abc.abstractmethod
    def known(self, ratios: Ratios | Plan) -> Answer | None:
        """The final answer, if it was measured before."""

    @abc.abstractmethod
    def answers(self, ratios: Ratios | Plan, stop: Callable[[], bool]) -> Iterator[Answer]:
        """Increasingly precise answers; the last one is final unless `stop()` became true."""
