"""Constants: tensors that a network makes in `forward` of nothing that is traced."""

from __future__ import annotations

import operator

from torch import Tensor, fx, nn


def attribute(target: str, net: nn.Module, constants: dict[str, Tensor]) -> object:
    """The value of a `get_attr` node."""
    return constants[target] if target in constants else operator.attrgetter(target)(net)


def constants_of(graph: fx.Graph, net: nn.Module, root: nn.Module) -> dict[str, Tensor]:
    """Target -> what `net` does not have: constants that tracing left on `root`.

    Raises:
        ValueError: a constant of which tracing knows the shape only.
    """
    found = {}
    for node in graph.nodes:
        if node.op != "get_attr":
            continue
        try:
            operator.attrgetter(node.target)(net)
        except AttributeError:
            found[node.target] = value = operator.attrgetter(node.target)(root)
            if isinstance(value, Tensor) and value.is_meta:
                raise ValueError(
                    f"scan: `net` ({type(net).__name__}) computes a tensor in forward of its own"
                    f" tensors alone (shape {tuple(value.shape)}); compute it in __init__"
                ) from None
    return found
