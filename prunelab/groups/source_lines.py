"""Which line of the network's own code is running, for error messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

import torch

OTHERS = (*(str(Path(file).parent) + os.sep for file in (torch.__file__, __file__)), "<")
BOUNDARIES: set[CodeType] = set()


def here() -> str:
    """File and line number in parentheses; empty where only torch's own code is running."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code not in BOUNDARIES:
        if not frame.f_code.co_filename.startswith(OTHERS):
            return _shown(frame, frame.f_lineno)
        frame = frame.f_back
    return ""


def raised(error: BaseException) -> str:
    """The same, for the line that raised an error."""
    found, inside, trace = "", False, error.__traceback__
    while trace is not None:
        inside = inside or trace.tb_frame.f_code in BOUNDARIES
        if inside and not trace.tb_frame.f_code.co_filename.startswith(OTHERS):
            found = _shown(trace.tb_frame, trace.tb_lineno)
        trace = trace.tb_next
    return found


def boundary(function: Callable) -> Callable:
    """Marks the function that calls the network: its own callers are not the network's code."""
    BOUNDARIES.add(function.__code__)
    return function


def _shown(frame: FrameType, line: int) -> str:
    return f" ({Path(frame.f_code.co_filename).name}:{line})"
