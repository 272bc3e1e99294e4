"""Image data sets: `load` a name, get train, val and test on one device.

data -> train -> method.prune -> ...
"""

import importlib
from typing import TYPE_CHECKING

from prunelab.data.public import NAMES

if TYPE_CHECKING:
    from prunelab.data.loading import STATISTICS as STATISTICS
    from prunelab.data.loading import available as available
    from prunelab.data.loading import load as load
    from prunelab.data.photos import Photos as Photos
    from prunelab.data.split import Dataset as Dataset
    from prunelab.data.split import Split as Split

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
