"""Activations while a network is followed: shape, and the atom at each position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab.groups.evidence import Evidence
from prunelab.groups.spots import here
from prunelab.groups.values import Count, Parameter, Tracked


class Names:
    """Canonical names of a network's tensors (a shared tensor has one name)."""

    def __init__(self, net: nn.Module):
        self.tensors = dict([*net.named_parameters(), *net.named_buffers()])
        self._names = {id(t): name for name, t in self.tensors.items()}
        self._net = net

    def owner(self, name: str) -> nn.Module:
        """The module whose tensor `name` is."""
        return self._net.get_submodule(name.rpartition(".")[0])

    def parameter(self, tensor: Tensor, name: str) -> Parameter:
        """A tensor as the network's own code holds it; `name` where it is none of the network's."""
        if tensor not in self:
            return Parameter(tensor.to("meta"), name)
        return Parameter(tensor, self.of(tensor, name), tuple(range(tensor.ndim)))

    def of(self, tensor: Tensor, default: str) -> str:
        return self._names.get(id(tensor), default)

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self._names


@dataclass
class Op:
    """One operation while it is followed: where it stands, its inputs, its output."""

    node: fx.Node
    name: str
    module: nn.Module | None
    args: tuple
    kwargs: dict
    out: object  # meta tensor, or a tuple of them
    names: Names
    evidence: Evidence

    @property
    def tracked(self) -> list[Tracked]:
        leaves = pytree.tree_leaves((self.args, self.kwargs))
        return [a for a in leaves if isinstance(a, Tracked)]

    @property
    def x(self) -> Tracked:
        return self.tracked[0]

    @property
    def parameters(self) -> list[Parameter]:
        leaves = pytree.tree_leaves((self.args, self.kwargs))
        return [a for a in leaves if isinstance(a, Parameter)]

    @property
    def counts(self) -> list[Count]:
        return [a for a in numbers(self.args, self.kwargs) if isinstance(a, Count)]

    @property
    def path(self) -> str:
        """The module, or the one whose code the operation stands in."""
        inside = self.node.meta.get("nn_module_stack", {}).values()
        return self.name if self.module is not None else next(reversed(inside), ("",))[0]

    @property
    def spot(self) -> str:
        """Module and line of the network's own code at which it stands, in brackets."""
        if self.module is not None:
            return ""
        path = f"in `{self.path}`" if self.path else ""
        told = ", ".join(filter(None, [path, here().strip(" ()")]))
        return f" ({told})" if told else ""

    def tensors(self) -> dict[str, Tensor]:
        """The module's own parameters and buffers, by canonical name."""
        own = [*self.module.named_parameters(recurse=False)]
        own += [*self.module.named_buffers(recurse=False)]
        return {self.names.of(t, f"{self.name}.{k}"): t for k, t in own}


def metas(tree: object) -> object:
    """The same arguments with shapes in place of activations."""
    return fx.node.map_aggregate(
        tree, lambda a: a.meta if isinstance(a, Tracked | Parameter | Count) else a
    )


def labels_of(tree: object) -> object:
    """The same arguments with labels in place of activations."""
    return fx.node.map_aggregate(tree, lambda a: a.labels if isinstance(a, Tracked) else metas(a))


def numbers(*trees: object) -> list:
    """What the arguments hold, one by one, also in slices."""
    found: list = []
    fx.node.map_aggregate(trees, found.append)
    return found


def method(name: str) -> Callable:
    """The tensor method `name` as a function."""
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def spread(atoms: np.ndarray | Tensor, axis: int, shape: torch.Size) -> Tensor:
    """Labels of `shape` that carry `atoms` along `axis`; no memory beyond the atoms."""
    view = [1] * len(shape)
    view[axis] = -1
    return torch.as_tensor(atoms).reshape(view).expand(shape)


def thin(labels: Tensor, spare: tuple[int, ...] = ()) -> Tensor:
    """Labels with every axis cut to length 1 along which they are one entry seen many times."""
    for d, stride in enumerate(labels.stride()):
        if stride == 0 and d not in spare and labels.shape[d] > 1:
            labels = labels.narrow(d, 0, 1)
    return labels


def varying(labels: Tensor) -> list[int]:
    """Axes along which the labels differ."""
    few = thin(labels)
    return [
        d for d, n in enumerate(few.shape) if n > 1 and bool((few != few.narrow(d, 0, 1)).any())
    ]


def along(labels: Tensor, axis: int) -> np.ndarray | None:
    """(n,) atoms along `axis`, or None where the labels differ along another axis."""
    if set(varying(labels)) - {axis % labels.ndim}:
        return None
    index = [0] * labels.ndim
    index[axis] = slice(None)
    return labels[tuple(index)].numpy()


def blank(op: Op, shape: torch.Size, why: str) -> Tensor:
    """Labels of one atom that can never be removed."""
    atom = op.evidence.atoms((op.node.name, why), 1)
    op.evidence.fix(atom, told(op, why))
    return torch.as_tensor(atom).reshape([1] * len(shape)).expand(shape)


def unite(evidence: Evidence, a: Tensor, b: Tensor) -> None:
    """The channels that stand at the same positions of `a` and `b` live and die together."""
    for d in range(a.ndim):  # a stride of 0 in both means the same pair again and again
        if a.stride(d) == 0 and b.stride(d) == 0:
            a, b = a.narrow(d, 0, 1), b.narrow(d, 0, 1)
    evidence.unite(a.numpy(), b.numpy())


def told(op: Op, why: str) -> str:
    """A reason with the operation's own name, not the graph's, and where it stands."""
    name = "x[...]" if op.name == "getitem" else op.name
    return why.replace(f"`{op.node.name}`", f"`{name}`") + op.spot


def fix(op: Op, why: str) -> object:
    """Fix every channel that enters; what comes out carries none."""
    for x in op.tracked:
        op.evidence.fix(thin(x.labels).numpy(), told(op, why))
    return pytree.tree_map(
        lambda o: blank(op, o.shape, why) if isinstance(o, Tensor) else None, op.out
    )


def refuse(op: Op, why: str) -> None:
    """Nothing is known of the channels that a layer, or a layer's own code, writes."""
    op.evidence.refuse(op.path or op.name, told(op, why))


def network_input(evidence: Evidence, x: Tensor, name: str) -> Tracked:
    """The input's channels: never pruned."""
    axis = min(1, x.ndim - 1)
    atoms = evidence.atoms(("input", name), x.shape[axis] if axis else 1)
    evidence.fix(atoms, "it is the network's input")
    return Tracked(x, spread(atoms, axis, x.shape))


def network_output(evidence: Evidence, outputs: list) -> None:
    """The output's channels: never pruned."""
    for out in outputs:
        if isinstance(out, Tracked):
            evidence.fix(thin(out.labels).numpy(), "it is the network's output")
        elif isinstance(out, Count):
            out.settle(evidence, "the number of its channels is in the network's output")
        elif isinstance(out, Parameter):
            for axis in filter(lambda a: a is not None, out.axes):
                evidence.whole(out.name, axis, f"`{out.name}` is in the network's output")
