"""Library code in a notebook: what it computes, without its checks of arguments."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable

from prunelab import checks


class Source:
    """Python code that a notebook shows highlighted."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def source(thing: Callable, *more: Callable) -> Source:
    """The code of functions as it runs, for reading.

    Of a docstring the first paragraph stays. Checks of arguments go, and notes to the formatter.

    Args:
        thing: a function, a method or a class.
        more: further ones, shown below it.

    Raises:
        TypeError: one of them is no function with a source.
    """
    return Source("\n\n".join(map(_read, (thing, *more))))


def _read(thing: Callable) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(thing))
    except (TypeError, OSError):
        text = ""
    if not text:
        checks.kind("source", "thing", thing, (), "a function of a Python file")
    text = _without(text, _refuses)
    while (shorter := _without(text, _unused(text))) != text:
        text = shorter
    return re.sub(r"\n{3,}", "\n\n", text.replace("  # fmt: skip", ""))


def _without(text: str, goes: Callable[[ast.stmt], bool]) -> str:
    """The code without some statements, and with short docstrings."""
    lines, gone, put = text.splitlines(), set(), {}
    for node in ast.walk(ast.parse(text)):
        named = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if named and (docstring := ast.get_docstring(node)) is not None:
            place = node.body[0]
            gone |= _lines(place)
            put[place.lineno] = _short(docstring, " " * place.col_offset)
        if isinstance(node, ast.stmt) and goes(node):
            gone |= _lines(node)
    kept = []
    for number, line in enumerate(lines, 1):
        kept += [put[number]] if number in put else []
        kept += [line] if number not in gone else []
    return "\n".join(kept)


def _lines(node: ast.stmt) -> set[int]:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return set(range(first, node.end_lineno + 1))


def _refuses(node: ast.stmt) -> bool:
    """Whether a statement only refuses arguments."""
    if isinstance(node, ast.Expr):
        return _is_check(node.value)
    if isinstance(node, ast.If):
        return all(isinstance(one, ast.Raise) or _refuses(one) for one in node.body + node.orelse)
    if isinstance(node, ast.FunctionDef):
        own = node.body[ast.get_docstring(node) is not None :]
        return bool(own) and all(map(_refuses, own))
    return False


def _unused(text: str) -> Callable[[ast.stmt], bool]:
    """Whether a statement makes a local value that nothing reads any more."""
    read = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name) and _is_read(n)}

    def goes(node: ast.stmt) -> bool:
        if not isinstance(node, ast.Assign):
            return False
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return len(names) == len(node.targets) and not read & {*names}

    return goes


def _is_read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _short(docstring: str, indent: str) -> str:
    """The first paragraph, as a docstring."""
    first = docstring.split("\n\n")[0].rstrip()
    text = f'"""{first}"""' if "\n" not in first else f'"""{first}\n"""'
    raw = "r" if "\\" in text else ""
    return textwrap.indent(raw + text, indent)


def _is_check(call: ast.expr) -> bool:
    """Whether it is a call of `checks.something(...)` or `check_something(...)`."""
    if not isinstance(call, ast.Call):
        return False
    name = ast.unparse(call.func)
    return name.startswith(("checks.", "check_")) or ".check_" in name
