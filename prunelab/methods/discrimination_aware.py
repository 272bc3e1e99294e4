r"""DCP: keep the input channels that let a classifier in the middle of the network tell classes.

    Algorithm 1.  for each stage p = 1 .. P + 1:
                      put a classifier after block L_p (the last stage has the network's own)
                      fine-tune the network under L_S^p + L_f
                      for each layer up to L_p: Algorithm 2
    Algorithm 2.  A = {}, W = 0
                  while |A| < kappa:                                   kappa = c - floor(rate c)
                      G = dL/dW over all selection images,  L = a L_M + lambda L_S^p
                      A = A + {argmax_{k not in A} score(G_k)};  W_k = its value before
                      SGD on L over W_A
                      DCP-Adapt: stop if |L before - L| <= epsilon L(W = 0)

L_M compares what the layer writes, fed by the layers pruned so far, with the unpruned network.

Source: Zhuang, Tan, Zhuang, Liu, Guo, Wu, Huang, Zhu. Discrimination-aware Channel Pruning for Deep
    Neural Networks. NeurIPS 2018. Equations (1) to (10), Algorithms 1, 2 and S1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import checks, meta, surgery, train
from prunelab.data import Dataset
from prunelab.groups import trace
from prunelab.groups.wiring import Wiring
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    Pruned,
    Ratios,
    check_budget,
    check_number,
    check_option,
    check_ratios,
)
from prunelab.methods.discrimination.greedy import SCORES, choose
from prunelab.methods.discrimination.heads import doors, heads_for
from prunelab.methods.discrimination.places import after
from prunelab.methods.discrimination.problem import BATCH, Problem, only
from prunelab.methods.reconstruction import layerwise
from prunelab.methods.stages import Options, Stage
from prunelab.ratios import left

SELECTS = ("gradient", "random")
STAGINGS = ("stages", "joint")
EPOCH = train.Budget(epochs=1, lr=0.01, nesterov=True)
FLOOR = 0.01  # of the weights of the joint variant


@dataclass(frozen=True)
class DiscriminationAware(Method):
    r"""Discrimination-aware channel pruning (DCP, DCP-Adapt, Random DCP).

    Attributes:
        ratios: fraction of the channels to remove, at least: one for all groups off the residual
            streams, or by name. c - floor(rate c) of c channels stay.
        epsilon: DCP-Adapt: a layer is done as soon as another channel changes L by no more than
            this fraction of L without channels; None = plain DCP.
        losses: P, how many auxiliary classifiers, as many as there are places for, see `positions`;
            None = one for three blocks, 3 at most.
        lam: lambda, the weight of L_S; 0 = L_M only.
        reconstruction: a, the weight of L_M, a mean square (0.5 is the paper's 1/2Q); 0 = L_S only.
        score: of a channel whose kernels have the gradients G_jk, j = 1 .. n: "sum", sum_j ||G_jk||
            as the authors' code; "frobenius", as the paper; "squares", as PocketFlow.
        select: "gradient"; or "random", the control Random DCP.
        staging: "stages", as the paper; "joint", as the authors' later code: one fine-tuning under
            all losses, whose result is also the network that L_M compares with.
        finetune: training of each stage.
        images: how many training images the choice looks at, drawn once; None = all.
        step: how many channels come in at a time.
        passes: passes of SGD over these images after each step.

    `events` of the result: `<group>: order` (k,), the channels in the order in which they came in;
    `<group>: losses` (t + 1, 2), L_M and L_S at the start and after each step; `<group>: scores`
    (t, C), before each step. The state that `watch` sees is the network, after each stage.

    A layer whose channels all have the gradient 0 at the start keeps one of them, with weights 0:
    it writes nothing, and a residual block without biases is then its shortcut.

    Cost: `finetune` for each of losses + 1 stages. Then, for each channel that comes in,
        1 + `passes` runs of the images from the layer to its classifier, and back. What is read
        there is kept in memory: `images` times what the layer and its shortcut read.

    Source: DCP; defaults as the authors' first code (papers/dcp.md section 5).
    Differs: a step of the fine-tuning descends on the sum of both losses; the paper makes one step
        for each. In SGD the gradient of L_M is that of all images, not of the batch. The bias of
        the layer is left as it is. The default fine-tuning is one epoch; the code has 100.
    """

    KIND: ClassVar[str] = "discrimination_aware"

    ratios: Ratios = 0.0
    epsilon: float | None = None
    losses: int | None = None
    lam: float = 1.0
    reconstruction: float = 1.0
    score: str = "sum"
    select: str = "gradient"
    staging: str = "stages"
    finetune: train.Budget = EPOCH
    images: int | None = 10_000
    step: int = 1
    passes: float = 1.0

    def __post_init__(self) -> None:
        check_ratios(self, self.ratios)
        if self.epsilon is not None:
            check_number(self, "epsilon", "a number > 0, or None", lambda v: v > 0)
        for field in ("lam", "reconstruction"):
            check_number(self, field, "a number >= 0", lambda v: v >= 0)
        weighed = self.lam > 0 or self.reconstruction > 0
        checks.need(weighed, "DiscriminationAware", "lam", "> 0 if `reconstruction` is 0", self.lam)
        check_option(self, "score", tuple(SCORES))
        check_option(self, "select", SELECTS)
        check_option(self, "staging", STAGINGS)
        check_budget(self, "finetune")
        for field, least in (("losses", 0), ("images", 1), ("step", 1)):
            if field == "step" or getattr(self, field) is not None:
                checks.count("DiscriminationAware", field, getattr(self, field), least)
        check_number(self, "passes", "a number > 0", lambda v: v > 0)

    def _run(self, net: nn.Module, data: Dataset, options: Options) -> Pruned:
        run = Algorithm(self, net, data, options)
        if self.staging == "joint":
            stage = options.stage(self.finetune, data)
            run.tune(stage, run.places, run.depths)
            run.begin()
            for place in (*run.places, None):
                run.select(stage, place)
        else:
            names = [*run.places, "the network's own loss"]
            stages = options.stages(dict.fromkeys(names, self.finetune), data)
            for place, stage in zip((*run.places, None), stages, strict=True):
                run.tune(stage, [place] if place else [])
                run.select(stage, place)
        keep = {name: run.keep[name] for name in run.chosen}
        return Pruned(Keep(keep), tuple(run.history), run.events)


class Algorithm:
    """Algorithm 1 on one network: what changes on the way."""

    def __init__(
        self, method: DiscriminationAware, net: nn.Module, data: Dataset, options: Options
    ):
        self.method, self.net, self.options, self.example = method, net, options, data.example
        self.wiring = Wiring.of(net, data.example, "DiscriminationAware")
        self.groups = trace(net, data.example)
        self.chosen = layerwise.chosen("DiscriminationAware", net, self.groups, method.ratios)
        blocks = self.wiring.blocks()
        numbers = after(len(blocks), method.losses)
        self.places = [blocks[number - 1] for number in numbers]
        self.depths = [max(FLOOR, (number / numbers[-1]) ** 2) for number in numbers]
        self.heads = heads_for(net, data.example[:1], self.places, data.num_classes, options.seed)
        self.begin()
        self.images = layerwise.drawn(data.train, method.images, options.seed)
        self.zero = surgery.masker(net, self.groups, {})
        self.keep: dict[str, Tensor] = {}
        self.events: dict[str, Tensor] = {}
        self.history: list[train.History] = []

    def begin(self) -> None:
        """Take the network as it is for the unpruned one."""
        whole = surgery.masked(self.net, self.groups, {})
        self.whole = Wiring.of(whole, self.example, "DiscriminationAware")

    def tune(self, stage: Stage, places: list[str], weights: Iterable[float] = ()) -> None:
        """Algorithm S1: train the network and classifiers under the sum of their losses."""
        heads = {place: self.heads[place] for place in places}
        how = doors(heads, dict(zip(places, weights)))
        self.history.append(stage.fit(self.net, after_step=self.zero, **how))

    def select(self, stage: Stage, place: str | None) -> None:
        """Algorithm 2 for each group that is read on the way to a place, and not yet done."""
        sizes = {
            name: left(self.groups[name].size, ratio)
            for name, (ratio, readers) in self.chosen.items()
            if name not in self.keep and all(self.wiring.leads(r.layer, place) for r in readers)
        }
        hidden = not self.options.progress
        with tqdm(total=sum(sizes.values()), desc="select", disable=hidden) as bar:
            for name, count in sizes.items():
                bar.set_postfix_str(name)
                done, make = bar.n, partial(self.choice, place, name, count, bar.update)
                self.take(name, stage.once(name, make))
                bar.update(done + count - bar.n)
        stage.tell(len(self.history), self.net)

    def choice(
        self, place: str | None, name: str, count: int, tell: Callable[[int], object]
    ) -> dict[str, Tensor]:
        """What `choose` gives for one group, and the weights of its readers under "0", "1", ..."""
        _, readers = self.chosen[name]
        method, rng = self.method, torch.Generator()
        rng.manual_seed(self.options.seed + [*self.chosen].index(name))
        layers = [self.net.get_submodule(reader.layer) for reader in readers]
        if count == self.groups[name].size and method.epsilon is None:
            nothing = {"losses": torch.empty(0, 2), "scores": torch.empty(0, count)}
            before = {str(n): layer.weight.detach() for n, layer in enumerate(layers)}
            return nothing | {"order": torch.arange(count)} | before
        batches = (x for x, _ in self.images.batches(BATCH))
        parts = layerwise.parts_of(self.wiring, self.whole, batches, readers, None, rng)
        with meta.in_mode(self.net, False), only(layers, self.net), torch.no_grad():
            inputs, labels, logits = self._ahead(place, [r.layer for r in readers])
            problem = Problem(
                self.net, parts, logits, inputs, labels, method.reconstruction, method.lam
            )
            found = choose(method, problem, count, rng, tell)
        return found | {str(n): layer.weight.detach() for n, layer in enumerate(layers)}

    def _ahead(
        self, place: str | None, layers: list[str]
    ) -> tuple[list[Tensor], Tensor, Callable[..., Tensor]]:
        """What the layers and those behind them read, labels, and what makes logits of it."""
        front, rest = self.wiring.cut(layers, place)
        head = self.heads[place].eval() if place else nn.Identity()
        found = [(front(x), y) for x, y in self.images.batches(BATCH)]
        inputs = [torch.cat(batches) for batches in zip(*(values for values, _ in found))]
        return inputs, torch.cat([y for _, y in found]), lambda *values: head(rest(*values))

    def take(self, name: str, found: dict[str, Tensor]) -> None:
        """Write the weights, remove the channels that were not chosen, note the events."""
        with torch.no_grad():
            for number, reader in enumerate(self.chosen[name][1]):
                weight = self.net.get_submodule(reader.layer).weight
                weight.copy_(found[str(number)])
        kept = torch.zeros(self.groups[name].size, dtype=torch.bool)
        kept[found["order"] if len(found["order"]) else 0] = True
        self.keep[name] = kept
        self.events |= {f"{name}: {what}": found[what] for what in ("order", "losses", "scores")}
        self.zero = surgery.masker(self.net, self.groups, self.keep)
        self.zero()
