"""cost: parameters, weights, MACs, activations, what is not zero; and measured time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from prunelab import meta

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)
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


def measure(net: nn.Module, example: Tensor) -> Cost:
    """Count the cost of one sample.

    Args:
        net: any network; nothing is run on real data and `net` is unchanged.
        example: (N, ...) an input batch; only its shape and dtype matter.

    Raises:
        ValueError: `example` does not fit `net`.

    Source: PFEC, section 2: one multiply-accumulate counts as one.
    """
    table = layers(net, example)
    with FlopCounterMode(display=False) as counter:
        _forward(meta.twin(net), example)
    return Cost(
        params=sum(p.numel() for p in net.parameters()),
        weights=int(table.weights.sum()),
        macs=counter.get_total_flops() // 2,  # the counter counts a multiply-accumulate as two
        activations=int(table.out.map(_numel).sum()),
    )


def layers(net: nn.Module, example: Tensor) -> pd.DataFrame:
    """One row per convolution and linear layer, in order of execution.

    Returns:
        Columns: layer, kind, out (shape of one sample's output), macs, weights, params (with
        biases). A layer that runs twice has its MACs of both runs and its weights once.

    Arguments and errors as `measure`.
    """
    twin = meta.twin(net)
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


def nonzeros(net: nn.Module) -> dict[str, tuple[int, int]]:
    """Layer name -> (weights and biases that are not zero, all of them), in the network's order.

    Convolution and linear layers only; a layer that stands in two places is counted once. -0.0
    counts as zero. Under masks it is the masked weights that are counted.
    """
    counts = {}
    for name, layer in net.named_modules():
        if isinstance(layer, LAYERS):
            found = [p.detach() for p in (layer.weight, layer.bias) if p is not None]
            kept = sum(int(torch.count_nonzero(p)) for p in found)
            counts[name] = (kept, sum(p.numel() for p in found))
    return counts


def latency(net: nn.Module, example: Tensor, *, calls: int = 20, warmup: int = 3) -> Latency:
    """Measured time of `net(example)` in evaluation mode on the device they are on.

    Args:
        net: any network; its training mode is restored.
        example: (N, ...) the batch to time.
        calls: timed calls.
        warmup: calls before the first timed one.

    Raises:
        ValueError: `calls` is below 1, or `example` does not fit `net`.
    """
    if calls < 1:
        raise ValueError(f"latency: `calls` must be at least 1, got {calls}")
    modes = {module: module.training for module in net.modules()}
    try:
        net.eval()
        with torch.inference_mode():
            seconds = [_timed(net, example) for _ in range(warmup + calls)][warmup:]
    finally:
        for module, mode in modes.items():
            module.training = mode
    cuts = statistics.quantiles(seconds, n=4) if calls > 1 else seconds * 3
    return Latency(statistics.median(seconds), cuts[0], cuts[2], calls, len(example))


def _timed(net: nn.Module, example: Tensor) -> float:
    start = time.perf_counter()
    with _fitting(net, example):
        net(example)
    if example.is_cuda:
        torch.cuda.synchronize(example.device)
    return time.perf_counter() - start


def _forward(twin: nn.Module, example: Tensor) -> None:
    x = torch.empty(1, *example.shape[1:], dtype=example.dtype, device="meta")
    with torch.no_grad(), _fitting(twin, example):
        twin.eval()(x)


@contextmanager
def _fitting(net: nn.Module, example: Tensor) -> Iterator[None]:
    """One line for whatever a network raises on an input that does not fit."""
    try:
        yield
    except (RuntimeError, ValueError, LookupError, TypeError) as error:
        line = str(error).strip().split("\n")[0]
        raise ValueError(
            f"cost: `example` of shape {tuple(example.shape)} does not fit `net`"
            f" ({type(net).__name__}): {line}"
        ) from error


def _numel(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
