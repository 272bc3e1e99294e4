"""One symbolic run of a network on shapes and labels: its graph and the values of its nodes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import add, attrgetter, mul

import torch
from torch import fx, nn

from prunelab import meta
from prunelab.groups.evidence import Evidence
from prunelab.groups.operation import leaves_of
from prunelab.groups.source_lines import boundary, here, raised
from prunelab.groups.tracer import Tracer
from prunelab.groups.values import FollowError

BATCH = 2
OTHERS = (1, 64)  # batches that are followed too, where the code depends on their number

UNKNOWN = ("meta", "data-dependent")  # what torch says without values


@dataclass(frozen=True, eq=False)
class Followed:
    """The result of one run; `graph`, `root` and `values` as in `Flow`.

    Attributes:
        sizes: whether the network's code read a size.
        batch: the samples that it ran with.
    """

    graph: fx.Graph
    root: nn.Module
    values: dict[str, object]
    sizes: bool
    batch: int

    @property
    def used(self) -> set[str]:
        """The names of the parameters that ran."""
        found = {n.target for n in self.graph.nodes if n.op == "get_attr"}
        for path in {n.target for n in self.graph.nodes if n.op == "call_module"}:
            found |= {f"{path}.{k}" for k, _ in self.root.get_submodule(path).named_parameters()}
        return found

    def constants(self) -> dict[str, str]:
        """The tensors that the network's own code made, as text."""
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
    """Run `net`, which has no wrapper, on the shapes of `batch` samples; `net` is not changed.

    What is learned goes into `evidence`. `training` is the mode; None: as `net` is. Errors as
    `trace`, in the name of `caller`.
    """
    args, kwargs = meta.resized(meta.inputs(meta.cast(example, net), caller), batch)
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
    return Followed(graph, twin, values, tracer.sizes, batch)


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
    """Why the graph of `seen` fits one size of batch only, if so.

    Numbers in it that grow with the batch are computed from it from now on. What other batches do
    goes into `evidence` too.
    """
    if not seen.sizes:
        return ""
    again = partial(follow, net, example, evidence, caller, training=seen.root.training)
    runs = [seen]
    for batch in OTHERS:
        with suppress(ValueError):
            runs.append(again(batch=batch))
    try:
        runs.insert(1, again(batch=seen.batch + 1))
        _follow_batch(runs)
    except ValueError as error:
        why = first_line(error)
        return f"it uses the size of the batch as a plain number or in a decision ({why})"
    return ""


def _follow_batch(runs: list[Followed]) -> None:
    """Makes the first run's graph compute numbers a + b n of n samples.

    Raises:
        FollowError: the runs differ in more than these.
    """
    graph, nodes = runs[0].graph, [list(run.graph.nodes) for run in runs]
    if len({(len(found), str(run.constants())) for found, run in zip(nodes, runs)}) > 1:
        raise FollowError("it does something else with another one")
    with graph.inserting_before(next(n for n in graph.nodes if n.op != "placeholder")):
        size = graph.call_method("size", (nodes[0][0], 0))
    runs[0].values[size.name] = runs[0].batch
    for node, *others in zip(*nodes):
        leaves = [leaves_of(n.args, n.kwargs) for n in (node, *others)]
        said = {(n.op, n.target, n.name, len(found)) for n, found in zip((node, *others), leaves)}
        if len(said) > 1:
            raise FollowError(f"`{node.name}` is something else with another one")
        with graph.inserting_before(node):
            new = iter([_in_batch(numbers, runs, size) for numbers in zip(*leaves)])
        node.args, node.kwargs = fx.node.map_aggregate(
            (node.args, node.kwargs), lambda _, new=new: next(new)
        )
    if not size.users:
        graph.erase_node(size)


def _in_batch(numbers: tuple, runs: list[Followed], size: fx.Node) -> object:
    """What gives the first of these arguments on two samples, the second on three, and so on."""
    first, second = numbers[:2]
    if len(set(map(str, numbers))) == 1:
        return first
    if not all(isinstance(n, int | float) for n in numbers):
        raise FollowError(f"{first} here, {second} with one more sample")
    slope, values = second - first, runs[0].values
    offset = first - slope * runs[0].batch
    if any(n != slope * run.batch + offset for n, run in zip(numbers, runs)):
        raise FollowError(f"{first} here, {second} with one more sample")
    for function, number in ((mul, slope), (add, offset)):
        value = function(values[size.name], number)
        size = size.graph.call_function(function, (size, number))
        values[size.name] = value
    return size


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
