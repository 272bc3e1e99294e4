"""Trial: the logits of a network on a few images, and its graph in a form that gives the same."""

from __future__ import annotations

import math
from contextlib import suppress

import torch
from torch import Tensor, fx, nn

from prunelab.groups import Flow
from prunelab.sensitivity.scanning.folding import (
    copy_of,
    folded,
    hooks_of,
    norms_of,
    without_hooks,
)
from prunelab.sensitivity.scanning.watching import Watched, check_owned, settle
from prunelab.train.evaluation import logits_of
from prunelab.train.fitting import taking


@torch.no_grad()
def expected(net: nn.Module, x: Tensor, logits: str | int | None) -> Tensor:
    """The logits of a copy of `net` with all its hooks.

    Raises:
        TypeError: the output is no tensor and `logits` is not given.
        ValueError: `net` does not run on the images, or gives an image other logits each time or in
            another batch.
    """
    found = _answer(net, x, logits)
    if not close(_answer(net, x[1:], logits), found[1:], found.dtype):
        why = (
            "gives an image other logits in another batch, as norms without running statistics do"
            if close(_answer(net, x, logits), found, found.dtype)
            else "gives other outputs each time: it draws random numbers in evaluation"
        )
        raise ValueError(f"scan: `net` ({type(net).__name__}) {why}")
    return found


def _answer(net: nn.Module, x: Tensor, logits: str | int | None) -> Tensor:
    with taking("scan", net, x):
        out = copy_of(net)(x.clone())
    return logits_of("scan", out, logits)


@torch.no_grad()
def replayable(
    net: nn.Module, flow: Flow, x: Tensor, logits: str | int | None, wanted: Tensor
) -> Watched:
    """Make the graph of `flow` free of writes in place, and its output the logits alone.

    Returns the run on `x` that showed what the graph writes; `wanted` are the logits of `x`.

    Raises:
        ValueError: a hook changes what `net` gives, its forward does more than the graph tells, or
            it writes in place where no replay can follow.
    """
    graph = flow.graph
    seen = Watched(graph, without_hooks(copy_of(net)), flow.root, x.clone())
    output = graph.output_node()
    found = logits_of("scan", seen.env[output], logits)
    if not close(found, wanted, wanted.dtype):
        hooked = next((name or type(net).__name__ for name, *_ in hooks_of(net)), None)
        raise ValueError(
            f"scan: `net` ({type(net).__name__}) "
            + (
                "gives something else when it runs step by step: its forward writes in place (as"
                " a += 1 does) into a value that it reads again under another name, does more than"
                " calling layers and functions on tensors, or counts on a number of images"
                if hooked is None
                else f"has a hook at `{hooked}` that changes what it gives; put it into forward"
            )
        )
    settle(graph, seen)
    _shorten(flow, output, seen, logits)
    check_owned(graph, seen)
    seen.env.clear()
    return seen


def _shorten(flow: Flow, output: fx.Node, seen: Watched, logits: str | int | None) -> None:
    """Make the graph's output the logits alone, and remove what they do not depend on."""
    everything = output.args[0]
    found = logits_of("scan", fx.node.map_arg(everything, seen.env.get), logits)
    others = (n for n in reversed(flow.graph.nodes) if n is not output)
    node = next((n for n in others if seen.env.get(n) is found), None)
    if node is None:  # inside an object that only the whole output makes
        with flow.graph.inserting_before(output):
            node = flow.graph.call_function(logits_of, ("scan", everything, logits))
        flow.values[node.name] = None
    output.args = (node,)
    flow.graph.eliminate_dead_code(lambda n: n.op in ("placeholder", "output"))


def close(a: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Whether two tensors are equal up to accumulated rounding errors of `dtype`."""
    if a.shape != b.shape or not a.is_floating_point():
        return torch.equal(a, b)
    a, b = a.double(), b.double()
    largest = float(b[b.isfinite()].abs().amax()) if b.isfinite().any() else 0.0
    most = 10 * math.sqrt(torch.finfo(dtype).eps) * largest
    return torch.allclose(a, b, rtol=0, atol=most, equal_nan=True)


@torch.no_grad()
def quickest(
    net: nn.Module, graph: fx.Graph, x: Tensor, logits: str | int | None = None
) -> tuple[dict[str, str], torch.memory_format]:
    """Norms and memory for `folded`, so that it gives what `net` gives on the images `x`."""
    wanted, norms = _answer(net, x, logits), norms_of(graph, net)
    for layout in (torch.channels_last, torch.contiguous_format):
        with suppress(ValueError):  # some code does not run in another memory
            if close(_answer(folded(net, norms, layout), x, logits), wanted, wanted.dtype):
                return norms, layout
    return {}, torch.contiguous_format
