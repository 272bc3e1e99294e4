"""What a network cannot take is refused in one line, which says where and what."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

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
            f" {tuple(x.shape)}, {_kind(x)}: {_place(net, error)}"
        ) from error


def _place(net: nn.Module, error: Exception) -> str:
    """The deepest module in which `error` arose, in words."""
    names = {id(module): name or "net" for name, module in net.named_modules()}
    found = None
    trace = error.__traceback__
    while trace is not None:
        if id(trace.tb_frame.f_locals.get("self")) in names:
            found = trace
        trace = trace.tb_next
    if found is None:
        return f"{type(error).__name__}{_words(error)}"
    module, code = found.tb_frame.f_locals["self"], found.tb_frame.f_code
    name = names[id(module)]
    if type(module).__module__.startswith("torch.nn."):
        return f"`{name}` is {_told(module)} and got {_received(found)}{_words(error)}"
    line = linecache.getline(code.co_filename, found.tb_lineno).strip()
    file = Path(code.co_filename).name
    return (
        f"`{name}` ({type(module).__name__}) fails at line {found.tb_lineno} of {file}"
        f"{f', `{line}`' if line else ''}{_words(error)}"
    )


def _told(module: nn.Module) -> str:
    return type(module).__name__ if any(module.children()) else repr(module).split("\n")[0]


def _received(frame: TracebackType) -> str:
    """Shape and type of the first tensor among a function's arguments."""
    code, values = frame.tb_frame.f_code, frame.tb_frame.f_locals
    given = (values.get(name) for name in code.co_varnames[: code.co_argcount])
    first = next((v for v in given if isinstance(v, Tensor)), None)
    return "no tensor" if first is None else f"{tuple(first.shape)}, {_kind(first)}"


def _words(error: Exception) -> str:
    """What an error says; torch's own errors say less than the place."""
    text = str(error).strip().split("\n")[0]
    return f" ({text})" if text and not isinstance(error, RuntimeError) else ""


def _kind(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


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
