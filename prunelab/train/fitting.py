"""What a network cannot take is refused in one line, which says where and what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

import torch
from torch import Tensor, nn

from prunelab.data import Split

FAULTS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


def check_device(caller: str, net: nn.Module, split: Split, argument: str = "net") -> None:
    """Refuse a network whose parameters are not where the images are."""
    for name, parameter in net.named_parameters():
        if parameter.device != split.device:
            raise ValueError(
                f"{caller}: `{argument}` must be on the data's device {split.device}; "
                f"got `{name}` on {parameter.device}"
            )


def check_logits(caller: str, logits: Tensor, images: int, labels: Tensor) -> None:
    """Refuse logits that are not (images, classes), and labels that are not among the classes."""
    if logits.dim() != 2 or len(logits) != images or logits.is_complex():
        raise ValueError(
            f"{caller}: `net` must return ({images}, classes) logits for {images} images; "
            f"got {tuple(logits.shape)}{' complex' * logits.is_complex()}"
        )
    low, high = labels.aminmax()
    if low < 0 or high >= logits.shape[1]:
        raise ValueError(
            f"{caller}: labels must be in 0..{logits.shape[1] - 1}, the outputs of `net`; "
            f"got {low.item()}..{high.item()}"
        )


@contextmanager
def taking(caller: str, net: nn.Module, x: Tensor) -> Iterator[None]:
    """One ValueError for whatever `net` raises on `x`: the module, what it is and what it got."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except FAULTS as error:
        raise ValueError(
            f"{caller}: `net` ({type(net).__name__}) cannot take images of shape"
            f" {tuple(x.shape)} {x.dtype}: {_place(net, error)}"
        ) from error


def _place(net: nn.Module, error: Exception) -> str:
    """What an error says, after the deepest module in which it arose."""
    names = {id(module): name or "net" for name, module in net.named_modules()}
    frames = [frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__)]
    inside = [module for module in frames if id(module) in names]
    where = f"`{names[id(inside[-1])]}` ({type(inside[-1]).__name__}): " if inside else ""
    return where + (str(error).strip().split("\n")[0] or type(error).__name__)


def scalar(name: str, value: object) -> Tensor | float:
    """What the function `name` has returned; TypeError or ValueError if it is no scalar."""
    if not isinstance(value, Tensor | int | float):
        raise TypeError(f"fit: `{name}` must return a scalar; got {type(value).__name__}")
    if isinstance(value, Tensor) and value.dim():
        raise ValueError(f"fit: `{name}` must return a scalar; got shape {tuple(value.shape)}")
    return value


def trainable(name: str, value: object) -> Tensor:
    """A scalar with a gradient that the function `name` has returned. Errors as `scalar`."""
    found = scalar(name, value)
    if not isinstance(found, Tensor) or not found.requires_grad:
        raise ValueError(f"fit: `{name}` must return a tensor that depends on what is trained")
    return found
