"""cost: parameters, weights, MACs, activations, what is not zero; and measured time."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from prunelab import checks, meta

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)
PRODUCTS = {f"{kind}{d}d" for kind in ("conv", "conv_transpose") for d in (1, 2, 3)} | {"linear"}
MOST_CALLS = 100_000  # more is a mistake, and would not end
COLUMNS = ("layer", "kind", "out", "macs", "weights", "params")


@dataclass(frozen=True)
class Cost:
    """What one network costs.

    Attributes:
        params: all parameters: weights, biases, normalisation scales and shifts.
        weights: entries of the weight tensors of convolutions and linear layers only.
        macs: multiply-accumulates of one sample in convolutions, linear layers and any other matrix
            product (so it can be more than the sum over `layers`). Biases, normalisation,
            activation functions and pooling are not counted.
        activations: outputs of convolutions and linear layers for one sample.
    """

    params: int
    weights: int
    macs: int
    activations: int


@dataclass(frozen=True)
class Latency:
    """Seconds per call: median, quartiles, number of calls, batch size."""

    median: float
    low: float
    high: float
    calls: int
    batch: int


def measure(net: nn.Module, example: object) -> Cost:
    """Count the cost of one sample.

    Args:
        net: any network; nothing is run on real data and `net` is unchanged.
        example: (N, ...) an input batch, a tuple of arguments or a dict of keyword arguments; only
            shapes and dtypes matter.

    Raises:
        TypeError: `net` is no module, or `example` is none of these.
        ValueError: `example` does not fit `net`.

    Source: PFEC, section 2: one multiply-accumulate counts as one.
    """
    net = meta.network(net, "cost")
    table = layers(net, example)
    with FlopCounterMode(display=False) as counter:
        _forward(meta.twin(net), example)
    return Cost(
        params=sum(p.numel() for p in net.parameters()),
        weights=int(table.weights.sum()),
        macs=counter.get_total_flops() // 2,  # the counter counts a multiply-accumulate as two
        activations=int(table.out.map(math.prod).sum()),
    )


def layers(net: nn.Module, example: object) -> pd.DataFrame:
    """One row per convolution and linear layer, in order of execution.

    Returns:
        Columns: layer, kind, out (shape of one sample's output), macs, weights, params (with
        biases). A layer that runs twice has its MACs of both runs and its weights once.

    Arguments and errors as `measure`.
    """
    twin = meta.twin(meta.network(net, "cost"))
    rows: dict[str, dict[str, Any]] = {}

    def record(name: str, module: Any, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        shape = tuple(out.shape[1:])
        moves = inputs[0] if getattr(module, "transposed", False) else out
        macs = moves.numel() * module.weight[0].numel()
        if name in rows:
            rows[name]["macs"] += macs
        else:
            kind = type(module).__name__
            weights, bias = module.weight.numel(), getattr(module, "bias", None)
            params = weights + (0 if bias is None else bias.numel())
            values = (name, kind, shape, macs, weights, params)
            rows[name] = dict(zip(COLUMNS, values))

    for name, module in twin.named_modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(lambda m, i, o, name=name: record(name, m, i, o))
    _forward(twin, example)
    return pd.DataFrame(list(rows.values()), columns=list(COLUMNS))


def products(net: nn.Module, example: object) -> dict[str, int]:
    """Weight -> multiply-accumulates of one sample in convolutions and linear maps with it.

    A weight that the network's own code hands to a function counts as one of a layer; a weight
    that is computed (transposed, normalised) does not. Each MAC uses one entry of the weight.

    Arguments and errors as `measure`.
    """
    twin = meta.twin(meta.network(net, "cost"))
    with _Products(twin) as found:
        _forward(twin, example)
    return found.macs


class _Products(TorchFunctionMode):
    """Adds up the products with each of a network's tensors."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.names = {id(p): name for name, p in net.named_parameters()}
        self.names |= {id(b): name for name, b in net.named_buffers()}
        self.macs: dict[str, int] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in PRODUCTS:
            given = dict(zip(("input", "weight"), args)) | (kwargs or {})
            name = self.names.get(id(given["weight"]))
            if name is not None:
                moves = given["input"] if "transpose" in func.__name__ else out
                macs = moves.numel() * given["weight"][0].numel()
                self.macs[name] = self.macs.get(name, 0) + macs
        return out


def nonzeros(net: nn.Module) -> dict[str, tuple[int, int]]:
    """Layer name -> (weights and biases that are not zero, all of them), in the network's order.

    Convolution and linear layers only; a layer that stands in two places is counted once. -0.0
    counts as zero. Under masks it is the masked weights that are counted.
    """
    counts = {}
    for name, layer in meta.network(net, "cost").named_modules():
        if isinstance(layer, LAYERS):
            found = [p.detach() for p in (layer.weight, layer.bias) if p is not None]
            kept = sum(int(torch.count_nonzero(p)) for p in found)
            counts[name] = (kept, sum(p.numel() for p in found))
    return counts


def latency(net: nn.Module, example: object, *, calls: int = 20, warmup: int = 3) -> Latency:
    """Measured time of `net(example)` in evaluation mode on the device they are on.

    Args:
        net: any network; its training mode is restored.
        example: (N, ...) the batch to time.
        calls: timed calls, >= 1.
        warmup: calls before the first timed one, >= 0.

    Raises:
        ValueError: `calls` or `warmup` is no such count, `example` is empty or does not fit `net`.
    """
    _check_timing(example, calls, warmup)
    args, kwargs = meta.inputs(example, "latency")
    net = meta.network(net, "latency")
    with meta.in_mode(net, False), torch.inference_mode():
        seconds = [_timed(net, args, kwargs) for _ in range(warmup + calls)][warmup:]
    cuts = statistics.quantiles(seconds, n=4) if calls > 1 else seconds * 3
    batch = meta.batch_of((args, kwargs))
    return Latency(statistics.median(seconds), cuts[0], cuts[2], calls, batch)


def _check_timing(example: object, calls: int, warmup: int) -> None:
    for name, count, least in (("calls", calls, 1), ("warmup", warmup, 0)):
        allowed = f"an integer from {least} to {MOST_CALLS}"
        whole = isinstance(count, Integral) and not isinstance(count, bool)
        checks.need(whole and least <= count <= MOST_CALLS, "latency", name, allowed, count)
    for batch in pytree.tree_leaves(example):
        if isinstance(batch, Tensor) and not (batch.dim() and len(batch)):
            shape = tuple(batch.shape)
            raise ValueError(f"latency: `example` must hold a sample, got shape {shape}")


def _timed(net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    start = time.perf_counter()
    with _fitting(net, (args, kwargs), "latency"):
        net(*args, **kwargs)
    devices = {a.device for a in pytree.tree_leaves((args, kwargs)) if isinstance(a, Tensor)}
    for device in devices:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _forward(twin: nn.Module, example: object) -> None:
    args, kwargs = cast(Any, meta.resized(meta.inputs(meta.cast(example, twin), "cost"), 1))
    for module in list(twin.modules()):
        for name, part in module.named_children():
            if "_orig_mod" in part._modules:  # compiling it anew would take long
                module._modules[name] = cast(nn.Module, part._orig_mod)
    with torch.no_grad(), torch.device("meta"), _fitting(twin, example):
        twin.eval().requires_grad_(False)(*args, **kwargs)


@contextmanager
def _fitting(net: nn.Module, example: object, caller: str = "cost") -> Iterator[None]:
    """One line for whatever a network raises on an input that does not fit."""
    try:
        yield
    except Exception as error:  # whatever the network's own code raises
        line = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{caller}: `example` of shape {meta.shapes(example)} does not fit `net`"
            f" ({type(net).__name__}): {line}"
        ) from error
