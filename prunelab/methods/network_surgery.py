r"""Dynamic network surgery: weights are pruned while a network trains, and spliced back.

    min L(W_k . T_k)   subject to  T_k = h_k(W_k)                                          (1)
    W_k <- W_k - beta dL / d(W_k . T_k)        for all entries, masked ones too              (2)
    h_k(w) = 0 if |w| < a_k;   the mask it has if a_k <= |w| < b_k;   1 if b_k <= |w|        (3)

A pruned weight keeps its gradient, so it keeps moving, and comes back when it has grown.

Source: Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from prunelab import checks, train
from prunelab.methods.base import (
    Method,
    Pruned,
    check_budget,
    check_number,
    check_numbers,
    check_option,
    check_pair,
)
from prunelab.methods.masking.splicing import Splicing, check_start
from prunelab.methods.masking.weights import keep_of, masked, per_layer
from prunelab.methods.stages import Options, Stage
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
    CHOOSES: ClassVar[str] = "weights"

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
        checks.switch("NetworkSurgery", "splice", self.splice)
        check_budget(self)
        check_numbers(self, "c", "a number")
        check_numbers(self, "stop", "steps, an integer >= 0", lambda v: checks.is_count(v, 0))
        for field in ("gamma", "power"):
            check_number(self, field, "a number >= 0", lambda v: v >= 0)
        check_pair(self, "margins", "two numbers, 0 < a <= b", lambda a, b: 0 < a <= b)

    def _run(self, net: nn.Module, data: object, options: Options) -> Pruned:
        """Parameter name (`fc1.weight`, `fc1.bias`) -> its mask; zeros are left in the weights."""
        parts, images = self._parts(net), len(data.train)
        for part in parts.values():
            check_start(net, self, part, images)
        states: list[Splicing] = []
        history = []
        with masked(states):
            for stage in options.stages(dict.fromkeys(parts, self.budget), data):
                states.append(Splicing(net, self, parts[stage.name], stage.seed, images))
                history.append(self._train(net, states[-1], stage))
            layers = {name: layer for state in states for name, layer in state.layers.items()}
            events = {name: counts for state in states for name, counts in state.events().items()}
        return Pruned(keep_of(layers), tuple(history), events)

    def _parts(self, net: nn.Module) -> dict[str, dict[str, float]]:
        """Phase -> layer -> c."""
        c = per_layer(self, "c", net)
        if self.phases == "together":
            return {"all layers": c}
        linear = {k for k, layer in layers_of(net).items() if isinstance(layer, nn.Linear)}
        parts = {
            "convolutions": {k: v for k, v in c.items() if k not in linear},
            "linear layers": {k: v for k, v in c.items() if k in linear},
        }
        return {phase: part for phase, part in parts.items() if part}

    def _train(self, net: nn.Module, state: Splicing, stage: Stage) -> train.History:
        stage.tell(0, state)
        begun = False

        def after_step(step: int) -> None:
            nonlocal begun
            if not begun:  # `fit` may have loaded the masks, or moved them in memory
                state.refresh()
                begun = True
            state.look(step + 1)
            stage.tell(step + 1, state)

        history = stage.fit(net, after_step=after_step)
        state.refresh()
        return history
