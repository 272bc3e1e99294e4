"""diagram(net, example, groups): the network as a short list of rows, ready to draw or save.

A row is a layer with weights, a place where branches meet, the input or an output. Batch norm,
activations, pooling, dropout and reshaping have no rows: who reads them reads what stands before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab import checks, meta
from prunelab.groups.evidence import Evidence
from prunelab.groups.following import Followed, first
from prunelab.groups.group import IN, Group, Groups, Slice
from prunelab.groups.operation import Names, metas
from prunelab.groups.operators import CONVS, TRANSPOSED_CONVS, plain

LAYERS = dict.fromkeys([*CONVS, *TRANSPOSED_CONVS], "conv") | {nn.Linear: "linear"}
FUNCTIONS = {"conv1d": "conv", "conv2d": "conv", "conv3d": "conv", "linear": "linear"}
MEETINGS = {
    **dict.fromkeys("add iadd sub isub".split(), "add"),
    **dict.fromkeys("mul imul".split(), "multiply"),
    **dict.fromkeys("cat concat concatenate".split(), "cat"),
}


def diagram(net: nn.Module, example: object, groups: Groups) -> list[dict]:
    """The network as rows of plain data, in order of execution.

    The network is followed as in evaluation, without arithmetic. Where `groups` has channels that
    only training reaches (auxiliary classifiers), it is followed as in training.

    Args:
        net: the network that `groups` was traced on; it is not changed.
        example: an input batch (N, ...); only its shape and dtype matter.
        groups: its groups, all or some.

    Returns:
        One dict per row:

        name: the layer, e.g. "layer1.0.conv1" (run again: "layer1.0.conv1 (2)"), or the fx node.
        kind: "input", "conv", "linear", "add", "multiply", "cat" or "output".
        inputs: names of the rows it reads, all of them earlier ones.
        writes: the group that most of its output channels belong to, or None. A depthwise
            convolution, an addition and a product carry the group that enters.
        channels: group -> how many of its output channels belong to that group.
        reads: groups among its input channels, for a layer.
        out: shape of its output for one sample.
        fixed: why a layer that writes no group cannot be pruned, or None.

    Raises:
        ValueError: torch.fx cannot follow `net`, `example` does not fit it, or `groups` belong to
            another network.
    """
    net = meta.network(net, "diagram")
    checks.kind("diagram", "groups", groups, Groups, "what `prunelab.groups.trace` gives")
    groups.check("diagram", net)
    for training in (False, True):
        seen = first(net, example, Evidence(), "diagram", training=training)
        rows = list(_Rows(seen, groups).rows.values())
        if not set(groups) - {name for row in rows for name in row["channels"]}:
            break
    return rows


def stages(rows: Iterable[Mapping]) -> dict[str, list[str]]:
    """The groups by the size of the maps they live on, in order of execution.

    Returns:
        "32x32", "16x16", ... or "vector" (linear layers) -> names of the groups whose first
        writing layer has an output of that size.
    """
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for row in checks.rows("stages", "rows", rows, ("kind", "out", "channels")):
        if row["kind"] not in ("conv", "linear"):
            continue
        plain = row["kind"] == "linear" or len(row["out"]) == 1
        label = "vector" if plain else "x".join(map(str, row["out"][1:]))
        for name in row["channels"]:
            if name not in seen:
                found.setdefault(label, []).append(name)
        seen.update(row["channels"])
    return found


class _Rows:
    """Walks the graph once; `rows` is the result, by name."""

    def __init__(self, seen: Followed, groups: Groups) -> None:
        self.root, self.names, self.fixed = seen.root, Names(seen.root), groups.fixed
        nodes = seen.graph.nodes
        self.layers = {n.target for n in nodes if n.op == "call_module"}
        self.places: dict[str, list[tuple[Group, Slice]]] = defaultdict(list)
        for group in groups.values():
            for s in group.slices:
                self.places[s.tensor].append((group, s))
        self.shapes = {node: _shape(metas(seen.values[node.name])) for node in nodes}
        self.rows: dict[str, dict] = {}
        self.sources: dict[fx.Node, list[str]] = {}
        for node in nodes:
            self.sources[node] = self._visit(node)

    def _visit(self, node: fx.Node) -> list[str]:
        """Adds the node's row, if it has one; returns the rows that its value comes from."""
        if node.op == "placeholder":
            return self._add("input", "input", node, [])
        if node.op == "output":
            for value in _returned(node):
                self._add("output", "output", value, self.sources[value])
            return []
        inputs = _unique(name for n in node.all_input_nodes for name in self.sources[n])
        kind = self._kind(node, inputs)
        if kind in ("conv", "linear"):
            return self._layer(node, kind, inputs)
        if kind:
            return self._add(node.name, kind, node, inputs, self._carried(kind, inputs))
        return inputs if self.shapes[node] else []

    def _kind(self, node: fx.Node, inputs: list[str]) -> str | None:
        """Kind of the node's row; None: it has no row."""
        if node.op == "call_module":
            return LAYERS.get(type(self.root.get_submodule(node.target)))
        name = node.target if isinstance(node.target, str) else node.target.__name__
        kind = FUNCTIONS.get(name) or MEETINGS.get(plain(name))
        if kind == "cat":  # of several parts, even if they all come from one row
            parts = node.args[0] if node.args else node.kwargs["tensors"]
            return kind if len(parts) > 1 else None
        operands = [n for n in node.all_input_nodes if self.sources[n]]
        meet = min(len(operands), len(inputs)) > 1
        return kind if meet or name in FUNCTIONS else None

    def _layer(self, node: fx.Node, kind: str, inputs: list[str]) -> list[str]:
        if node.op == "call_module":
            layer = node.target
            weight = self.names.of(self.root.get_submodule(layer).weight, "")
        else:
            layer, source = node.name, node.args[1] if node.args[1:] else node.kwargs["weight"]
            weight = source.target if source.op == "get_attr" else ""  # it may be computed
        wide, reads = {}, []
        for group, s in sorted(self.places[weight], key=lambda place: place[1].offset):
            if s.role == IN:
                reads.append(group.name)
            else:
                wide[group.name] = wide.get(group.name, 0) + group.size * s.repeat
        fixed = None if wide else self.fixed.get(layer, self.fixed.get(weight))
        return self._add(layer, kind, node, inputs, wide, _unique(reads), fixed)

    def _carried(self, kind: str, inputs: Sequence[str]) -> dict[str, int]:
        """Groups that leave a meeting; what a concatenation carries is seen at its writers."""
        wide: dict[str, int] = {}
        for name in inputs if kind != "cat" else ():
            for group, n in self.rows[name]["channels"].items():
                wide[group] = max(n, wide.get(group, 0))
        return wide

    def _add(
        self,
        name: str,
        kind: str,
        node: fx.Node,
        inputs: list[str],
        channels: Mapping[str, int] = MappingProxyType({}),
        reads: Sequence[str] = (),
        fixed: str | None = None,
    ) -> list[str]:
        wanted, number = name, 1
        owned = self.layers if kind not in ("conv", "linear") else ()
        while name in self.rows or name in owned:  # an addition never takes the name of a layer
            number += 1
            name = f"{wanted} ({number})"
        self.rows[name] = {
            "name": name,
            "kind": kind,
            "inputs": inputs,
            "writes": max(channels, key=channels.get) if channels else None,
            "channels": dict(channels),
            "reads": list(reads),
            "out": self.shapes[node],
            "fixed": fixed,
        }
        return [name]


def _returned(output: fx.Node) -> Iterator[fx.Node]:
    """The nodes that the network returns, one by one, also out of a named tuple."""
    for leaf in pytree.tree_leaves(output.args):
        if isinstance(leaf, fx.Node):
            yield from leaf.all_input_nodes if isinstance(leaf.target, type) else [leaf]


def _shape(value: object) -> list[int]:
    """Shape of one sample of the first tensor in `value`; empty where there is none."""
    tensors = [t for t in pytree.tree_leaves(value) if isinstance(t, Tensor)]
    return list(tensors[0].shape[1:]) if tensors else []


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
