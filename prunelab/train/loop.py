"""Fit: train a network in place, the same way every time.

A step is a pure function of (seed, step, weights): the learning rate depends on the step alone,
and the random numbers of an epoch (order, crops, dropout, noisy gates) on (seed, epoch) alone. So
a run that is resumed from its last epoch ends with the same bits as one that never stopped. Several
processes share each step, see `prunelab.train.together`.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from prunelab import checks, meta, processes, pulse
from prunelab.data import Dataset, Split
from prunelab.train import checkpoint as disk
from prunelab.train import together
from prunelab.train.arguments import (
    check_data,
    check_features,
    check_modules,
    check_options,
    check_settings,
)
from prunelab.train.as_found import left_as_found, taken_back
from prunelab.train.batches import shuffled
from prunelab.train.budget import Budget
from prunelab.train.evaluation import evaluate, logits_of, precise
from prunelab.train.features import Features, gathered
from prunelab.train.fitting import check_logits, scalar, taking, trainable
from prunelab.train.history import History
from prunelab.train.losses import Losses
from prunelab.train.memory import keep_freed


def fit(
    net: nn.Module,
    data: Dataset,
    budget: Budget,
    *,
    loss: Callable[..., Tensor] | None = None,
    features: Iterable[str] = (),
    modules: Iterable[nn.Module] = (),
    penalty: Callable[[], Tensor] | None = None,
    after_step: Callable[[int], None] | None = None,
    seed: int = 0,
    progress: "bool | tqdm[Any]" = True,
    checkpoint: str | os.PathLike[str] | None = None,
    settings: Mapping[str, object] | None = None,
    logits: str | int | None = None,
) -> History:
    """Train all parameters of `net` that require a gradient, in place.

    Args:
        net: (n, C, H, W) of its own floating type -> (n, classes) logits, or what holds them, on
            the data's device.
        data: `train` is trained on; `val` and `test` are only evaluated, after each epoch.
        budget: how long and how.
        loss: (logits, labels) -> scalar tensor, in the place of the mean cross-entropy, and like it
            a mean over images; with
            `features`, (logits, labels, features). Logits are (n, classes) in float32 or float64,
            labels (n,) int64.
        features: names of modules of `net`. Their outputs in this step, with gradients, are given
            to `loss` as a mapping from name to tensor: of a module that runs several times the
            last, and after an in-place operation on it the result of that.
        modules: further modules, such as a classifier on features that `loss` calls. They are
            trained, put in training mode and kept in the checkpoint with `net`.
        penalty: no arguments -> scalar tensor, added to the loss of each step.
        after_step: called with the number (0, 1, ...) of the step just made.
        seed: decides order, augmentation, and torch's generators during the run. The caller's
            own torch generators are left as they were.
        progress: show a bar on stderr; or a tqdm bar of the caller's, which is moved on.
        checkpoint: a file written after each epoch. If it exists, its weights replace those of
            `net` and the run goes on: same bits as an unbroken run, as far as `loss`, `penalty`
            and `after_step` keep their state in `net` or `modules`. The first process writes it,
            all read it, and any number of them can go on.
        settings: what else decides the run, as JSON data. A checkpoint with other settings is
            refused.
        logits: the entry of the network's output that holds the logits, see `logits_of`.

    Returns:
        The history. Training flags are as found; gradients are cleared.

    Raises:
        TypeError: an argument is of another kind, or the output no tensor without `logits`.
        ValueError: data, network and budget do not fit together, a name in `features` is no module
            or did not run, or a bad `checkpoint`. A network that cannot take the images is as it
            was.
        RuntimeError: the loss is not finite; names the first such step.
        OSError: `checkpoint` cannot be written.
    """
    check_data(net, data, budget)
    together.check(budget, data.train.device)
    check_options(loss, features, penalty, after_step, seed, progress, checkpoint)
    names, more = check_features(net, features, loss), check_modules(modules, data.train)
    parts = {"net": net} | {f"modules.{number}": module for number, module in enumerate(more)}
    plain = check_settings(settings)
    keep_freed()
    path = None if checkpoint is None else Path(checkpoint)
    with left_as_found([*parts.values()], data.train.device, budget):
        options = loss, penalty, after_step, seed, progress, path, plain, logits
        return _Run(net, parts, data, budget, names, *options).go()


@dataclass
class _Run:
    """The state of one call of `fit`; the fields are its arguments."""

    net: nn.Module
    parts: dict[str, nn.Module]
    data: Dataset
    budget: Budget
    features: list[str]
    loss: Callable[..., Tensor] | None
    penalty: Callable[[], Tensor] | None
    after_step: Callable[[int], None] | None
    seed: int
    progress: "bool | tqdm[Any]"
    path: Path | None
    settings: dict[str, Any]
    logits: str | int | None

    def __post_init__(self) -> None:
        self.device, self.dtype = self.data.train.device, meta.dtype_of(self.net)
        self.an_epoch, self.steps = self.budget.steps(len(self.data.train))
        self.optimizer = _optimizer(self.parts.values(), self.budget)
        known = self.data.identity | self.settings
        self.recipe = asdict(self.budget) | {"seed": self.seed} | known
        self.recipe["milestones"] = list(self.budget.milestones)  # as JSON will give it back

    def go(self) -> History:
        """Train from the start, or from the checkpoint, to the end."""
        history = History(self._stored())
        done = history.last["step"] if history.rows else 0
        together.begin(self.parts, self.recipe, done)
        with self._bar(done) as bar:
            while done < self.steps:
                pulse.at("epoch", done // self.an_epoch + 1, math.ceil(self.steps / self.an_epoch))
                history.rows.append(self._epoch(done, bar))
                done = history.last["step"]
                if self.path is not None and processes.is_first():
                    disk.write(self.path, self.parts, self.optimizer, self.recipe, history.rows)
        pulse.over("epoch")
        return history

    def _bar(self, done: int) -> "AbstractContextManager[tqdm[Any]]":
        if isinstance(self.progress, bool):
            hidden = not (self.progress and processes.is_first())
            return tqdm(total=self.steps, initial=done, disable=hidden, desc="train")
        self.progress.update(done)
        return nullcontext(self.progress)

    def _stored(self) -> list[dict[str, Any]]:
        if self.path is None or not self.path.exists():
            return []
        return disk.read(self.path, self.parts, self.optimizer, self.recipe)

    def _epoch(self, first: int, bar: "tqdm[Any]") -> dict[str, Any]:
        """Make the steps of one epoch, of which `first` is the first, and evaluate."""
        generator = self._seeded(first // self.an_epoch)
        losses = Losses(self.device)
        for module in self.parts.values():
            module.train()
        batches = shuffled(self.data.train, self.budget, generator, self.dtype)
        with gathered(self.net, self.features) as seen:
            for step, (x, y) in zip(range(first, self.steps), batches):
                rate = self.budget.rate(step, self.steps)
                self._step(step, rate, x, y, losses, seen)
                bar.update()
                pulse.beat()
        losses.look()
        together.end_epoch(self.parts.values())
        row = {"epoch": (step + 1) / self.an_epoch, "step": step + 1, "lr": rate}
        row |= {"loss": losses.mean, "val_accuracy": self._accuracy(self.data.val)}
        row |= {"test_accuracy": self._accuracy(self.data.test)}
        bar.set_postfix({k: f"{row[k]:.4f}" for k in ("loss", "val_accuracy")})
        return row

    def _step(
        self, step: int, rate: float, x: Tensor, y: Tensor, losses: Losses, seen: Features
    ) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        buffers = (tensor for part in self.parts.values() for tensor in part.buffers())
        with taken_back(buffers) if step % self.an_epoch == 0 else nullcontext():
            loss = self._loss(self._logits(step, x, y), y, seen)
            if self.penalty is not None:
                loss = loss + scalar("penalty", checks.call("fit", "penalty", self.penalty))
        self.optimizer.zero_grad()
        first = step % self.an_epoch * self.budget.batch
        images = min(self.budget.batch, len(self.data.train) - first)
        loss = together.backward(loss, images, self.optimizer.param_groups[0]["params"])
        losses.add(step, rate, loss)
        self.optimizer.step()
        if self.after_step is not None:
            checks.call("fit", "after_step", self.after_step, step)

    def _logits(self, step: int, x: Tensor, y: Tensor) -> Tensor:
        """(n, classes) in float32 or float64."""
        with taking("fit", self.net, x), _autocast(self.device, self.budget):
            out = self.net(x)
        found = logits_of("fit", out, self.logits)
        if step % self.an_epoch == 0:
            check_logits("fit", found, len(y), self.data.train.labels)
        return precise(found)

    def _loss(self, logits: Tensor, y: Tensor, seen: Features) -> Tensor:
        if self.loss is None:
            return cross_entropy(logits, y)
        more = [seen()] if self.features else []
        with _autocast(self.device, self.budget):
            return trainable("loss", checks.call("fit", "loss", self.loss, logits, y, *more))

    def _seeded(self, epoch: int) -> torch.Generator:
        """Seed torch for one epoch; the generator returned shuffles and augments."""
        data, default = together.seeds(self.seed, epoch)
        torch.default_generator.manual_seed(default)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index].manual_seed(default)
        return torch.Generator().manual_seed(data)

    def _accuracy(self, split: Split) -> float:
        return evaluate(self.net, split, logits=self.logits).accuracy if len(split) else math.nan


def _optimizer(parts: Iterable[nn.Module], budget: Budget) -> torch.optim.Optimizer:
    every = dict.fromkeys(p for part in parts for p in part.parameters() if p.requires_grad)
    # One fused kernel for all parameters: a tenth of a LeNet's step faster than a loop over them.
    shared: dict[str, Any] = {"lr": budget.lr, "weight_decay": budget.weight_decay, "fused": True}
    if budget.optimizer == "adam":
        return torch.optim.Adam(every, betas=(budget.momentum, 0.999), **shared)
    return torch.optim.SGD(every, momentum=budget.momentum, nesterov=budget.nesterov, **shared)


def _autocast(device: torch.device, budget: Budget) -> AbstractContextManager[Any]:
    if budget.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
