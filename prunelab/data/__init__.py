"""Image data sets: `load` a name, get train, val and test on one device.

data -> train -> method.prune -> ...
"""

from prunelab.data.loading import NAMES, STATISTICS, available, load
from prunelab.data.photos import Photos
from prunelab.data.split import Dataset, Split

__all__ = ["NAMES", "STATISTICS", "Dataset", "Photos", "Split", "available", "load"]
