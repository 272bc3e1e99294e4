"""Watching: run a network once to see what it writes in place, and turn the writes into values.

A replay starts in the middle of a network, on values that other replays read too, so it must not
overwrite anything. A run shows which operations write: torch counts the writes to every storage,
whatever view is used. A write becomes a new value, and whatever reads the memory later reads that
value. Where the memory is read through another view, no value can replace it: this is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab.surgery.rebuilding import tensors_of

REMEDY = "make a new value instead, as in y = torch.relu(y)"


class Watched(fx.Interpreter):
    """One run of a graph on real numbers.

    Args:
        graph: what tracing made of `net`.
        net: its modules are called; they may be changed by what they write.
        root: holds the constants that tracing found.
        x: images.

    Attributes:
        env: node -> what it gave; all are alive, so that memory tells them apart.
        writes: node -> which of its arguments' leaves it wrote in place.
        gives: the writers that must give what they wrote, as their own result is another.
        constants: target -> tensors made in `forward` while it was traced.
    """

    def __init__(self, graph: fx.Graph, net: nn.Module, root: nn.Module, x: Tensor):
        super().__init__(net, garbage_collect_values=False, graph=graph)
        self.extra_traceback = False  # errors stay in one line
        self.constants = constants_of(graph, net, root)
        self.writes: dict[fx.Node, list[int]] = {}
        self.gives: set[fx.Node] = set()
        self.run(x)

    def fetch_attr(self, target: str) -> object:
        """A module, a tensor of the network, or a constant."""
        return attribute(target, self.module, self.constants)

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


def _overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one memory have an entry in common."""
    if a.dtype != b.dtype:
        return True
    entries = torch.zeros(a.untyped_storage().nbytes() // a.element_size(), dtype=torch.bool)
    entries.as_strided(a.shape, a.stride(), a.storage_offset()).fill_(True)
    return bool(entries.as_strided(b.shape, b.stride(), b.storage_offset()).any())


def settle(graph: fx.Graph, seen: Watched) -> None:
    """Make `graph` correct without writes: later readers of a memory get the writer's value.

    Raises:
        ValueError: a later reader sees the written memory through another view; or a parameter or
            a buffer is both written and read.
    """
    order = {node: i for i, node in enumerate(graph.nodes)}
    owned = {_memory(t): name for name, t in tensors_of(seen.module).items()}
    owned |= {
        _memory(value): name
        for module in seen.module.modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor)
    }
    for writer, positions in seen.writes.items():
        leaves = seen.leaves(writer)
        targets: dict[int, Tensor] = {}
        for i in written(positions, writer.kwargs):
            targets.setdefault(_memory(leaves[i]), leaves[i])
        for memory, target in targets.items():
            if memory is None:
                continue
            if memory in owned:
                _check_owned(graph, seen, writer, memory, owned[memory])
            else:
                _redirect(seen, writer, target, order)


def _redirect(seen: Watched, writer: fx.Node, target: Tensor, order: dict[fx.Node, int]) -> None:
    for reader, source in list(_later(seen, writer, target, order)):
        value, taken = seen.env[source], seen.env[reader]
        if _same_view(value, target):
            _give(seen, writer, target, reader)
            reader.replace_input_with(source, writer)
        elif not isinstance(value, Tensor) and reader.target is operator.getitem:
            if _memory(taken) == _memory(target) and _same_view(taken, target):
                _give(seen, writer, target, reader)
                reader.replace_all_uses_with(writer)
            elif _memory(taken) == _memory(target) and _overlap(taken, target):
                raise _refusal(writer, reader)
        else:
            raise _refusal(writer, reader)


def _later(seen: Watched, writer: fx.Node, target: Tensor, order: dict[fx.Node, int]) -> Iterator:
    """(reader, source): after the write, `reader` reads memory of `target` from before it."""
    for reader in order:
        if order[reader] > order[writer]:
            for source in reader.all_input_nodes:
                if source is not writer and order[source] < order[writer]:
                    parts = pytree.tree_leaves(seen.env[source])
                    same = [p for p in parts if _memory(p) == _memory(target)]
                    if any(_overlap(p, target) for p in same):
                        yield reader, source


def _give(seen: Watched, writer: fx.Node, target: Tensor, reader: fx.Node) -> None:
    """Make the writer give what it wrote, unless something reads its own result."""
    if writer in seen.gives or _same_view(seen.env[writer], target):
        return
    if writer.users:
        raise _refusal(writer, reader)
    seen.gives.add(writer)
    seen.env[writer] = target


def _refusal(writer: fx.Node, reader: fx.Node) -> ValueError:
    return ValueError(
        f"scan: {_where(writer)} writes in place into memory that {_where(reader)} reads later"
        f" under another name; {REMEDY}"
    )


def _check_owned(graph: fx.Graph, seen: Watched, writer: fx.Node, memory: int, name: str) -> None:
    """A counter that nothing reads may be written: a replay leaves it out."""
    needed = needed_by(next(n for n in graph.nodes if n.op == "output"))
    for node in needed:
        own = []
        if node.op == "call_module":
            own = tensors_of(seen.module.get_submodule(node.target)).values()
        if node is writer or memory in map(_memory, [*seen.leaves(node), *own]):
            raise ValueError(
                f"scan: `net` writes `{name}` in forward ({_where(writer)}) and reads it"
                f" ({_where(node)}): its answers depend on what it saw before; keep the"
                " write out of evaluation, as in `if self.training:`"
            )


def written(positions: list[int], kwargs: dict) -> list[int]:
    """Positions with the target first.

    Views of one memory count its writes together: the target is `out`, or else the first of them.
    """
    return positions[::-1] if kwargs.get("out") is not None else positions


def needed_by(output: fx.Node) -> set[fx.Node]:
    """A node and all that it depends on."""
    found, todo = {output}, [output]
    while todo:
        fresh = [n for n in todo.pop().all_input_nodes if n not in found]
        found.update(fresh)
        todo += fresh
    return found


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
