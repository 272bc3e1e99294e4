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

import warnings
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from prunelab import checks, train
from prunelab.data import Dataset
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
from prunelab.methods.discrimination.algorithm import Algorithm
from prunelab.methods.discrimination.greedy import SCORES
from prunelab.methods.stages import Options

SELECTS = ("gradient", "random")
STAGINGS = ("stages", "joint")
BASELINES = ("found", "tuned")
DEPTHS = ("blocks", "layers")
EPOCH = train.Budget(epochs=1, lr=0.01, nesterov=True)


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
        baseline: the network that L_M compares with where the staging is "stages": "found", as it
            is given, as the paper; "tuned", as it is after the first fine-tuning, as the authors'
            first code.
        depth: what the joint variant takes for the depth L_k of the loss k, whose weight is
            max(0.01, (L_k / L_P)^2): the "blocks" before it, or the "layers", as the authors.

    `events` of the result: `<group>: order` (k,), the channels in the order in which they came in;
    `<group>: losses` (t + 1, 2), L_M and L_S at the start and after each step; `<group>: scores`
    (t, C), before each step. The state that `watch` sees is the network, after each stage.

    A layer whose channels all have the gradient 0 at the start keeps one of them, with weights 0:
    it writes nothing, and a residual block without biases is then its shortcut.

    Cost: `finetune` for each of losses + 1 stages. Then, for each channel that comes in,
        1 + `passes` runs of the images from the layer to its classifier, and back. What is read
        there is kept in memory: `images` times what the layer and its shortcut read.

    Where no channel is removed, as with the defaults of `ratios` and `epsilon`, it warns.

    Source: DCP; defaults as the authors' first code (papers/dcp.md section 5).
    Differs: in the fine-tuning a step descends on the sum of the losses. The paper makes one step
        for each; so does the authors' joint variant, which also divides the learning rate of each
        auxiliary step by the sum of the weights from its loss on. In SGD the gradient of L_M is
        that of all images, not of the batch, and the learning rate is 0.01, or less where this
        would diverge on L_M. The bias of the layer is left as it is. Defaults: `finetune` is one
        epoch, the code has 100; `images` is 10,000, as the paper has it for ImageNet, while its
        CIFAR-10 runs look at all training images.
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
    baseline: str = "found"
    depth: str = "blocks"

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
        check_option(self, "baseline", BASELINES)
        check_option(self, "depth", DEPTHS)
        check_budget(self, "finetune")
        for field, least in (("losses", 0), ("images", 1), ("step", 1)):
            if field == "step" or getattr(self, field) is not None:
                checks.count("DiscriminationAware", field, getattr(self, field), least)
        check_number(self, "passes", "a number > 0", lambda v: v > 0)

    def _run(self, net: nn.Module, data: Dataset, options: Options) -> Pruned:
        run = Algorithm(self, net, data, options)
        if self.staging == "joint":
            stage = options.stage(self.finetune, data)
            run.tune(stage, run.places, run.weights)
            run.begin()
            for place in (*run.places, None):
                run.select(stage, place)
        else:
            names = [*run.places, "the network's own loss"]
            stages = options.stages(dict.fromkeys(names, self.finetune), data)
            for place, stage in zip((*run.places, None), stages, strict=True):
                run.tune(stage, [place] if place else [])
                if self.baseline == "tuned" and not run.keep:
                    run.begin()
                run.select(stage, place)
        keep = Keep({name: run.keep[name] for name in run.chosen})
        if all(bool(kept.all()) for kept in keep.values()):
            self._warn()
        return Pruned(keep, tuple(run.history), run.events)

    def _warn(self) -> None:
        """Say that, and why, no channel was removed."""
        why = "each of `ratios` is 0, or too small for one channel, and `epsilon` is None"
        if self.epsilon is not None:
            why = f"no layer stopped at `epsilon` {self.epsilon:g} before its last channel was in"
        warnings.warn(f"DiscriminationAware: no channel was removed: {why}", stacklevel=2)
