"""Optional packages: one clear line where one is missing."""

from __future__ import annotations

import re
from importlib.metadata import requires
from importlib.util import find_spec


def modules_of(extra: str) -> list[str]:
    """What an extra of pyproject.toml installs; its packages are named as their modules."""
    lines = requires("prunelab") or []
    return [re.split(r"\W", line)[0] for line in lines if re.search(rf"extra == .{extra}\b", line)]


def need(user: str, extra: str, *modules: str) -> None:
    """Check that the packages of an extra are installed.

    Args:
        user: who needs them, e.g. "prunelab.plots".
        extra: "study" or "onnx".
        modules: those of the extra that `user` cannot do without; all of them by default.

    Raises:
        ModuleNotFoundError: one is missing; one line that says what to install.
    """
    for module in modules or modules_of(extra):
        if find_spec(module) is None:
            raise ModuleNotFoundError(
                f"{user} needs {module}: install prunelab[{extra}]", name=module
            )
