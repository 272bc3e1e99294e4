"""One operation while a network is followed: its inputs, its output, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from prunelab.groups.evidence import Evidence
from prunelab.groups.labels import along, atoms_in
from prunelab.groups.source_lines import here
from prunelab.groups.values import ChannelCount, Parameter, Tracked


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
    """One operation: where it stands, its inputs, its output.

    A rule is a function of it that returns the labels of the output, in the output's structure.
    """

    node: fx.Node
    name: str
    module: nn.Module | None
    args: tuple
    kwargs: dict
    out: object  # meta tensor, or a tuple of them
    names: Names
    evidence: Evidence

    @cached_property
    def leaves(self) -> list:
        """The arguments one by one, also those inside slices."""
        return leaves_of(self.args, self.kwargs)

    @cached_property
    def tracked(self) -> list[Tracked]:
        return [a for a in self.leaves if isinstance(a, Tracked)]

    @property
    def x(self) -> Tracked:
        return self.tracked[0]

    @cached_property
    def parameters(self) -> list[Parameter]:
        return [a for a in self.leaves if isinstance(a, Parameter)]

    @cached_property
    def counts(self) -> list[ChannelCount]:
        return [a for a in self.leaves if isinstance(a, ChannelCount)]

    def argument(self, names: str, place: int, default: object = None) -> object:
        """An argument that is given by one of these names or at this place."""
        named = [self.kwargs[name] for name in names.split() if name in self.kwargs]
        return [*named, *self.args[place : place + 1], default][0]

    @property
    def kind(self) -> str:
        """The class of a module, the name of a function."""
        return type(self.module).__name__ if self.module is not None else self.name

    @property
    def call(self) -> str:
        """The operation as reasons name it."""
        return "`x[...]`" if self.name == "getitem" else f"`{self.name}`"

    @property
    def described(self) -> str:
        """The same with its class."""
        return f"{self.call} ({self.kind})"

    @property
    def path(self) -> str:
        """The module, or the one whose code the operation stands in."""
        inside = self.node.meta.get("nn_module_stack", {}).values()
        return self.name if self.module is not None else next(reversed(inside), ("",))[0]

    def told(self, why: str) -> str:
        """A reason with module and line of the network's own code that it is about, in brackets."""
        if self.module is not None:
            return why
        path = f"in `{self.path}`" if self.path else ""
        told = ", ".join(filter(None, [path, here().strip(" ()")]))
        return f"{why} ({told})" if told else why

    def fix(self, why: str) -> object:
        """Fix every channel that enters; what comes out carries none."""
        for x in self.tracked:
            self.evidence.fix(atoms_in(x.labels), self.told(why))
        return pytree.tree_map(
            lambda o: self.blank(o.shape, why) if isinstance(o, Tensor) else None, self.out
        )

    def fix_counted(self) -> object:
        """Fix what enters: an argument depends on how many channels there are."""
        return self.fix(f"{self.call} computes with the number of its channels")

    def blank(self, shape: torch.Size, why: str) -> Tensor:
        """Labels of one atom that can never be removed."""
        atom = self.evidence.atoms((self.node.name, why), 1)
        self.evidence.fix(atom, self.told(why))
        return torch.as_tensor(atom).reshape([1] * len(shape)).expand(shape)

    def refuse(self, why: str) -> None:
        """Nothing is known of the channels that a layer, or a layer's own code, writes."""
        self.evidence.refuse(self.path or self.name, self.told(why))

    def channels(self, axis: int = 1) -> np.ndarray | None:
        """(n,) the atoms of the first activation along `axis`, if its labels vary nowhere else."""
        return along(self.x.labels, axis)

    def unite_all(self, labels: Iterable[Tensor]) -> None:
        """The channels that stand at the same positions live and die together."""
        first, *others = labels
        for other in others:
            a, b = first, other
            for d in range(a.ndim):  # a stride of 0 in both means the same pair again and again
                if a.stride(d) == 0 and b.stride(d) == 0:
                    a, b = a.narrow(d, 0, 1), b.narrow(d, 0, 1)
            self.evidence.unite(a.numpy(), b.numpy())

    def tensors(self) -> dict[str, Tensor]:
        """The module's own parameters and buffers, by canonical name."""
        own = [*self.module.named_parameters(recurse=False)]
        own += [*self.module.named_buffers(recurse=False)]
        return {self.names.of(t, f"{self.name}.{k}"): t for k, t in own}


def leaves_of(*trees: object) -> list:
    """What the arguments hold, one by one, also in slices."""
    found: list = []
    fx.node.map_aggregate(trees, found.append)
    return found


def metas(tree: object) -> object:
    """The same arguments with shapes in place of activations."""
    return fx.node.map_aggregate(
        tree, lambda a: a.meta if isinstance(a, Tracked | Parameter | ChannelCount) else a
    )


def method(name: str) -> Callable:
    """The tensor method `name` as a function."""
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)
