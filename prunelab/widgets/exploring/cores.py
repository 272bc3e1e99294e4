"""Cores: measuring in the background uses all of them, and gives the setting back."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _AllCores:
    """Let torch use every core for a while; its setting reaches other threads too."""

    def __init__(self):
        self._lock, self._users, self._before = threading.Lock(), 0, 1

    @contextmanager
    def __call__(self) -> Iterator[None]:
        own = getattr(os, "sched_getaffinity", None)  # Linux: those we may use
        with self._lock:
            if not self._users:
                self._before = torch.get_num_threads()
                torch.set_num_threads(len(own(0)) if own else os.cpu_count() or 1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    torch.set_num_threads(self._before)


all_cores = _AllCores()
