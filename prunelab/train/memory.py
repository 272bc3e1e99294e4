"""Memory that one batch frees is kept for the next.

glibc gives large free blocks back to the system and asks for them again a batch later, and the
system fills each page with zeros. On the CPU that took a sixth of LeNet-5's training step under
gates, and half of ResNet-20's evaluation.
"""

from __future__ import annotations

import ctypes
from functools import cache

TRIM, MAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
MOST, OLD_MOST = 2**31 - 1, 2**25  # bytes; before version 2.35 glibc refuses more for `MAP`


@cache
def keep_freed() -> bool:
    """From now on the process keeps up to 2 GiB of what it frees; False where glibc is not."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return bool(set_option(TRIM, MOST) and (set_option(MAP, MOST) or set_option(MAP, OLD_MOST)))
