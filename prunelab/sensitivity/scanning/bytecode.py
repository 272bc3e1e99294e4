"""Bytecode: what the code of a function says, wherever it stands; and which code is a library's."""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections.abc import Iterator
from importlib import metadata

LIBRARIES = {"torch", "numpy", *sys.stdlib_module_names}


def is_library(module: str | None) -> bool:
    """Whether a module belongs to a library that its version tells enough of."""
    return (module or "builtins").partition(".")[0] in LIBRARIES


@functools.cache
def version(module: str) -> str:
    """Of the library that a module belongs to."""
    try:
        return metadata.version(module.partition(".")[0])
    except metadata.PackageNotFoundError:
        return sys.version.partition(" ")[0]


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def globals_of(code: types.CodeType) -> set[str]:
    """Names that it reads of its module."""
    reads = ("LOAD_GLOBAL", "LOAD_NAME")
    found = (i for c in codes(code) for i in dis.get_instructions(c))
    return {i.argval for i in found if i.opname in reads}


def names_of(member: object) -> list[str]:
    """Names that the code of a member of a class mentions."""
    function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
    code = getattr(function, "__code__", None)
    return [] if code is None else [n for c in codes(code) for n in c.co_names]
