"""Which line of the network's own code is running, for error messages."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FrameType

import torch

OTHERS = (*(str(Path(file).parent) + os.sep for file in (torch.__file__, __file__)), "<")
BOUNDARIES: set[CodeType] = set()


def here() -> str:
    """File and line number in parentheses; empty where only torch's own code is running."""
    return _innermost(traceback.walk_stack(sys._getframe(1)))


def raised(error: BaseException) -> str:
    """The same, for the line that raised an error."""
    return _innermost(reversed([*traceback.walk_tb(error.__traceback__)]))


def boundary(function: Callable) -> Callable:
    """Marks the function that calls the network: its own callers are not the network's code."""
    BOUNDARIES.add(function.__code__)
    return function


def _innermost(frames: Iterable[tuple[FrameType, int]]) -> str:
    """The first frame, from the inside, that runs the network's own code."""
    for frame, line in frames:
        if frame.f_code in BOUNDARIES:
            break
        if not frame.f_code.co_filename.startswith(OTHERS):
            return f" ({Path(frame.f_code.co_filename).name}:{line})"
    return ""
