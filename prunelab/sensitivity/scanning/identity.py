"""Identity: everything that decides what a network answers, as pieces that can be hashed.

Two networks with the same pieces give the same answers; the pieces are the same in every process.
What is not understood (an open file, an object of a library in C) has no pieces: then nothing may
be kept, as it could come back for another network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import fx, nn

from prunelab.sensitivity.scanning.telling import Telling, UnknownError

__all__ = ["UnknownError", "pieces"]

ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


def pieces(net: nn.Module, graph: fx.Graph | None = None) -> Iterator[object]:
    """Bytes and plain values that tell a network from every other.

    Args:
        net: any network.
        graph: what tracing made of it.

    Raises:
        UnknownError: something of it cannot be told.
    """
    told = Telling()
    for name, module in net.named_modules(remove_duplicate=False):
        yield ("module", name)
        yield from told.value(module)
    if graph is None:
        return
    text = str(graph)
    if ADDRESS.search(text):
        raise UnknownError("the graph")
    yield text
    for node in graph.nodes:
        if node.op == "call_function":
            yield from told.value(node.target)
