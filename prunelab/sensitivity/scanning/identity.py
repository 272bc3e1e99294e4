"""Identity: a hash of everything that decides what a network answers, the same in every process.

Classes and functions count by their code and by whatever it reaches, tensors by their numbers,
libraries by their version, and any other object by what pickle would rebuild it from. What cannot
be pickled (an open file, a lock) has no identity: its answers must not be stored, as they could
come back for another network.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import re
import sys
import types
from collections.abc import Iterator
from importlib import metadata

import torch
from torch import Tensor, fx, nn

LIBRARIES = {"torch", "numpy", *sys.stdlib_module_names}
# Attributes of a module that no answer in evaluation depends on, or that are hashed by themselves.
ASIDE = set(vars(nn.Module())) | {"_forward_hooks_with_kwargs", "_is_hf_initialized"}
PARTS = ("_parameters", "_buffers", "_modules")
HOOKS = ("_forward_hooks", "_forward_pre_hooks")
PLAIN = (type(None), bool, int, float, complex, str, bytes)
MEMBERS = ("forward", "__call__", "__getattr__", "__torch_function__")
NO_MEMBERS = {"__module__", "__doc__", "__dict__", "__weakref__", "__firstlineno__"}
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


class UnknownError(Exception):
    """A value whose content cannot be told."""


class Identity:
    """Hashes values one after the other; an object that comes again is hashed as its number."""

    def __init__(self):
        self._hash = hashlib.blake2b(digest_size=12)
        self._numbers: dict[int, int] = {}
        self._alive: list[object] = []  # the id of an object that is gone can be given again

    def digest(self) -> str:
        """24 hex digits of all that was added."""
        return self._hash.hexdigest()

    def graph(self, graph: fx.Graph) -> None:
        """Add a traced graph, with the functions that it calls."""
        text = str(graph)
        if ADDRESS.search(text):
            raise UnknownError("the graph")
        self.add(text)
        for node in graph.nodes:
            if node.op == "call_function":
                self.add(node.target)

    def add(self, value: object) -> None:
        """Add any value.

        Raises:
            UnknownError: something of it cannot be told.
        """
        if type(value) in PLAIN:
            self._put(type(value).__name__, value)
            return
        if id(value) in self._numbers:
            self._put("again", self._numbers[id(value)])
            return
        if type(value) is not tuple:  # whether equal tuples are one object is up to Python
            self._numbers[id(value)] = len(self._numbers)
            self._alive.append(value)
        self._put(type(value).__qualname__)
        self._content(value)

    def _put(self, *words: object) -> None:
        self._hash.update(f"{words}\0".encode(errors="surrogatepass"))

    def _content(self, value: object) -> None:
        match value:
            case nn.Module():
                self._module(value)
            case Tensor():
                self._tensor(value)
            case type():
                self._class(value)
            case types.FunctionType():
                self._function(value)
            case types.CodeType():
                self._code(value)
            case types.MethodType():
                self._each(value.__func__, value.__self__)
            case staticmethod() | classmethod():
                self.add(value.__func__)
            case property():
                self.add(value.fget)
            case types.ModuleType():
                if not _is_library(value.__name__):
                    raise UnknownError(f"the module {value.__name__}")  # anything may be read of it
                self._put(value.__name__, _version(value.__name__))
            case set() | frozenset():
                self._set(value)
            case _ if type(value) in (tuple, list):
                self._each(len(value), *value)
            case _ if type(value) is dict:
                self._each(len(value), *(part for item in value.items() for part in item))
            case _:
                self._reduced(value)

    def _each(self, *values: object) -> None:
        for value in values:
            self.add(value)

    def _module(self, module: nn.Module) -> None:
        self.add(type(module))
        for kind in PARTS:
            self.add(dict(getattr(module, kind)))
        for kind in HOOKS:
            self.add(list(getattr(module, kind).values()))
        self.add({k: v for k, v in vars(module).items() if k not in ASIDE})

    def _tensor(self, tensor: Tensor) -> None:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UnknownError("a tensor without plain memory")
        self._put(str(tensor.dtype), tuple(tensor.shape))
        flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
        self._hash.update(flat.cpu().numpy())

    def _set(self, values: set | frozenset) -> None:
        """In sorted order: a set's own is another one in another process."""
        if not all(type(v) in PLAIN for v in values):
            raise UnknownError("a set of objects")
        self._put(sorted(map(repr, values)))

    def _reduced(self, value: object) -> None:
        """What pickle would rebuild it from: a name, or a function with its arguments and state."""
        reduce = copyreg.dispatch_table.get(type(value))
        try:
            parts = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception as error:  # whatever the object's own code raises
            raise UnknownError(f"a {type(value).__qualname__}") from error
        if isinstance(parts, str):
            self._put(str(getattr(value, "__module__", "")), parts)
            return
        self.add(type(value))
        self._each(*(list(part) if isinstance(part, Iterator) else part for part in parts))

    def _class(self, kind: type) -> None:
        """A class: its name, and the code of its forward and of what that calls of it."""
        self._put(kind.__module__, kind.__qualname__)
        if issubclass(kind, nn.Module):
            self._members(kind, MEMBERS)
        elif _is_library(kind.__module__):
            self._put(_version(kind.__module__))
        else:
            own = [c for c in kind.__mro__ if not _is_library(c.__module__)]
            self._members(kind, {name for c in own for name in vars(c)} - NO_MEMBERS)

    def _members(self, kind: type, names: set[str] | tuple[str, ...]) -> None:
        """Members by name, and the members that their code names."""
        todo, done = sorted(names), set()
        while todo:
            name = todo.pop()
            owner = next((c for c in kind.__mro__ if name in vars(c)), None)
            if name in done or owner is None:
                continue
            done.add(name)
            self._put("member", name, owner.__qualname__)
            if _is_library(owner.__module__):
                self._put(_version(owner.__module__))
            else:
                self.add(vars(owner)[name])
                todo += _names(vars(owner)[name])

    def _function(self, function: types.FunctionType) -> None:
        self._put(function.__module__, function.__qualname__)
        if _is_library(function.__module__):
            self._put(_version(function.__module__))
            return
        self._each(function.__code__, function.__defaults__, function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:
                self._put("empty")
        self._globals(function)

    def _globals(self, function: types.FunctionType) -> None:
        """What a function's code reads of its module; of other modules, what it names there."""
        named = set(_names(function))
        for name in sorted(_globals_of(function.__code__) & function.__globals__.keys()):
            found = function.__globals__[name]
            self._put("global", name)
            if isinstance(found, types.ModuleType) and not _is_library(found.__name__):
                self.add({part: vars(found)[part] for part in sorted(named & vars(found).keys())})
            else:
                self.add(found)

    def _code(self, code: types.CodeType) -> None:
        """What a function does, not where it stands."""
        self._put(code.co_code, code.co_names, code.co_varnames, code.co_flags)
        self._put(code.co_exceptiontable)
        self._each(*code.co_consts)


def _is_library(module: str | None) -> bool:
    """Whether a module belongs to a library that its version tells enough of."""
    return (module or "builtins").partition(".")[0] in LIBRARIES


@functools.cache
def _version(module: str) -> str:
    try:
        return metadata.version(module.partition(".")[0])
    except metadata.PackageNotFoundError:
        return sys.version.partition(" ")[0]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _globals_of(code: types.CodeType) -> set[str]:
    found = (i for c in _codes(code) for i in dis.get_instructions(c))
    return {i.argval for i in found if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}


def _names(member: object) -> list[str]:
    """Names that the code of a member of a class mentions."""
    function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
    code = getattr(function, "__code__", None)
    return [] if code is None else [n for c in _codes(code) for n in c.co_names]
