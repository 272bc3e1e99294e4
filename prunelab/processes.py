"""Processes that work together on one measurement, as torchrun starts them.

Every process runs the same program. What is to be done once (a file, a bar, a line on the screen)
is done by the first. The functions that say "collective" must be called by all processes, in the
same order; in a process that is alone they cost nothing.

Only the variables are read in which torchrun says who is who. For GPUs `accelerate launch` starts
torchrun; `srun` serves as well if the job script sets them.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from prunelab import checks

if TYPE_CHECKING:  # the command line asks who speaks without waiting for torch
    import torch
    from torch import Tensor

Value = TypeVar("Value")
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = timedelta(days=1)  # one process may choose channels for hours while the others wait


def size() -> int:
    """How many processes there are; 1 = this one is alone."""
    together = all(os.environ.get(name) for name in VARIABLES)
    return int(os.environ["WORLD_SIZE"]) if together else 1


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ["RANK"]) if size() > 1 else 0


def is_first() -> bool:
    """Whether this process does what is done once."""
    return rank() == 0


def here() -> int:
    """How many of the processes share this machine and its cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if size() > 1 else 1


def device(kind: str) -> str:
    """The device of this process: each has a GPU of its own.

    Args:
        kind: cpu, cuda or cuda:N.

    Raises:
        ValueError: more processes than GPUs on this machine.
    """
    if size() == 1 or kind != "cuda":
        return kind
    import torch

    number, there = _local_rank(), torch.cuda.device_count()
    if number >= there:
        raise ValueError(
            f"torchrun: --nproc-per-node must be at most {there}, the GPUs of this machine; got"
            f" {here()}"
        )
    torch.cuda.set_device(number)
    return f"cuda:{number}"


def check_device(caller: str, found: torch.device) -> None:
    """Refuse a GPU that is another process's. ValueError: names the one that this process has."""
    if size() > 1 and found.type == "cuda":
        import torch

        own = _local_rank()
        alone = torch.cuda.device_count() <= own  # each process was shown its own GPU only
        wanted = f"on cuda:{own} in process {rank()}, which is LOCAL_RANK {own}"
        checks.need(alone or found.index == own, caller, "data", wanted, str(found))


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", 0))


def part(images: int) -> slice:
    """Which images of a batch this process takes; two at least, as batch norm needs them.

    Where a batch has fewer than two for each, some processes repeat the images of others, and
    `share` gives them no weight.
    """
    number, parts = _place(images)
    return slice(images * number // parts, images * (number + 1) // parts)


def share(images: int) -> float:
    """The weight of this process in the mean over a batch."""
    own = part(images)
    return (own.stop - own.start) / images if rank() < _place(images)[1] else 0.0


def _place(images: int) -> tuple[int, int]:
    parts = max(1, min(size(), images // 2))
    return rank() % parts, parts


def gathered(value: Value) -> list[Value]:
    """What each process has, in their order; collective. Tensors should be on the CPU."""
    if size() == 1:
        return [value]
    found: list[Any] = [None] * size()
    _torch().all_gather_object(found, value)
    return found


def wait() -> None:
    """Until all processes are here; collective."""
    gathered(None)


def once(make: Callable[[], Value]) -> Value:
    """What `make` returns in the first process; the others wait for it; collective."""
    if size() == 1:
        return make()
    found: list[Any] = [make() if is_first() else None]
    _torch().broadcast_object_list(found, 0)
    return found[0]


def check_alike(caller: str, **facts: object) -> None:
    """Refuse processes that do not agree; collective.

    Raises:
        ValueError: in all processes; names the first fact that differs.
    """
    ours, *others = gathered(facts)
    for number, theirs in enumerate(others, 1):
        for name in ours:
            if theirs[name] != ours[name]:
                raise ValueError(
                    f"{caller}: {name} must be the same in all processes; process {number} has"
                    f" {checks.shown(theirs[name])}, process 0 has {checks.shown(ours[name])}"
                )


def copy(tensors: Iterable[Tensor]) -> None:
    """Give the tensors the values that they have in the first process; collective."""
    if size() == 1:
        return
    for tensor in tensors:
        whole = tensor.detach().contiguous()
        _torch().broadcast(whole, 0)
        tensor.detach().copy_(whole)


def total(loss: Tensor, parameters: Iterable[Tensor]) -> Tensor:
    """Sum the gradients of all processes, in place, and return the sum of the losses; collective.

    One message for all: what the network would gain by sending the first gradients while the last
    are computed is less than what `DistributedDataParallel` asks of it (one forward pass through
    one module, all parameters used).
    """
    import torch

    loss = loss.detach()
    if size() == 1:
        return loss
    gradients = [p.grad for p in parameters if p.grad is not None]
    message = torch.cat([loss.reshape(1), *(gradient.flatten() for gradient in gradients)])
    _torch().all_reduce(message)
    first, *sums = message.split([1, *(gradient.numel() for gradient in gradients)])
    for gradient, summed in zip(gradients, sums):
        gradient.copy_(summed.view_as(gradient))
    return first[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Print nothing, except in the first process."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(sys.stdout if is_first() else nowhere):
        yield


def speaks() -> bool:
    """Whether this process is the first to say why all of them end."""
    if size() == 1:
        return True
    from torch.distributed import TCPStore

    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(*place, is_master=False, timeout=timedelta(seconds=5))
        return store.add("prunelab: said", 1) == 1
    except RuntimeError:  # nobody keeps count: better said twice than not at all
        return True


def _torch() -> Any:
    """`torch.distributed`, ready for use."""
    import torch.distributed as torch_distributed

    if not torch_distributed.is_initialized():
        torch_distributed.init_process_group(timeout=PATIENCE)
        atexit.register(_leave)
    return torch_distributed


def _leave() -> None:
    import torch.distributed as torch_distributed

    if torch_distributed.is_initialized():
        torch_distributed.destroy_process_group()
