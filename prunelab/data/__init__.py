"""Image data sets: `load` a name, get train, val and test on one device.

data -> train -> method.prune -> ...
"""

import importlib

from prunelab.data.public import NAMES

# Imported when they are asked for: who only lists data sets need not wait for torch.
_HOMES = {
    "STATISTICS": "loading",
    "Dataset": "split",
    "Photos": "photos",
    "Split": "split",
    "available": "loading",
    "load": "loading",
}
__all__ = ["NAMES", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'prunelab.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"prunelab.data.{_HOMES[name]}"), name)
