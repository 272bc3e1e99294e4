"""Watching: run a network once to see what it writes in place, and turn the writes into values.

A replay starts in the middle of a network, on values that other replays read too, so it must not
overwrite anything. A run shows which operations write: torch counts the writes to every storage,
whatever view is used. A write becomes a new value, and whatever reads the memory later reads that
value. Where the memory is read through another view, no value can replace it: this is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab.surgery.rebuilding import tensors_of

REMEDY = "make a new value instead, as in y = torch.relu(y)"


class Watched(fx.Interpreter):
    """One run of a graph on images, which may change the modules of `net`.

    Attributes:
        env: node -> what it gave; all are alive, so that memory tells them apart.
        writes: node -> which of its arguments' leaves it wrote in place.
        names: memory of the network -> the name of what has it.
        owned: memory of the network that was written -> (its name, the last node that did).
    """

    def __init__(self, graph: fx.Graph, net: nn.Module, root: nn.Module, x: Tensor):
        self.names = _names(net)
        super().__init__(completed(net, graph, root), garbage_collect_values=False, graph=graph)
        self.extra_traceback = False  # errors stay in one line
        self.writes: dict[fx.Node, list[int]] = {}
        self.owned: dict[int, tuple[str, fx.Node]] = {}
        self.run(x)

    def run_node(self, node: fx.Node) -> object:
        """Run one step, and note what it writes."""
        leaves = self.leaves(node)
        before = [_state(leaf) for leaf in leaves]
        value = super().run_node(node)
        after = [_state(leaf) for leaf in leaves]
        if any(a[1:] != b[1:] for a, b in zip(before, after)):
            raise ValueError(
                f"scan: {_where(node)} changes the shape of a tensor in place; {REMEDY}"
            )
        if wrote := [i for i, (a, b) in enumerate(zip(before, after)) if a != b]:
            self.writes[node] = wrote
        return value

    def leaves(self, node: fx.Node) -> list[object]:
        """What a node reads, one value after the other."""
        return pytree.tree_leaves(fx.node.map_arg((node.args, node.kwargs), self.env.get))


def _state(leaf: object) -> tuple:
    if not isinstance(leaf, Tensor):
        return ()
    return (leaf._version, leaf.shape, leaf.stride() if leaf.layout == torch.strided else None)


def _where(node: fx.Node) -> str:
    """An operation by its name, and the module that it belongs to."""
    name = node.target if isinstance(node.target, str) else node.target.__name__
    path = next(reversed(node.meta.get("nn_module_stack") or {"": 0}))
    inside = "" if node.op == "call_module" or not path else f" in `{path}`"
    return f"`{name}`{inside}"


def _memory(value: object) -> int | None:
    """The address of a tensor's memory; None if it has none."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or not value.numel():
        return None
    return value.untyped_storage().data_ptr()


def _same_view(a: object, b: object) -> bool:
    def view(t: Tensor) -> tuple:
        return _memory(t), t.dtype, t.storage_offset(), t.shape, t.stride()

    return isinstance(a, Tensor) and isinstance(b, Tensor) and view(a) == view(b)


def _overlap(a: object, b: Tensor) -> bool:
    """Whether a value is a tensor that has an entry of the memory of `b` in common with it."""
    if _memory(a) is None or _memory(a) != _memory(b):
        return False
    if a.dtype != b.dtype:
        return True
    entries = torch.zeros(a.untyped_storage().nbytes() // a.element_size(), dtype=torch.bool)
    entries.as_strided(a.shape, a.stride(), a.storage_offset()).fill_(True)
    return bool(entries.as_strided(b.shape, b.stride(), b.storage_offset()).any())


def settle(graph: fx.Graph, seen: Watched) -> None:
    """Make `graph` correct without writes: later readers of a memory get the writer's value.

    Raises:
        ValueError: a later reader sees the written memory through another view.
    """
    nodes = [*graph.nodes]
    for writer, positions in seen.writes.items():
        leaves, later = seen.leaves(writer), nodes[nodes.index(writer) + 1 :]
        for target in [leaves[i] for i in positions]:
            if name := seen.names.get(_memory(target)):
                seen.owned[_memory(target)] = name, writer
            else:
                _redirect(seen, writer, target, dict.fromkeys(later))


def _redirect(seen: Watched, writer: fx.Node, target: Tensor, later: dict[fx.Node, None]) -> None:
    gives = _same_view(seen.env[writer], target)
    for reader in later:
        for source in reader.all_input_nodes:
            if source is writer or source in later:
                continue
            value = seen.env[source]
            takes = reader.target is operator.getitem and not isinstance(value, Tensor)
            value = seen.env[reader] if takes else value
            if not any(_overlap(part, target) for part in pytree.tree_leaves(value)):
                continue
            if not gives or not _same_view(value, target):
                raise ValueError(
                    f"scan: {_where(writer)} writes in place into memory that {_where(reader)}"
                    f" reads later under another name; {REMEDY}"
                )
            if takes:
                reader.replace_all_uses_with(writer)
            else:
                reader.replace_input_with(source, writer)


def _names(net: nn.Module) -> dict[int | None, str]:
    """Memory -> the name of what has it: a parameter, a buffer or another attribute."""
    found = {
        _memory(value): name
        for module in net.modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor)
    }
    return found | {_memory(t): name for name, t in tensors_of(net).items()}


def check_owned(graph: fx.Graph, seen: Watched) -> None:
    """Refuse a network whose output needs a parameter, buffer or attribute that it writes.

    A counter that nothing else reads may be written: `graph` does not hold it any more.
    """
    for node in graph.nodes:
        reads = seen.leaves(node)
        if node.op == "call_module":
            reads += tensors_of(seen.module.get_submodule(node.target)).values()
        for memory in seen.owned.keys() & set(map(_memory, reads)):
            name, writer = seen.owned[memory]
            raise ValueError(
                f"scan: `net` writes `{name}` in forward ({_where(writer)}) and reads it"
                f" ({_where(node)}): its answers depend on what it saw before; keep the write out"
                " of evaluation, as in `if self.training:`"
            )


def unwritten(call: Callable, positions: list[int]) -> Callable:
    """`call` on copies of what it writes: of the leaves of its arguments at these positions."""

    def run(*args: object, **kwargs: object) -> object:
        leaves, spec = pytree.tree_flatten((args, kwargs))
        for i in positions:
            leaves[i] = leaves[i].clone()
        args, kwargs = pytree.tree_unflatten(leaves, spec)
        return call(*args, **kwargs)

    return run


def completed(net: nn.Module, graph: fx.Graph, root: nn.Module) -> nn.Module:
    """`net` with the constants that it made in `forward` while it was traced, which are on `root`.

    Raises:
        ValueError: a constant of which tracing knows the shape only.
    """
    for node in graph.find_nodes(op="get_attr"):
        try:
            operator.attrgetter(node.target)(net)
        except AttributeError:
            value = getattr(root, node.target)
            if isinstance(value, Tensor) and value.is_meta:
                raise ValueError(
                    f"scan: `net` ({type(net).__name__}) computes a tensor in forward of its own"
                    f" tensors alone (shape {tuple(value.shape)}); compute it in __init__"
                ) from None
            setattr(net, node.target, value)
    return net
