"""trace(net, example): follow a network with torch.fx and find its groups of coupled channels.

Beside every activation travels a *label tensor* of the same shape: at each position the atom (see
`evidence`) of the channel that stands there. Layers that write channels make new atoms; operations
that move data (flatten, permute, concatenate, ...) are run on the labels themselves, so their
effect is exact; additions unite atoms; what mixes channels fixes them, with a reason.
Activations live on the meta device: no arithmetic is done and no memory is used for them.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab import meta
from prunelab.groups import applying, labels
from prunelab.groups.evidence import Evidence
from prunelab.groups.flow import Flow
from prunelab.groups.group import Groups
from prunelab.groups.tracer import first_line, graph_of

PICKING = (nn.Linear, nn.Conv2d)


def trace(net: nn.Module, example: Tensor) -> Groups:
    """Find the groups of channels of `net` that can be pruned.

    The network is followed as in evaluation; parts that only run in training (auxiliary
    classifiers) are followed too, so that they fit the pruned network. `net` is not changed.

    Args:
        net: any module torch.fx can trace.
        example: an input batch (N, ...); only its shape and dtype matter.

    Returns:
        The prunable groups in order of execution; `.fixed` says why other layers are not offered.

    Raises:
        TypeError: `example` is not a tensor, or `net` is no module.
        ValueError: torch.fx cannot follow `net`, or `example` does not fit it.
    """
    return flow(net, example).groups


@torch.no_grad()  # as in evaluation: with gradients, some writes in place are errors
def flow(net: nn.Module, example: Tensor) -> Flow:
    """The groups together with the graph in which they were found.

    Arguments and errors as `trace`.
    """
    if not isinstance(net, nn.Module):
        raise TypeError(f"trace: `net` must be a torch.nn.Module, got {type(net).__name__}")
    if not isinstance(example, Tensor):
        raise TypeError(f"trace: `example` must be a tensor, got {type(example).__name__}")
    if example.ndim < 2:
        raise ValueError(
            f"trace: `example` must be a batch (N, ...), got shape {tuple(example.shape)}"
        )
    twin = meta.twin(net)
    evidence = Evidence()
    x = torch.empty(2, *example.shape[1:], dtype=example.dtype, device="meta")
    graph, labelled, used = follow(twin.eval(), x, evidence)
    if any(name not in used for name, _ in twin.named_parameters()):  # auxiliary classifiers
        follow(twin.train(), x, evidence)
    return Flow(graph, twin, evidence.groups(_reads(twin, graph)), labelled, evidence)


def _reads(net: nn.Module, graph: fx.Graph) -> dict[str, int]:
    """Layer -> entries that it reads, for the layers of which single ones can be picked.

    They run (more than lend their weight to other code), and no other layer has their weight.
    """
    run = {name for node in graph.nodes for name in node.meta.get("nn_module_stack", ())}
    owners = Counter(id(p) for _, p in net.named_parameters(remove_duplicate=False))
    return {
        name: m.weight.shape[1]
        for name, m in net.named_modules()
        if isinstance(m, PICKING) and getattr(m, "groups", 1) == 1
        if name in run and owners[id(m.weight)] == 1
    }


def follow(
    net: nn.Module, x: Tensor, evidence: Evidence
) -> tuple[fx.Graph, dict[str, object], set[str]]:
    """Run the graph of `net` on meta tensors with labels.

    Returns:
        The graph, node name -> what came out of it, and the names of the parameters it used.
    """
    graph, modules = graph_of(net)
    names = labels.Names(net)
    env: dict[fx.Node, object] = {}
    inputs = 0
    for node in graph.nodes:
        if node.op == "placeholder":
            inputs += 1
            if inputs > 1 and not node.args:
                raise ValueError(
                    f"trace: `net` ({type(net).__name__}) takes {inputs} inputs or more;"
                    " one input tensor is supported"
                )
            env[node] = labels.network_input(evidence, x) if inputs == 1 else node.args[0]
        elif node.op == "get_attr":
            env[node] = _attribute(net, node.target, names)
        elif node.op == "output":
            labels.network_output(evidence, pytree.tree_leaves(_load(node.args, env)))
        else:
            args, kwargs = _load(node.args, env), _load(node.kwargs, env)
            try:
                env[node] = applying.apply(node, args, kwargs, modules, names, evidence)
            except Exception as error:
                shape = ", ".join(map(str, x.shape[1:]))
                raise ValueError(
                    f"trace: `example` of shape (N, {shape}) does not fit `net`"
                    f" ({type(net).__name__}) at `{node.target}`: {first_line(error)}"
                ) from error
    owned = {f"{path}.{k}" for path, m in modules.items() for k, _ in m.named_parameters()}
    used = owned | {n.target for n in graph.nodes if n.op == "get_attr"}
    return graph, {node.name: value for node, value in env.items()}, used


def _attribute(net: nn.Module, target: str, names: labels.Names) -> object:
    value = net
    for part in target.split("."):
        value = getattr(value, part)
    if not isinstance(value, Tensor):
        return value
    name = names.of(value, target)  # a constant made in `forward` is no tensor of the network
    return labels.Parameter(value if value in names else value.to("meta"), name)


def _load(args: object, env: dict[fx.Node, object]) -> object:
    return fx.node.map_arg(args, lambda n: env[n])
