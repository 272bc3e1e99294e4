"""Identity: a hash of all that decides what a scan answers, the same in every process.

A scan replays a traced graph. There, a network's own code has become calls of library functions and
layers, so the graph, the settings of these layers and the numbers of all tensors are enough, with
the libraries' versions. Anything else in a layer (a user's own parametrization, an open file) has
no identity: its answers must not be stored, as they could come back for another network.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from collections.abc import Mapping
from importlib import metadata

import torch
from torch import Tensor, fx, nn

from prunelab.sensitivity.scanning.watching import attribute

LIBRARIES = {"torch", "torchvision", "numpy", "prunelab", *sys.stdlib_module_names}
PLAIN = (type(None), bool, int, float, complex, str, bytes, range, slice)
PLAIN += (torch.dtype, torch.device, torch.memory_format, torch.layout)
# Attributes that no answer depends on, or that are hashed by themselves.
ASIDE = set(vars(nn.Module())) | {"_forward_hooks_with_kwargs", "_is_hf_initialized"}
PARTS = ("_parameters", "_buffers", "_modules", "_forward_pre_hooks", "_forward_hooks")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


class UnknownError(Exception):
    """A value whose content cannot be told."""


class Identity:
    """Hashes values one after the other."""

    def __init__(self):
        self._hash = hashlib.blake2b(digest_size=12)

    def digest(self) -> str:
        """24 hex digits of all that was added."""
        return self._hash.hexdigest()

    def add(self, value: object) -> None:
        """Add a tensor, a layer, a library's function or class, plain data, or containers of these.

        Raises:
            UnknownError: something of it cannot be told.
        """
        match value:
            case Tensor():
                self._tensor(value)
            case nn.Module():
                self._layer(value)
            case Mapping():
                self._each(len(value), *(part for item in value.items() for part in item))
            case tuple() | list():
                self._each(type(value).__name__, len(value), *value)
            case _ if isinstance(value, PLAIN):
                self._put(type(value).__name__, value)
            case _:
                self._called(value)

    def graph(self, graph: fx.Graph, net: nn.Module, constants: Mapping[str, Tensor]) -> None:
        """Add a traced graph, and what it calls and reads of `net` or of its own constants."""
        text = str(graph)
        if ADDRESS.search(text):
            raise UnknownError("the graph")
        self.add(text)
        named: dict[str, object] = {}
        for node in graph.nodes:
            if node.op == "call_function":
                self._called(node.target)
            elif node.op in ("call_module", "get_attr") and node.target not in named:
                named[node.target] = attribute(node.target, net, constants)
        self.add(named)

    def _put(self, *words: object) -> None:
        self._hash.update(f"{words}\0".encode(errors="surrogatepass"))

    def _each(self, *values: object) -> None:
        for value in values:
            self.add(value)

    def _tensor(self, tensor: Tensor) -> None:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UnknownError("a tensor without plain memory")
        self._put(str(tensor.dtype), tuple(tensor.shape))
        flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
        self._hash.update(flat.cpu().numpy())

    def _layer(self, layer: nn.Module) -> None:
        self._called(type(layer))
        for kind in PARTS:
            for name, part in getattr(layer, kind).items():
                if isinstance(name, str):
                    self._put(kind, name)
                    self.add(part)
                elif type(part).__module__.startswith("torch.nn.utils."):  # the older weight norm
                    self._called(type(part))
                    self.add(vars(part))
        self.add({k: v for k, v in vars(layer).items() if k not in ASIDE})

    def _called(self, value: object) -> None:
        """A function or class of a library: by its name and the library's version."""
        module = getattr(value, "__module__", None) or "builtins"
        owner = getattr(value, "__self__", None)  # of a bound method: a class, or an object
        bound = owner is not None and not isinstance(owner, type | type(sys))
        if not hasattr(value, "__qualname__") or bound or not _is_library(module):
            raise UnknownError(f"a {type(value).__qualname__}")
        self._put(module, value.__qualname__, value.__name__, _version(module))


def _is_library(module: str) -> bool:
    """Whether a module belongs to a library that its version tells enough of."""
    return module.partition(".")[0] in LIBRARIES


@functools.cache
def _version(module: str) -> str:
    """Of the library that a module belongs to."""
    try:
        return metadata.version(module.partition(".")[0])
    except metadata.PackageNotFoundError:
        return sys.version.partition(" ")[0]
