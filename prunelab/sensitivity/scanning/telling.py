"""Telling: any value as pieces that can be hashed, by its content and not by where it lies."""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from prunelab.sensitivity.scanning.bytecode import globals_of, is_library, names_of, version

# Attributes of a module that no answer in evaluation depends on, or that are hashed by themselves.
ASIDE = set(vars(nn.Module())) | {"_forward_hooks_with_kwargs", "_is_hf_initialized"}
HOOKS = ("_forward_hooks", "_forward_pre_hooks")
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range, slice)
PLAIN += (torch.dtype, torch.device, torch.memory_format, torch.layout, torch.Size)
NUMBERED = (nn.Module, Tensor, type, types.FunctionType, list, dict)  # may be met again
MEMBERS = ["forward", "__call__", "__getattr__", "__torch_function__"]
NO_MEMBERS = {"__module__", "__doc__", "__dict__", "__weakref__", "__firstlineno__"}


class _Bare:
    """An object that has nothing beside its attributes."""


class UnknownError(Exception):
    """A value whose content cannot be told."""


class Telling:
    """Tells each object once; where it comes again, its number is told."""

    def __init__(self):
        self.numbers: dict[int, int] = {}
        self.alive: list[object] = []  # an id is free again when its object is gone

    def value(self, value: object) -> Iterator[object]:
        """Any value, by its kind."""
        if isinstance(value, PLAIN):
            yield (type(value).__name__, str(value) if "torch" in repr(type(value)) else value)
            return
        if id(value) in self.numbers:
            yield ("again", self.numbers[id(value)])
            return
        if isinstance(value, NUMBERED) or type(value).__basicsize__ == _Bare.__basicsize__:
            self.numbers[id(value)] = len(self.numbers)
            self.alive.append(value)
        for kinds, tell in KINDS:
            if isinstance(value, kinds):
                yield from tell(self, value)
                return
        yield from self._object(value)

    def _module(self, module: nn.Module) -> Iterator[object]:
        yield from self._class(type(module))
        for kind in ("_parameters", "_buffers", "_modules"):
            for name, part in getattr(module, kind).items():
                yield (kind, name)
                yield from self.value(part)
        for kind in HOOKS:
            yield kind
            for hook in getattr(module, kind).values():
                yield from self.value(hook)
        own = {k: v for k, v in vars(module).items() if k not in ASIDE}
        yield from self._mapping(own)

    def _class(self, kind: type) -> Iterator[object]:
        """A class: its name, and the code of its forward and of what that calls of it."""
        yield ("class", kind.__module__, kind.__qualname__)
        if issubclass(kind, nn.Module):
            yield from self._members(kind, MEMBERS)
        elif not is_library(kind.__module__):
            names = {n for c in kind.__mro__ if not is_library(c.__module__) for n in vars(c)}
            yield from self._members(kind, sorted(names - NO_MEMBERS))
        else:
            yield version(kind.__module__)

    def _members(self, kind: type, names: list[str]) -> Iterator[object]:
        """Members by name, and the members that their code names."""
        todo, done = list(names), set()
        while todo:
            name = todo.pop()
            owner = next((c for c in kind.__mro__ if name in vars(c)), None)
            if name in done or owner is None:
                continue
            done.add(name)
            if is_library(owner.__module__):
                yield ("inherited", owner.__qualname__, name, version(owner.__module__))
                continue
            member = vars(owner)[name]
            yield ("member", name)
            yield from self.value(member)
            todo += names_of(member)

    def _function(self, function: Callable) -> Iterator[object]:
        yield ("function", function.__module__, function.__qualname__)
        if is_library(function.__module__):
            yield version(function.__module__)
            return
        yield from self._code(function.__code__)
        yield from self.value(function.__defaults__)
        yield from self.value(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                yield from self.value(cell.cell_contents)
            except ValueError:
                yield "empty"
        yield from self._globals(function)

    def _globals(self, function: Callable) -> Iterator[object]:
        """What a function's code reads of its module; of other modules, what it names there."""
        names = set(names_of(function))
        for name in sorted(globals_of(function.__code__) & function.__globals__.keys()):
            found = function.__globals__[name]
            yield ("global", name)
            if isinstance(found, types.ModuleType) and not is_library(found.__name__):
                for part in sorted(names & vars(found).keys()):
                    yield ("global", name, part)
                    yield from self.value(vars(found)[part])
            else:
                yield from self.value(found)

    def _code(self, code: types.CodeType) -> Iterator[object]:
        """What a function does, not where it stands."""
        yield from (code.co_code, code.co_names, code.co_varnames, code.co_flags)
        yield getattr(code, "co_exceptiontable", b"")
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from self._code(constant)
            else:
                yield from self.value(constant)

    def _tensor(self, tensor: Tensor) -> Iterator[object]:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UnknownError("a tensor without plain memory")
        yield ("tensor", str(tensor.dtype), tuple(tensor.shape))
        flat = tensor.detach().contiguous().view(-1)
        yield flat.cpu().view(torch.uint8).numpy().tobytes()

    def _array(self, array: np.ndarray | np.generic) -> Iterator[object]:
        if array.dtype.hasobject:
            raise UnknownError("an array of objects")
        yield ("array", str(array.dtype), array.shape, array.tobytes())

    def _sequence(self, values: tuple | list) -> Iterator[object]:
        yield from self._kind(values, len(values))
        for value in values:
            yield from self.value(value)

    def _mapping(self, values: Mapping) -> Iterator[object]:
        yield from self._kind(values, len(values))
        for key, value in values.items():
            yield from self.value(key)
            yield from self.value(value)

    def _set(self, values: set | frozenset) -> Iterator[object]:
        """The order of a set is another one in another process."""
        if not all(isinstance(v, PLAIN) for v in values):
            raise UnknownError("a set of objects")
        yield from self._kind(values, len(values))
        yield from sorted(map(repr, values))

    def _kind(self, value: object, *more: object) -> Iterator[object]:
        yield (type(value).__module__, type(value).__qualname__, *more)
        if not is_library(type(value).__module__):
            yield from self.value(type(value))
            yield from self._mapping(getattr(value, "__dict__", {}))

    def _enum(self, value: enum.Enum) -> Iterator[object]:
        yield from self._kind(value, value.name)

    def _library(self, module: types.ModuleType) -> Iterator[object]:
        """What is read of it is not known here: only a library, by its version, may be held."""
        if not is_library(module.__name__):
            raise UnknownError(f"the module {module.__name__}")
        yield ("library", module.__name__, version(module.__name__))

    def _partial(self, call: functools.partial) -> Iterator[object]:
        for part in (call.func, call.args, call.keywords):
            yield from self.value(part)

    def _method(self, method: types.MethodType) -> Iterator[object]:
        yield from self.value(method.__func__)
        yield from self.value(method.__self__)

    def _wrapped(self, member: staticmethod | classmethod) -> Iterator[object]:
        yield type(member).__name__
        yield from self.value(member.__func__)

    def _property(self, member: property) -> Iterator[object]:
        yield "property"
        yield from self.value(member.fget)

    def _builtin(self, value: Callable) -> Iterator[object]:
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType | type):
            raise UnknownError(f"a method of {type(owner).__name__}")
        yield ("builtin", str(getattr(value, "__module__", "")), value.__qualname__)

    def _object(self, value: object) -> Iterator[object]:
        """An object of Python code: its class and its attributes."""
        kind = type(value)
        if kind.__basicsize__ != _Bare.__basicsize__ or not hasattr(value, "__dict__"):
            raise UnknownError(f"a {kind.__module__}.{kind.__qualname__}")
        yield "object"
        yield from self.value(kind)
        yield from self._mapping(vars(value))


KINDS: list[tuple] = [
    (nn.Module, Telling._module),
    (Tensor, Telling._tensor),
    ((np.ndarray, np.generic), Telling._array),
    (enum.Enum, Telling._enum),
    (type, Telling._class),
    (types.FunctionType, Telling._function),
    (types.MethodType, Telling._method),
    ((staticmethod, classmethod), Telling._wrapped),
    (property, Telling._property),
    (functools.partial, Telling._partial),
    (types.ModuleType, Telling._library),
    ((types.BuiltinFunctionType, types.MethodDescriptorType), Telling._builtin),
    ((types.WrapperDescriptorType, types.MethodWrapperType), Telling._builtin),
    ((tuple, list), Telling._sequence),
    (Mapping, Telling._mapping),
    ((set, frozenset), Telling._set),
]
