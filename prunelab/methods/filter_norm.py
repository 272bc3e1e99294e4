"""Filter pruning by norm: remove the filters with the smallest sum of absolute weights.

    s_j = sum_l ||K_l||_1                            (one filter, all its kernels)
    s_j (greedy) = sum_{l not removed} ||K_l||_1      (kernels that read removed maps do not count)

Source: Li, Kadav, Durdanovic, Samet, Graf. Pruning Filters for Efficient ConvNets. ICLR 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunelab import scores, surgery, train
from prunelab.groups import Group, Groups, trace
from prunelab.masks import Keep
from prunelab.methods.base import (
    RESIDUAL,
    Method,
    Pruned,
    Ratios,
    check_budget,
    check_count,
    check_option,
    check_ratios,
    choose,
    example_of,
)
from prunelab.methods.stages import Options
from prunelab.train.as_found import taken_back


@dataclass(frozen=True)
class FilterNorm(Method):
    """Filter pruning by norm (PFEC). Looks at the weights only.

    Attributes:
        ratios: fraction of the filters to remove, one for all groups or by group name.
        norm: "l1" (the paper's) or "l2".
        select: which filters go: "smallest", "largest" or "random" (the paper's controls).
        strategy: "independent" scores whole filters; "greedy" leaves out the kernels that read maps
            already removed, from the input to the output, always on the original weights.
        residual: "coupled" prunes whole residual streams, ranked by the sum over all layers that
            write them; "first" prunes only the first convolutions of residual blocks; "shortcut"
            lets the projection shortcut rank its stream.
        rounds: 1 = one-shot. More: in round r remove the fraction r / rounds of `ratios`, then
            retrain with `retrain` (not after the last); `net` is trained in place, removed filters
            are held at zero and stay removed.
        retrain: training between rounds; needed when `rounds` > 1.

    Cost: one pass over the weights per round, no data unless it retrains.

    Source: PFEC, sections 3.1 to 3.4; ratios of the paper in `prunelab.study.papers.filter_norm`.
    Differs: ties fall to the lower index (the paper does not say). Rounds shrink all layers
        together; the paper also names layer by layer and filter by filter, without numbers.
    """

    KIND: ClassVar[str] = "filter_norm"

    ratios: Ratios
    norm: str = "l1"
    select: str = "smallest"
    strategy: str = "independent"
    residual: str = "coupled"
    rounds: int = 1
    retrain: train.Budget | None = None

    def __post_init__(self) -> None:
        check_ratios(self, self.ratios)
        check_option(self, "norm", tuple(scores.NORMS))
        check_option(self, "select", ("smallest", "largest", "random"))
        check_option(self, "strategy", ("independent", "greedy"))
        check_option(self, "residual", RESIDUAL)
        check_count(self, "rounds")
        if self.retrain is not None:
            check_budget(self, "retrain")
        if (self.rounds > 1) != (self.retrain is not None):
            raise ValueError(
                "FilterNorm: `rounds` > 1 and `retrain` go together; give both or none"
            )

    def _looks_at_images(self) -> bool:
        return self.rounds > 1

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        groups = trace(net, example_of(data))
        ratios = choose(groups, self.ratios, self.residual)
        keep, history = Keep(), []
        budgets = {f"round {done}": self.retrain for done in range(1, self.rounds)}
        for stage in options.stages(budgets, data, first=1):
            part = {name: ratio * stage.number / self.rounds for name, ratio in ratios.items()}
            keep = self._keep(net, groups, part, options.seed, keep)
            zero = surgery.masker(net, groups, keep)
            with taken_back(net.state_dict().values()):
                zero()
                history.append(stage.fit(net, after_step=zero))
        return Pruned(self._keep(net, groups, ratios, options.seed, keep), tuple(history))

    def _keep(
        self, net: nn.Module, groups: Groups, ratios: dict[str, float], seed: int, before: Keep
    ) -> Keep:
        """The choice at these ratios; what `before` has removed stays removed."""
        tensors = {k: v.detach().clone() for k, v in net.state_dict().items()}
        rng = torch.Generator().manual_seed(seed)
        keep = {}
        for name, ratio in ratios.items():
            group = groups[name]
            score = self._order(self._score(group, tensors, groups.shortcuts), rng)
            if name in before:  # removed filters are zero: the first to go, even for "largest"
                score = score.where(before[name].to(score.device), score.min() - 1)
            keep[name] = scores.best(score, scores.kept(group.size, ratio))
            if self.strategy == "greedy":
                _forget(group, keep[name], tensors)
        return Keep(keep)

    def _score(self, group: Group, tensors: dict[str, Tensor], shortcuts: frozenset) -> Tensor:
        leaders = shortcuts if self.residual == "shortcut" else frozenset()
        return scores.group_norm(group, tensors, scores.NORMS[self.norm], leaders)

    def _order(self, score: Tensor, rng: torch.Generator) -> Tensor:
        if self.select == "random":
            return torch.rand(len(score), generator=rng)
        return score if self.select == "smallest" else -score


def _forget(group: Group, keep: Tensor, tensors: dict[str, Tensor]) -> None:
    """Zero the kernels that read removed channels, so that later sums leave them out."""
    for s in group.slices:
        if s.role == "in":
            removed = (~keep).repeat_interleave(s.repeat).nonzero()[:, 0] + s.offset
            tensors[s.tensor].index_fill_(s.axis, removed.to(tensors[s.tensor].device), 0)
