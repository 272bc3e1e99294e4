"""Identity: a hash of all that decides what a scan answers, the same in every process.

A scan replays a traced graph. There, a network's own code has become calls of library functions and
layers, so the graph, the settings of these layers and the numbers of all tensors are enough, with
the libraries' versions. Anything else in a layer (a user's own parametrization, an open file) has
no identity: its answers must not be stored, as they could come back for another network.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import pickle
import re
import sys
from importlib import metadata
from operator import attrgetter

import torch
from torch import Tensor, nn

from prunelab.data import Photos, Split
from prunelab.sensitivity.scanning.program import Program

LIBRARIES = {"torch", "torchvision", "numpy", "prunelab", *sys.stdlib_module_names}
# Attributes of a layer that no answer depends on; what remains of its hooks is torch's own.
ASIDE = set(vars(nn.Module())) | {"_forward_hooks_with_kwargs", "_is_hf_initialized"}
ASIDE -= {"_parameters", "_buffers", "_modules", "_forward_pre_hooks", "_forward_hooks"}
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


class UnknownError(Exception):
    """A value whose content cannot be told."""


def digest(*parts: object) -> str:
    """24 hex digits over programs, splits, tensors, plain data, and functions of a library.

    Raises:
        UnknownError: something of them cannot be told.
    """
    found = io.BytesIO()
    content = _Content(found)
    content.fast = True  # what is the same and what is only equal are written alike
    try:
        content.dump(parts)
    except (pickle.PicklingError, AttributeError, RecursionError, TypeError, ValueError) as error:
        raise UnknownError(str(error)) from error
    return hashlib.blake2b(found.getvalue(), digest_size=12).hexdigest()


class _Content(pickle.Pickler):
    """Pickles values by their content: tensors by their numbers, code by its name and version."""

    def persistent_id(self, value: object) -> object:
        """What stands for a value; None for plain data and containers."""
        match value:
            case Program():
                return value.flow.groups.to_json(), *_graph(value)
            case Split():
                images = value.images
                if isinstance(images, Photos):  # on disk: their names and sizes
                    images = [(str(path), os.stat(path).st_size) for path in images.paths]
                return type(value).__qualname__, images, value.labels, value.mean, value.std
            case nn.Module():
                return _layer(value)
            case Tensor():
                return _tensor(value)
            case _ if hasattr(value, "__qualname__"):
                return _code(value)
        return None


def _graph(program: Program) -> tuple:
    """A traced graph, and what it calls and reads."""
    graph = program.flow.graph
    text = str(graph)
    if ADDRESS.search(text):
        raise UnknownError("the graph")
    functions = [node.target for node in graph.nodes if node.op == "call_function"]
    named = [*graph.find_nodes(op="call_module"), *graph.find_nodes(op="get_attr")]
    return text, functions, {n.target: attrgetter(n.target)(program.net) for n in named}


def _layer(layer: nn.Module) -> tuple:
    own = {k: v for k, v in vars(layer).items() if k not in ASIDE}
    for kind in ("_forward_pre_hooks", "_forward_hooks"):
        hooks = own[kind].values()
        own[kind] = [h for h in hooks if type(h).__module__.startswith("torch.nn.utils.")]
    return type(layer), own


def _tensor(tensor: Tensor) -> tuple:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise UnknownError("a tensor without plain memory")
    flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
    numbers = hashlib.blake2b(flat.cpu().numpy()).digest()
    return str(tensor.dtype), tuple(tensor.shape), numbers


def _code(value: object) -> tuple[str, ...]:
    """A function or class of a library: its name and the library's version."""
    module = getattr(value, "__module__", None) or "builtins"
    owner = getattr(value, "__self__", None)  # of a bound method: a class, or an object
    bound = owner is not None and not isinstance(owner, type | type(sys))
    if bound or module.partition(".")[0] not in LIBRARIES:
        raise UnknownError(f"a {type(value).__qualname__}")
    return module, value.__qualname__, value.__name__, _version(module.partition(".")[0])


@functools.cache
def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return sys.version.partition(" ")[0]
