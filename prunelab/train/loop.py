"""Fit: train a network in place, the same way every time.

A step is a pure function of (seed, step, weights): the learning rate depends on the step alone,
and the random numbers of an epoch (order, crops, dropout, noisy gates) on (seed, epoch) alone. So
a run that stops and goes on from its last epoch ends with the same bits as one that never stopped.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from prunelab import meta, pulse
from prunelab.checks import shown
from prunelab.data import Dataset, Split
from prunelab.data.split import whole_number
from prunelab.train import checkpoint as disk
from prunelab.train.batches import shuffled
from prunelab.train.budget import Budget
from prunelab.train.evaluation import evaluate, logits_of, precise, restore
from prunelab.train.fitting import (
    called,
    check_device,
    check_logits,
    check_network,
    scalar,
    taken_back,
    taking,
)
from prunelab.train.history import History
from prunelab.train.losses import Losses
from prunelab.train.memory import keep_freed


def fit(
    net: nn.Module,
    data: Dataset,
    budget: Budget,
    *,
    penalty: Callable[[], Tensor] | None = None,
    after_step: Callable[[int], None] | None = None,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | os.PathLike | None = None,
    logits: str | int | None = None,
) -> History:
    """Train all parameters of `net` that require a gradient, in place.

    Args:
        net: (n, C, H, W) of its own floating type -> (n, classes) logits, or what holds them, on
            the data's device.
        data: `train` is trained on; `val` and `test` are only evaluated, after each epoch.
        budget: how long and how.
        penalty: no arguments -> scalar tensor, added to the mean cross-entropy of each step.
        after_step: called with the number (0, 1, ...) of the step just made.
        seed: decides order, augmentation, and torch's generators during the run. The caller's
            own torch generators are left as they were.
        progress: show a bar on stderr.
        checkpoint: a file written after each epoch. If it exists, its weights replace those of
            `net` and the run goes on: same bits as an unbroken run, as far as `penalty` and
            `after_step` keep their state in `net.state_dict()`.
        logits: the entry of the network's output that holds the logits, see `logits_of`.

    Returns:
        The history. Training flags are as found; gradients are cleared.

    Raises:
        TypeError: an argument is of another kind, or the output no tensor without `logits`.
        ValueError: data, network and budget do not fit together, or a bad `checkpoint`. A network
            that cannot take the images is as it was.
        RuntimeError: the loss is not finite; names the first such step.
        OSError: `checkpoint` cannot be written.
    """
    _check(net, data, budget)
    _check_options(seed, progress, penalty, after_step, checkpoint)
    keep_freed()
    path = None if checkpoint is None else Path(checkpoint)
    with _left_as_found(net, data.train.device, budget):
        return _Run(net, data, budget, penalty, after_step, seed, progress, path, logits).go()


@dataclass
class _Run:
    """The state of one call of `fit`; the fields are its arguments."""

    net: nn.Module
    data: Dataset
    budget: Budget
    penalty: Callable[[], Tensor] | None
    after_step: Callable[[int], None] | None
    seed: int
    progress: bool
    path: Path | None
    logits: str | int | None

    def __post_init__(self) -> None:
        self.device, self.dtype = self.data.train.device, meta.dtype_of(self.net)
        self.an_epoch, self.steps = self.budget.steps(len(self.data.train))
        self.optimizer = _optimizer(self.net, self.budget)
        # A prefix, or `mnist+val`, has the checksum of its files: the count tells them apart.
        images = {"data": self.data.checksum, "images": len(self.data.train)}
        self.recipe = asdict(self.budget) | {"seed": self.seed} | images
        self.recipe["milestones"] = list(self.budget.milestones)  # as JSON will give it back

    def go(self) -> History:
        """Train from the start, or from the checkpoint, to the end."""
        history = History(self._stored())
        done = history.last["step"] if history.rows else 0
        bar = tqdm(total=self.steps, initial=done, disable=not self.progress, desc="train")
        with bar:
            while done < self.steps:
                pulse.at("epoch", done // self.an_epoch + 1, math.ceil(self.steps / self.an_epoch))
                history.rows.append(self._epoch(done, bar))
                done = history.last["step"]
                if self.path is not None:
                    disk.write(self.path, self.net, self.optimizer, self.recipe, history.rows)
        pulse.over("epoch")
        return history

    def _stored(self) -> list[dict]:
        if self.path is None or not self.path.exists():
            return []
        return disk.read(self.path, self.net, self.optimizer, self.recipe)

    def _epoch(self, first: int, bar: "tqdm[Any]") -> dict[str, Any]:
        """Make the steps of one epoch, of which `first` is the first, and evaluate."""
        generator = self._seeded(first // self.an_epoch)
        losses = Losses(self.device)
        self.net.train()
        batches = shuffled(self.data.train, self.budget, generator, self.dtype)
        for step, (x, y) in zip(range(first, self.steps), batches):
            rate = self.budget.rate(step, self.steps)
            self._step(step, rate, x, y, losses)
            bar.update()
            pulse.beat()
        losses.look()
        row = {"epoch": (step + 1) / self.an_epoch, "step": step + 1, "lr": rate}
        row |= {"loss": losses.mean, "val_accuracy": self._accuracy(self.data.val)}
        row |= {"test_accuracy": self._accuracy(self.data.test)}
        bar.set_postfix({k: f"{row[k]:.4f}" for k in ("loss", "val_accuracy")})
        return row

    def _step(self, step: int, rate: float, x: Tensor, y: Tensor, losses: Losses) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with taken_back(self.net) if step % self.an_epoch == 0 else nullcontext():
            loss = cross_entropy(self._logits(step, x, y), y)
            if self.penalty is not None:
                loss = loss + scalar(called("penalty", self.penalty))
        losses.add(step, rate, loss)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.after_step is not None:
            called("after_step", self.after_step, step)

    def _logits(self, step: int, x: Tensor, y: Tensor) -> Tensor:
        """(n, classes) in float32 or float64."""
        with taking("fit", self.net, x), _autocast(self.device, self.budget):
            out = self.net(x)
        found = logits_of("fit", out, self.logits)
        if step % self.an_epoch == 0:
            check_logits("fit", found, len(y), self.data.train.labels)
        return precise(found)

    def _seeded(self, epoch: int) -> torch.Generator:
        """Seed torch for one epoch; the generator returned shuffles and augments."""
        data, default = np.random.SeedSequence([self.seed, epoch]).generate_state(2).tolist()
        torch.default_generator.manual_seed(default)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index].manual_seed(default)
        return torch.Generator(self.device).manual_seed(data)

    def _accuracy(self, split: Split) -> float:
        return evaluate(self.net, split, logits=self.logits).accuracy if len(split) else math.nan


def _check(net: nn.Module, data: Dataset, budget: Budget) -> None:
    check_network("fit", net)
    for name, value, kind in (("data", data, Dataset), ("budget", budget, Budget)):
        if not isinstance(value, kind):
            raise TypeError(f"fit: `{name}` must be a {kind.__name__}; got {type(value).__name__}")
    if len(data.train) < 2:
        raise ValueError(f"fit: `data.train` must hold at least 2 images; got {len(data.train)}")
    if budget.augment != "none" and len(data.train.images.shape) != 4:
        shape = tuple(data.train.images.shape)
        raise ValueError(f"fit: augment={budget.augment!r} needs images (N, C, H, W); got {shape}")
    if not any(p.requires_grad for p in net.parameters()):
        raise ValueError("fit: `net` must have a parameter that requires a gradient; got none")
    check_device("fit", net, data.train)


def _check_options(seed: int, progress: bool, penalty, after_step, checkpoint) -> None:
    if not whole_number(seed) or seed < 0:
        raise ValueError(f"fit: `seed` must be an integer >= 0; got {shown(seed)}")
    if not isinstance(progress, bool):
        raise TypeError(f"fit: `progress` must be True or False; got {shown(progress)}")
    for name, value in (("penalty", penalty), ("after_step", after_step)):
        if value is not None and not callable(value):
            raise TypeError(f"fit: `{name}` must be a function or None; got {shown(value)}")
    if checkpoint is not None and not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"fit: `checkpoint` must be a file's path or None; got {shown(checkpoint)}")


def _optimizer(net: nn.Module, budget: Budget) -> torch.optim.Optimizer:
    parameters = [p for p in net.parameters() if p.requires_grad]
    # One fused kernel for all parameters: a tenth of a LeNet's step faster than a loop over them.
    shared: dict[str, Any] = {"lr": budget.lr, "weight_decay": budget.weight_decay, "fused": True}
    if budget.optimizer == "adam":
        return torch.optim.Adam(parameters, betas=(budget.momentum, 0.999), **shared)
    return torch.optim.SGD(parameters, momentum=budget.momentum, nesterov=budget.nesterov, **shared)


def _autocast(device: torch.device, budget: Budget) -> AbstractContextManager[Any]:
    if budget.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def _left_as_found(net: nn.Module, device: torch.device, budget: Budget) -> Iterator[None]:
    """Restore training flags, memory format, torch's generators settings; drop new gradients."""
    flags = {module: module.training for module in net.modules()}
    gradients = [(p, p.grad) for p in net.parameters()]
    cudnn = torch.backends.cudnn
    settings = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    if budget.channels_last:
        net.to(memory_format=torch.channels_last)
    try:
        with torch.random.fork_rng([device.index] if device.type == "cuda" else []):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = settings
        if budget.channels_last:
            net.to(memory_format=torch.contiguous_format)
        restore(flags)
        if any(p.grad is not old for p, old in gradients):
            net.zero_grad(set_to_none=True)
