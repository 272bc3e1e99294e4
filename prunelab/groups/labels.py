"""Activations while a network is followed: shape, and the atom at each position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab.groups.evidence import Evidence


@dataclass
class Tracked:
    """An activation: its shape (a meta tensor) and the atom at each position."""

    meta: Tensor
    labels: Tensor


@dataclass
class Parameter:
    """A parameter, buffer or constant that the network's own code uses directly."""

    meta: Tensor
    name: str


@dataclass
class Count:
    """A number computed from a width (`x.shape[1]`): it would change with pruning."""

    meta: int | float


class Names:
    """Canonical names of a network's tensors (a shared tensor has one name)."""

    def __init__(self, net: nn.Module):
        self.tensors = dict([*net.named_parameters(), *net.named_buffers()])
        self._names = {id(t): name for name, t in self.tensors.items()}
        self._net = net

    def owner(self, name: str) -> nn.Module:
        """The module whose tensor `name` is."""
        return self._net.get_submodule(name.rpartition(".")[0])

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

    def tensors(self) -> dict[str, Tensor]:
        """The module's own parameters and buffers, by canonical name."""
        own = [*self.module.named_parameters(recurse=False)]
        own += [*self.module.named_buffers(recurse=False)]
        return {self.names.of(t, f"{self.name}.{k}"): t for k, t in own}


def metas(tree: object) -> object:
    """The same arguments with shapes in place of activations."""
    return pytree.tree_map(
        lambda a: a.meta if isinstance(a, Tracked | Parameter | Count) else a, tree
    )


def labels_of(tree: object) -> object:
    """The same arguments with labels in place of activations."""
    return pytree.tree_map(
        lambda a: a.labels if isinstance(a, Tracked) else metas(a),
        tree,
        is_leaf=lambda a: isinstance(a, Tracked),
    )


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
    op.evidence.fix(atom, why)
    return torch.as_tensor(atom).reshape([1] * len(shape)).expand(shape)


def unite(evidence: Evidence, a: Tensor, b: Tensor) -> None:
    """The channels that stand at the same positions of `a` and `b` live and die together."""
    for d in range(a.ndim):  # a stride of 0 in both means the same pair again and again
        if a.stride(d) == 0 and b.stride(d) == 0:
            a, b = a.narrow(d, 0, 1), b.narrow(d, 0, 1)
    evidence.unite(a.numpy(), b.numpy())


def fix(op: Op, why: str) -> object:
    """Fix every channel that enters; what comes out carries none."""
    for x in op.tracked:
        op.evidence.fix(thin(x.labels).numpy(), why)
    return pytree.tree_map(
        lambda o: blank(op, o.shape, why) if isinstance(o, Tensor) else None, op.out
    )


def network_input(evidence: Evidence, x: Tensor) -> Tracked:
    """The input's channels: never pruned."""
    atoms = evidence.atoms("input", x.shape[1])
    evidence.fix(atoms, "it is the network's input")
    return Tracked(x, spread(atoms, 1, x.shape))


def network_output(evidence: Evidence, outputs: list) -> None:
    """The output's channels: never pruned."""
    for out in outputs:
        if isinstance(out, Tracked):
            evidence.fix(thin(out.labels).numpy(), "it is the network's output")
