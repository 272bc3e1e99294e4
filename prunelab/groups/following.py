"""One symbolic run of a network on shapes and labels: its graph and the values of its nodes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from operator import attrgetter

import torch
from torch import fx, nn

from prunelab import meta
from prunelab.groups.evidence import Evidence
from prunelab.groups.source_lines import boundary, here, raised
from prunelab.groups.tracer import Tracer
from prunelab.groups.values import FollowError

BATCH = 2
OTHERS = (1, 64)  # batches that are followed too, where the code depends on their number

UNKNOWN = ("meta", "data-dependent")  # what torch says without values


@dataclass(frozen=True, eq=False)
class Followed:
    """The result of one run.

    Attributes:
        graph: an ordinary graph of torch.fx.
        root: the copy on the meta device that was run; owns constants made in `forward`.
        values: node name -> what it gave.
        sizes: whether the network's code read a size.
        decisions: what it did with sizes as plain numbers.
        batch: the samples that it ran with.
    """

    graph: fx.Graph
    root: nn.Module
    values: dict[str, object]
    sizes: bool
    decisions: list[tuple]
    batch: int

    @property
    def used(self) -> set[str]:
        """The names of the parameters that ran."""
        found = {n.target for n in self.graph.nodes if n.op == "get_attr"}
        for path in {n.target for n in self.graph.nodes if n.op == "call_module"}:
            found |= {f"{path}.{k}" for k, _ in self.root.get_submodule(path).named_parameters()}
        return found

    def same(self, other: Followed) -> bool:
        """Whether both runs did the same with batches of different sizes."""
        return (
            self.decisions == other.decisions
            and str(self.graph) == str(other.graph)
            and self._constants() == other._constants()
        )

    def _constants(self) -> dict[str, str]:
        found = {k: v for k, v in vars(self.root).items() if k.startswith("_tensor_constant")}
        return {k: str(v.shape if v.is_meta else v.tolist()) for k, v in found.items()}


@boundary
def follow(
    net: nn.Module,
    example: object,
    evidence: Evidence,
    caller: str,
    *,
    batch: int = BATCH,
    training: bool | None = None,
) -> Followed:
    """Run `net` on shapes. `net` is not changed.

    Args:
        net: a network without wrappers.
        example: as `trace` takes it.
        evidence: what is learned goes here.
        caller: whom errors name.
        batch: samples to run with.
        training: the mode; None: as `net` is.

    Raises:
        TypeError: `example` is none.
        ValueError: `net` cannot be followed, or `example` does not fit it.
    """
    args, kwargs = meta.resized(meta.inputs(example, caller), batch)
    twin = meta.twin(net, values=True)
    if training is not None:
        twin.train(training)
    name = f"`net` ({type(net).__name__})"

    def ill_fitting(node: fx.Node, error: Exception) -> FollowError:
        place = f"`{getattr(node.target, '__name__', node.target)}`{here()}"
        if any(word in str(error).lower() for word in UNKNOWN):
            return FollowError(f"{place} needs the values of an activation")
        shown = meta.shapes(example)
        return UnfitError(
            f"{caller}: `example` of shape {shown} does not fit {name} at {place}:"
            f" {first_line(error)}"
        )

    tracer = Tracer(evidence, args, kwargs, ill_fitting)
    try:
        with torch.no_grad():
            graph = tracer.trace(twin)
    except UnfitError as error:
        raise ValueError(str(error)) from error.__cause__
    except Exception as error:  # whatever the network's own code raises
        line = "" if isinstance(error, FollowError) else raised(error)
        raise ValueError(f"{caller}: cannot follow {name}: {first_line(error)}{line}") from error
    values = {node.name: value for node, value in tracer.env.items()}
    return Followed(graph, twin, values, tracer.sizes, tracer.decisions, batch)


class UnfitError(FollowError):
    """The example does not fit the network; holds the complete message."""


def first(
    net: nn.Module, example: object, evidence: Evidence, caller: str, training: bool | None = None
) -> Followed:
    """Run `net` on two samples, or where it takes no such batch, on as many as the example has.

    Arguments and errors as `follow`.
    """
    again = partial(follow, net, example, evidence, caller, training=training)
    try:
        return again()
    except ValueError:
        given = meta.batch_of(meta.inputs(example, caller))
        if given != BATCH:
            with suppress(ValueError):
                return again(batch=given)
        raise


def bound(net: nn.Module, example: object, evidence: Evidence, caller: str, seen: Followed) -> str:
    """Where the code of `net` depends on how many samples there are; empty where it does not.

    What other batches do goes into `evidence` too.
    """
    if not seen.sizes:
        return ""
    again = partial(follow, net, example, evidence, caller, training=seen.root.training)
    try:
        other = again(batch=seen.batch + 1)
        if seen.same(other):
            return ""
        pairs = zip_longest(seen.decisions, other.decisions)
        why = next(((a or b)[0] for a, b in pairs if a != b), "")
    except ValueError as error:
        why = f" ({first_line(error)})"
    for batch in OTHERS:
        with suppress(ValueError):
            again(batch=batch)
    return f"it uses the size of the batch as a plain number or in a decision{why}"


def graph_of(net: nn.Module, example: object, caller: str) -> tuple[fx.Graph, dict[str, object]]:
    """The graph of a network in the mode it is in, and what its nodes name, by name.

    Raises:
        TypeError: `net` is no module, or `example` is none.
        ValueError: the network cannot be followed, or not on batches of other sizes.
    """
    net = meta.network(net, caller)
    seen = first(net, example, Evidence(), caller)
    if why := bound(net, example, Evidence(), caller, seen):
        raise ValueError(f"{caller}: cannot follow `net` ({type(net).__name__}): {why}")
    parts = {}
    for node in seen.graph.nodes:
        if node.op in ("call_module", "get_attr"):
            try:
                parts[node.target] = attrgetter(node.target)(net)
            except AttributeError:  # a constant made in `forward`
                parts[node.target] = attrgetter(node.target)(seen.root)
    return seen.graph, parts


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).strip().split("\n")[0] or type(error).__name__
