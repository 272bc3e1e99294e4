"""Pictures as JSON: maps of numbers as 8-bit grey values."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from prunelab.checks import shown


def pack(values: np.ndarray) -> dict[str, Any]:
    """Maps (..., H, W) from 0 to their largest value; what is below 0 is 0.

    Returns:
        {"shape": [..., H, W], "bytes": base64 of uint8, 255 for the largest value}.
    """
    values = np.asarray(values, np.float64)
    scaled = 255 * values / max(values.max(initial=0), 1e-12)
    grey = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return {"shape": list(grey.shape), "bytes": base64.b64encode(grey.tobytes()).decode()}


def unpack(entry: Mapping[str, Any]) -> np.ndarray:
    """The inverse of `pack`: an array of uint8.

    Raises:
        ValueError: `entry` is not what `pack` gives.
    """
    try:
        shape = tuple(entry["shape"])
        grey = np.frombuffer(base64.b64decode(entry["bytes"]), np.uint8)
        if len(grey) != math.prod(shape) or min(shape) < 0:
            raise ValueError("its shape has another number of values")
        return grey.reshape(shape)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"unpack: `entry` must be made by `pack`; got {shown(entry)}") from error
