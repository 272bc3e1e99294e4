"""Budget: how long and how a network is trained, as plain data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

from prunelab import checks

WORDS = {
    "optimizer": ("sgd", "adam"),
    "schedule": ("constant", "step", "cosine", "onecycle", "inverse", "linear"),
    "augment": ("none", "flip", "crop-flip", "resized-crop-flip"),
    "precision": ("float32", "bfloat16"),
}
NUMBERS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "epochs": ("> 0", lambda v: v > 0),
    "lr": ("> 0", lambda v: v > 0),
    "momentum": ("in [0, 1)", lambda v: 0 <= v < 1),
    "weight_decay": (">= 0", lambda v: v >= 0),
    "gamma": ("in (0, 1]", lambda v: 0 < v <= 1),
    "warmup": ("in [0, 1)", lambda v: 0 <= v < 1),
}


@dataclass(frozen=True)
class Budget:
    """Everything `fit` needs to know besides network, data and seed.

    Args:
        epochs: passes over the training split, > 0. A fraction is allowed; at least one step runs.
        lr: largest learning rate, > 0.
        batch: images per step, >= 2.
        optimizer: "sgd" or "adam".
        momentum: of SGD; the first beta of Adam (the second is 0.999).
        weight_decay: the l2 penalty, on all parameters.
        nesterov: SGD with Nesterov's momentum.
        schedule: "constant"; "step" (times `gamma` at each milestone); "cosine" (to 0);
            "onecycle" (cosine from lr/25 up to lr at 30% of the run, then down to lr/250,000);
            "inverse" (times (1 + step/10,000)^-0.75, Caffe's "inv" for MNIST); "linear" (constant
            until the first milestone, then along a line to 0).
        milestones: for "step" and "linear", fractions of the run, ascending, in (0, 1).
        gamma: factor at a milestone, in (0, 1].
        warmup: fraction of the run, in [0, 1), in which the rate also grows linearly from 0.
        augment: "none"; "flip": a random mirror; "crop-flip": 4 black pixels around, a random crop,
            a random mirror (for CIFAR); "resized-crop-flip": a random part resized, a random mirror
            (for photographs).
        precision: "float32", or "bfloat16": forward under autocast, weights stay float32.
        channels_last: run with channels-last memory, the faster one for convolutions in bfloat16.

    Raises:
        ValueError: a field is outside what is listed here.
    """

    KIND: ClassVar[str] = "budget"

    epochs: float
    lr: float = 0.1
    batch: int = 128
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    nesterov: bool = False
    schedule: str = "constant"
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    warmup: float = 0.0
    augment: str = "none"
    precision: str = "float32"
    channels_last: bool = False

    def __post_init__(self) -> None:
        listed = isinstance(self.milestones, list | tuple)
        real = listed and all(isinstance(m, int | float) for m in self.milestones)
        rising = real and all(a < b for a, b in pairwise([0, *self.milestones, 1]))
        self._need(rising, "milestones", "ascending fractions of the run in (0, 1)")
        object.__setattr__(self, "milestones", tuple(self.milestones))  # JSON gives a list
        if isinstance(self.epochs, float) and self.epochs.is_integer():
            object.__setattr__(self, "epochs", int(self.epochs))  # 2.0 and 2 are the same recipe
        for field, words in WORDS.items():
            checks.word("Budget", field, getattr(self, field), words)
        for field in ("nesterov", "channels_last"):
            checks.switch("Budget", field, getattr(self, field))
        checks.count("Budget", "batch", self.batch, 2)
        for field, (allowed, test) in NUMBERS.items():
            checks.number("Budget", field, getattr(self, field), allowed, test)
        plain = self.optimizer == "sgd" and self.momentum > 0
        self._need(plain or not self.nesterov, "nesterov", "False unless SGD has momentum")
        flat = self.schedule == "linear" and not self.milestones
        self._need(not flat, "milestones", "a fraction of the run for schedule 'linear'")
        cycle = self.schedule == "onecycle" and self.warmup > 0
        self._need(not cycle, "warmup", "0 with schedule 'onecycle', which has its own")

    def _need(self, met: bool, field: str, allowed: str) -> None:
        checks.need(met, "Budget", field, allowed, getattr(self, field))

    def scaled(self, fraction: float) -> "Budget":
        """The same budget with `fraction` (> 0) times the epochs."""
        return replace(self, epochs=self.epochs * fraction)

    def steps(self, images: int) -> tuple[int, int]:
        """Steps in one epoch and in the whole run, for a training split of `images` (>= 2).

        The last batch of an epoch may be smaller; one of a single image is dropped, because batch
        norm has no variance there.
        """
        an_epoch = math.ceil(images / self.batch) - (images % self.batch == 1)
        return an_epoch, max(1, round(self.epochs * an_epoch))

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of `step` (0, 1, ...) in a run of `steps`: nothing else decides it."""
        ramp = self.warmup * steps
        warm = min(1.0, (step + 1) / ramp) if ramp > 0 else 1.0
        return self.lr * warm * self._shape(step, steps)

    def _shape(self, step: int, steps: int) -> float:
        if self.schedule == "step":
            return self.gamma ** sum(step >= round(m * steps) for m in self.milestones)
        if self.schedule == "cosine":
            return _cosine(1.0, 0.0, step / steps)
        if self.schedule == "onecycle":
            top = 0.3 * steps
            if step < top:
                return _cosine(1 / 25, 1.0, step / top)
            return _cosine(1.0, 1 / 250_000, (step - top) / (steps - top))
        if self.schedule == "linear":
            flat = self.milestones[0] * steps
            return min(1.0, (steps - step) / (steps - flat))
        if self.schedule == "inverse":
            return float((1 + step / 10_000) ** -0.75)
        return 1.0


def _cosine(start: float, end: float, t: float) -> float:
    """From `start` at t = 0 to `end` at t = 1 along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * t)) / 2
