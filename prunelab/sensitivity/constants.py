"""Constants: tensors that a network makes in `forward` of nothing that is traced."""

from __future__ import annotations

import operator

from torch import Tensor, fx, nn

from prunelab.groups.tracer import graph_of


def attribute(target: str, net: nn.Module, constants: dict[str, Tensor]) -> object:
    """The value of a `get_attr` node."""
    return constants[target] if target in constants else operator.attrgetter(target)(net)


def constants_of(graph: fx.Graph, net: nn.Module) -> dict[str, Tensor]:
    """Constants made in `forward`; traced again on real tensors, as shapes have no numbers."""

    def missing(node: fx.Node) -> bool:
        try:
            return node.op == "get_attr" and operator.attrgetter(node.target)(net) is None
        except AttributeError:
            return True

    wanted = {node.target for node in graph.nodes if missing(node)}
    if not wanted:
        return {}
    before = {name: set(vars(module)) for name, module in net.named_modules()}
    graph_of(net, "scan")  # leaves them on the network as attributes
    found = {}
    for target in wanted:
        try:
            found[target] = operator.attrgetter(target)(net)
        except AttributeError:
            raise ValueError(
                f"scan: `net` makes the constant `{target}` in another way each time it is"
                " followed; make it in __init__"
            ) from None
    for name, module in net.named_modules():
        for extra in set(vars(module)) - before[name]:
            delattr(module, extra)
    return found
