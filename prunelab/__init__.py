"""prunelab: an interactive, notebook-driven study of neural-network pruning.

data -> train -> method.prune(net, data) -> Keep -> shrink -> fine-tune -> row -> table, figure
"""

import importlib
from typing import Any

PARTS = """
    cost data groups lab masks methods models plots quantisation scores sensitivity study surgery
    train widgets
""".split()


def __getattr__(name: str) -> Any:
    """Parts are imported when they are asked for: the command line need not wait for torch."""
    if name in PARTS:
        return importlib.import_module(f"prunelab.{name}")
    if name == "criterion":  # a decorator: @prunelab.criterion
        return importlib.import_module("prunelab.sensitivity").criterion
    raise AttributeError(f"module 'prunelab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *PARTS, "criterion"})
