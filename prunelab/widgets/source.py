"""Where the explorer's answers come from: one interface for measuring and for looking up."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from prunelab import checks, scores
from prunelab.sensitivity.budget.price import Price
from prunelab.train import Budget

MEASURED, RECORDED, PREDICTED = "measured", "recorded", "predicted"
Ratios = Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """What a network does at some ratios, as far as it is known now.

    Attributes:
        accuracy: of the pruned network on the images seen so far, in [0, 1].
        low: of the change against the whole network: 95% interval, paired on the same images;
            None for a prediction.
        high: the other end.
        whole: accuracy of the whole network on the same images.
        images: seen so far.
        total: images in all.
        params: parameters of the pruned network.
        macs: multiply-accumulates of the pruned network for one image.
        seconds: time of one image alone, or None while it is not known.
        how: "measured" now, "recorded" earlier, or "predicted" from single layers.
        epochs: of fine-tuning that the network had after pruning.
    """

    accuracy: float
    low: float | None
    high: float | None
    whole: float
    images: int
    total: int
    params: int
    macs: int
    seconds: float | None
    how: str
    epochs: int = 0


class Source(abc.ABC):
    """Answers for one network on one set of images.

    Attributes:
        title: names the network and the images.
        rows: the network as `prunelab.groups.diagram` gives it.
        stages: stage label -> names of its groups.
        price: exact parameters and MACs of any widths.
        whole: the whole network: params, macs, images, and accuracy and seconds once known.
        curves: a scan with its attrs, or None.
        presets: label -> ratios.
        criterion: name of what ranks the channels; None if it has no name.
        logits: entry of the network's output that holds the logits; None = it is the logits.
        made: when and how, in one line, if it is a recording.
        why_not: why nothing can be scanned or saved; empty if it can.
        why_not_train: the same for fine-tuning.
    """

    title: str
    rows: list[dict]
    stages: dict[str, list[str]]
    price: Price
    whole: dict
    curves: pd.DataFrame | None = None
    presets: dict[str, dict[str, float]]
    criterion: str | None = "l1"
    logits: str | int | None = None
    made: str = ""
    why_not: str = ""
    why_not_train: str = ""

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

    def cost(self, ratios: Ratios) -> tuple[int, int]:
        """Parameters and MACs of the pruned network, exact."""
        return self.price(self.kept(ratios))

    def budgets(self, ratios: Ratios) -> list[Budget]:
        """Budgets of the fine-tunings that the network at these ratios has had."""
        return []

    @abc.abstractmethod
    def known(self, ratios: Ratios) -> Answer | None:
        """The final answer, if it was measured before."""

    @abc.abstractmethod
    def answers(self, ratios: Ratios, stop: Callable[[], bool]) -> Iterator[Answer]:
        """Increasingly precise answers; the last one is final unless `stop()` became true."""
