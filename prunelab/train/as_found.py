"""What training and evaluation change for a while, and give back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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


@contextmanager
def full_float32() -> Iterator[None]:
    """Products of float32 numbers have its 24 bits: not 11, as TensorFloat-32 of a GPU has.

    torch's default for convolutions is TensorFloat-32. Afterwards the settings are as before.
    """
    parts = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = [part.fp32_precision for part in parts]
    try:
        for part in parts:
            part.fp32_precision = "ieee"
        yield
    finally:
        for part, value in zip(parts, before):
            part.fp32_precision = value


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
