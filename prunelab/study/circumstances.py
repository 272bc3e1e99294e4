"""Circumstances: on what a row was measured, with which versions, from which commit, and when."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from prunelab import paths, processes

PACKAGES = ("torch", "torchvision", "prunelab")  # whose versions a row names


def circumstances(device: str) -> dict:
    """The part of a row that tells how it was measured, on this device and now."""
    return {
        "device": device,
        "device_name": platform.machine() if device == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "processes": processes.size(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> str:
    """Commit of the code, with a plus if the working tree differs; "unknown" outside git."""
    source = paths.PACKAGE.parent
    if not (source / ".git").exists():  # an installed package may lie in someone else's repository
        return "unknown"
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=source,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return out.stdout.strip()
