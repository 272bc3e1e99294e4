r"""Dynamic network surgery: weights are pruned while a network trains, and spliced back.

    min L(W_k . T_k)   subject to  T_k = h_k(W_k)                                          (1)
    W_k <- W_k - beta dL / d(W_k . T_k)        for all entries, masked ones too              (2)
    h_k(w) = 0 if |w| < a_k;   the mask it has if a_k <= |w| < b_k;   1 if b_k <= |w|        (3)

A pruned weight keeps its gradient, so it keeps moving, and comes back when it has grown.

Source: Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from prunelab import checks, train
from prunelab.masks import Keep
from prunelab.methods.base import (
    Method,
    check_budget,
    check_dataset,
    check_number,
    check_numbers,
    check_option,
    check_pair,
    check_switch,
    opened,
)
from prunelab.methods.masking.splicing import Surgery, check_start
from prunelab.methods.masking.weights import Run, keep_of, masked, per_layer
from prunelab.scores import layers_of

PHASES = ("together", "convolutions first")


@dataclass(frozen=True)
class NetworkSurgery(Method):
    """Dynamic network surgery (DNS): one training run under masks that prune and splice.

    Attributes:
        c: a layer's threshold is mu + c sigma of its absolute weights and biases; one number, or
            by layer name (then other layers stay dense). It may be negative.
        budget: the training; its steps are the iterations.
        stop: the masks are frozen from this step on; one number, or by layer name.
        gamma, power: a layer's mask is looked at in step t with probability (1 + gamma t)^-power.
        margins: a_k and b_k as multiples of the threshold; (1, 1) = no hysteresis.
        splice: False = what is pruned never returns (the greedy control).
        phases: "together"; or "convolutions first": one run for the convolutions, then one for the
            linear layers under the frozen masks of the convolutions, each with the whole budget.

    Cost: `budget`, each step about 1.05 times a plain one of LeNet-5, 1.3 times of LeNet-300-100.

    Source: DNS, section 3, equations (1) to (3); thresholds, draws and biases as in the authors'
        Caffe code.
    Differs: the mask is looked at after the weights' update, not before the forward pass: the same
        up to a shift by one step. Biases learn at the weights' rate (Caffe's example doubles it).
        An update that would empty a layer leaves its largest weight.
    """

    KIND: ClassVar[str] = "network_surgery"

    c: float | Mapping[str, float]
    budget: train.Budget
    stop: int | Mapping[str, int]
    gamma: float = 1e-4
    power: float = 1.0
    margins: tuple[float, float] = (0.9, 1.1)
    splice: bool = True
    phases: str = "together"

    def __post_init__(self) -> None:
        check_option(self, "phases", PHASES)
        check_switch(self, "splice")
        check_budget(self)
        check_numbers(self, "c", "a number")
        check_numbers(self, "stop", "steps, an integer >= 0", lambda v: checks.is_count(v, 0))
        for field in ("gamma", "power"):
            check_number(self, field, "a number >= 0", lambda v: v >= 0)
        check_pair(self, "margins", "two numbers, 0 < a <= b", lambda a, b: 0 < a <= b)

    def prune(self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True) -> Keep:
        """See `Method.prune`, and `run`: parameter name -> bool tensor of its shape."""
        return self.run(net, data, seed=seed, progress=progress).keep

    def run(
        self, net: nn.Module, data: object, *, seed: int = 0, progress: bool = True,
        checkpoint: str | os.PathLike | None = None,
        watch: Callable[[int, Surgery], None] | None = None,
    ) -> Run:  # fmt: skip
        """Train `net` under masks, and leave zeros where a weight was pruned.

        Args:
            net: a trained network.
            data: a Dataset.
            seed: of batches and draws.
            progress: show a bar.
            checkpoint: file for `train.fit`; it holds masks and thresholds, so that a resumed run
                ends with the bits of an unbroken one. "convolutions first" keeps two.
            watch: called with (steps done, the state) before the first step and after each.

        Returns:
            The masks by parameter name (`fc1.weight`, `fc1.bias`), and what happened.

        Raises:
            ValueError: a name in `c` or `stop` is no layer, `stop` lies past the end, weights are
                not finite, or `c` would empty a layer.
        """
        net = opened(self, net, seed, progress, checkpoint, watch)
        check_dataset(self, data)
        parts, images = self._parts(net), len(data.train)
        for part in parts:
            check_start(net, self, part, images)
        done: list[Surgery] = []
        with masked(done):
            for number, part in enumerate(parts):
                done.append(Surgery(net, self, part, seed + number, images))
                fit = {"seed": seed + number, "progress": progress}
                fit["checkpoint"] = self._file(checkpoint, number)
                self._fit(net, data, done[-1], fit, watch)
            layers = {name: layer for surgery in done for name, layer in surgery.layers.items()}
            events = {name: counts for surgery in done for name, counts in surgery.events().items()}
        return Run(keep_of(layers), [surgery.history for surgery in done], events)

    def _parts(self, net: nn.Module) -> list[dict[str, float]]:
        """Layer -> c, phase by phase."""
        c = per_layer(self, "c", net)
        if self.phases == "together":
            return [c]
        linear = {k for k, layer in layers_of(net).items() if isinstance(layer, nn.Linear)}
        parts = [{k: v for k, v in c.items() if (k in linear) == last} for last in (False, True)]
        return [part for part in parts if part]

    def _file(self, checkpoint: str | os.PathLike | None, phase: int) -> Path | None:
        one = checkpoint is None or self.phases == "together"
        path = checkpoint if one else f"{os.fspath(checkpoint)}.{phase}"
        return None if path is None else Path(path)

    def _fit(self, net, data, surgery: Surgery, fit: dict, watch) -> None:
        if watch is not None and not (fit["checkpoint"] and fit["checkpoint"].exists()):
            watch(0, surgery)

        def after_step(step: int) -> None:
            if surgery.history is None:  # the first step of this call
                surgery.check()
                surgery.history = train.History()
            surgery.look(step + 1)
            if watch is not None:
                watch(step + 1, surgery)

        surgery.history = train.fit(net, data, self.budget, after_step=after_step, **fit)
        surgery.check()
