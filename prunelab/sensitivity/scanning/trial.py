"""Trial: the logits of a network on a few images, and whether a replay gives the same."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from prunelab import meta
from prunelab.groups import Flow
from prunelab.sensitivity.scanning.folding import copy_of, folded, hooked, norms_of, without_hooks
from prunelab.sensitivity.scanning.watching import Watched, settle
from prunelab.surgery import tensors_of
from prunelab.train.evaluation import logits_of

if TYPE_CHECKING:
    from prunelab.sensitivity.scanning.program import Program

SIGNS = {  # what torch calls a write in place -> how Python writes it
    "add_": "+=",
    "sub_": "-=",
    "mul_": "*=",
    "div_": "/=",
    "pow_": "**=",
    "floor_divide_": "//=",
    "remainder_": "%=",
    "__setitem__": "x[...] = y",
    "__set__": "x.data = y",
}
IMAGES = 3  # neither one, nor the two that a network is traced with


class Trial:
    """A network on a few images: its logits, and what its operations write.

    The graph of the flow is made free of writes in place, and its output the logits alone.

    Args:
        net: any network; unchanged.
        flow: from `prunelab.groups.flow` on `net`.
        logits: which entry of the output holds the logits.
        example: (n, ...) images; None = random ones.

    Raises:
        TypeError: the output of `net` is no tensor and `logits` is not given.
        ValueError: `net` does not run on the images; it gives something else each time or in
            another batch, a hook changes what it gives, or it writes in place where no replay can
            follow.
    """

    def __init__(
        self, net: nn.Module, flow: Flow, logits: str | int | None, example: Tensor | None
    ):
        with torch.inference_mode(False), torch.no_grad():
            self.x = _images(net, flow, example)
            self.expected = _expected(net, self.x, logits)
            _check_batches(net, self.x, logits, self.expected)
            copied = without_hooks(copy_of(net))
            self.seen = Watched(flow.graph, copied, flow.root, self.x.clone())
            output = next(n for n in flow.graph.nodes if n.op == "output")
            out = logits_of("scan", self.seen.env[output], logits)
            if not _close(out, self.expected, self.expected.dtype):
                raise ValueError(_why(net, self.x, logits))
            settle(flow.graph, self.seen)
            _answer(flow, output, self.seen, logits)
        self.seen.env.clear()

    def passed_by(self, program: Program) -> bool:
        """Whether `program` gives the same logits; its fast form may also fail to run."""
        try:
            with torch.inference_mode():
                out = program.run(program.nodes, program.start(self.x.clone()))
        except Exception as error:  # whatever the network's own code raises
            if program.fast:
                return False
            raise _unable(program.source, program.dtype, error) from error
        return _close(out, self.expected, program.dtype)


def _answer(flow: Flow, output: fx.Node, seen: Watched, logits: str | int | None) -> None:
    """Make the graph's output the logits alone, so that nothing else runs."""
    everything = output.args[0]
    found = logits_of("scan", fx.node.map_arg(everything, seen.env.get), logits)
    others = (n for n in reversed(flow.graph.nodes) if n is not output)
    node = next((n for n in others if seen.env.get(n) is found), None)
    if node is None:  # inside an object that only the whole output makes
        with flow.graph.inserting_before(output):
            node = flow.graph.call_function(logits_of, ("scan", everything, logits))
        flow.values[node.name] = None
    output.args = (node,)


def _images(net: nn.Module, flow: Flow, example: Tensor | None) -> Tensor:
    """(3, ...) images on the network's device."""
    if example is None:
        first = next(n for n in flow.graph.nodes if n.op == "placeholder")
        like = flow.values[first.name].meta
        g = torch.Generator().manual_seed(0)
        example = torch.randn(IMAGES, *like.shape[1:], generator=g).to(like.dtype)
    device = next((t.device for t in tensors_of(net).values()), example.device)
    rows = torch.arange(IMAGES) % len(example)
    x = example[rows].to(device)
    return x.to(meta.dtype_of(net)) if x.is_floating_point() else x


def _expected(net: nn.Module, x: Tensor, logits: str | int | None) -> Tensor:
    """The logits of a copy with all its hooks; `net` itself does not change."""
    try:
        out = copy_of(net)(x.clone())
    except Exception as error:
        raise _unable(net, x.dtype, error) from error
    return logits_of("scan", out, logits)


def _check_batches(net: nn.Module, x: Tensor, logits: str | int | None, expected: Tensor) -> None:
    """Refuse a network in which the logits of an image depend on its batch, or on chance."""
    fewer = _expected(net, x[1:], logits)
    if not _close(fewer, expected[1:], expected.dtype):
        again = _expected(net, x, logits)
        why = (
            "gives an image other logits in another batch, as norms without running statistics do"
            if _close(again, expected, expected.dtype)
            else "gives other outputs each time: it draws random numbers in evaluation"
        )
        raise ValueError(f"scan: `net` ({type(net).__name__}) {why}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _unable(net: nn.Module, dtype: torch.dtype, error: Exception) -> ValueError:
    kind = str(dtype).removeprefix("torch.")
    return ValueError(
        f"scan: `net` ({type(net).__name__}) does not run on {kind} images of `split`:"
        f" {_first_line(error)}"
    )


def _close(a: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Whether two tensors are equal up to accumulated rounding errors of `dtype`."""
    if a.shape != b.shape or not a.is_floating_point():
        return torch.equal(a, b)
    a, b = a.double(), b.double()
    largest = float(b[b.isfinite()].abs().amax()) if b.isfinite().any() else 0.0
    most = 10 * math.sqrt(torch.finfo(dtype).eps) * largest
    return torch.allclose(a, b, rtol=0, atol=most, equal_nan=True)


def _why(net: nn.Module, x: Tensor, logits: str | int | None) -> str:
    name = f"scan: `net` ({type(net).__name__})"
    with _Writes() as writes:
        _expected(net, x, logits)
    if names := hooked(net):
        return f"{name} has a hook at `{names[0]}` that changes what it gives; put it into forward"
    if writes.seen:
        written = ", ".join(f"`{w}`" for w in sorted(writes.seen))
        return (
            f"{name} writes in place ({written}) into a value that it reads again under another"
            " name; make a new value instead, as in a = a + b"
        )
    return (
        f"{name} gives something else when it runs step by step: its forward does more than"
        " calling layers and functions on tensors, or counts on a number of images"
    )


@torch.no_grad()
def quickest(
    net: nn.Module, graph: fx.Graph, x: Tensor, logits: str | int | None = None
) -> tuple[dict[str, str], torch.memory_format]:
    """Norms and memory for `folded`, so that it gives what `net` gives.

    Args:
        net: any network; unchanged.
        graph: what tracing made of it.
        x: (n, ...) images to try it on.
        logits: as for `train.evaluate`.
    """
    expected, norms = _expected(net, x, logits), norms_of(graph, net)
    for form in ((norms, torch.channels_last), (norms, torch.contiguous_format)):
        with suppress(Exception):  # whatever the network's own code raises in another memory
            out = logits_of("scan", folded(net, *form)(x.clone()), logits)
            if _close(out, expected, expected.dtype):
                return form
    return {}, torch.contiguous_format


class _Writes(TorchFunctionMode):
    """Notes writes in place, such as `+=` on a tensor: tracing does not see all of them."""

    def __init__(self):
        super().__init__()
        self.seen: set[str] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        writes = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        if name in SIGNS or writes:
            self.seen.add(f"{name} or {SIGNS[name]}" if name in SIGNS else name)
        return func(*args, **(kwargs or {}))
