"""What several processes, as torchrun starts them, do to train one network.

They share a step: each takes a part of the batch that a single process would take, and gradients
are averaged over the batch's images. So losses and weights are those of a single process within
rounding, whatever the number of processes.

Differs: batch norm normalises the part of each process by statistics of its own, as is usual for
ImageNet (Goyal et al. 2017, section 2.3, with 32 images for each); running statistics are those of
the first process. On GPUs `nn.SyncBatchNorm.convert_sync_batchnorm(net)` takes those of the whole
batch; torch has it for GPUs only. Dropout and noisy gates draw other noise in each process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from prunelab import checks, processes
from prunelab.train.budget import Budget


def check(budget: Budget, device: torch.device) -> None:
    """ValueError unless a batch has two images for each process, and each its own device.

    Batch norm needs two images.
    """
    processes.check_device("fit", device)
    many = processes.size()
    allowed = f"at least {2 * many}, two images for each of {many} processes"
    checks.need(budget.batch >= 2 * many, "fit", "budget.batch", allowed, budget.batch)


def begin(parts: Mapping[str, nn.Module], recipe: Mapping[str, object], step: int) -> None:
    """Start from the weights of the first process; ValueError where processes differ in more."""
    if processes.size() > 1:
        shapes = [[*tensor.shape] for part in parts.values() for tensor in part.parameters()]
        processes.check_alike(
            "fit", **dict(recipe), **{"step": step, "shapes of parameters": shapes}
        )
        for part in parts.values():
            processes.copy([*part.parameters(), *part.buffers()])


def end_epoch(parts: Iterable[nn.Module]) -> None:
    """Take the buffers of the first process; ValueError if weights differ from process to process.

    They cannot, unless `after_step` or `penalty` draws random numbers or counts images.
    """
    if processes.size() > 1:
        for part in parts:
            sums = [_bits(parameter) for parameter in part.parameters()]
            processes.check_alike("fit", **{"the weights after an epoch": sums})
            processes.copy(part.buffers())


def _bits(tensor: Tensor) -> int:
    """A sum over what is in memory: exact, in whatever order it is taken."""
    return int(tensor.detach().flatten().view(torch.int16).sum(dtype=torch.int64))


def backward(loss: Tensor, images: int, parameters: Iterable[Tensor]) -> Tensor:
    """Gradients of the mean loss over the `images` of a batch, of all processes; returns that loss.

    The loss is weighed before its gradients are taken, so that layers that speak to the other
    processes (`SyncBatchNorm`) give exact ones.
    """
    if processes.size() == 1:
        loss.backward()
        return loss
    loss = loss * processes.share(images)
    loss.backward()
    return processes.total(loss, parameters)


def seeds(seed: int, epoch: int) -> tuple[int, int]:
    """Of order and augmentation, the same for all processes; and of noise, of each its own."""
    drawn = np.random.SeedSequence([seed, epoch]).generate_state(2).tolist()
    if rank := processes.rank():
        drawn[1] = int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])
    return drawn[0], drawn[1]
