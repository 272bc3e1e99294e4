"""What training and evaluation change for a while, and give back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

import torch
from torch import Tensor, nn

from prunelab.train.budget import Budget


@contextmanager
def taken_back(tensors: Iterable[Tensor]) -> Iterator[None]:
    """After a refusal, tensors (such as the buffers of batch norms) have their values of before."""
    before = [(tensor, tensor.clone()) for tensor in tensors]
    try:
        yield
    except (TypeError, ValueError):
        for tensor, value in before:
            tensor.copy_(value)
        raise


class FullFloat32:
    """Products of float32 numbers have its 24 bits: not 11, as TensorFloat-32 of a GPU has.

    torch's default for convolutions is TensorFloat-32. Afterwards the settings are as before. They
    are torch's, one set for all threads, as those of an explorer: the first to come saves them, and
    the last to go restores them.
    """

    PARTS = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.before: list[str] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            if not self.inside:
                self.before = [part.fp32_precision for part in self.PARTS]
                self._set(["ieee"] * len(self.PARTS))
            self.inside += 1
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
                if not self.inside:
                    self._set(self.before)

    def _set(self, values: list[str]) -> None:
        for part, value in zip(self.PARTS, values, strict=True):
            part.fp32_precision = value


full_float32 = FullFloat32()


@contextmanager
def left_as_found(parts: list[nn.Module], device: torch.device, budget: Budget) -> Iterator[None]:
    """Restore training flags, memory format, torch's generators settings; drop new gradients."""
    flags = {module: module.training for part in parts for module in part.modules()}
    gradients = [(p, p.grad) for part in parts for p in part.parameters()]
    cudnn = torch.backends.cudnn
    settings = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    if budget.channels_last:
        parts[0].to(memory_format=torch.channels_last)
    try:
        with full_float32(), torch.random.fork_rng([device.index] if device.type == "cuda" else []):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = settings
        if budget.channels_last:
            parts[0].to(memory_format=torch.contiguous_format)
        for module, flag in flags.items():
            module.training = flag
        if any(p.grad is not old for p, old in gradients):
            for part in parts:
                part.zero_grad(set_to_none=True)
