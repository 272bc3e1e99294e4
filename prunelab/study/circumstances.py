"""The circumstances of a measurement: hardware, versions, commit and date."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from prunelab import paths


def circumstances(device: str) -> dict:
    """Current device, threads, versions, commit and date."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "device": device,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("torch", "torchvision", "prunelab")},
        },
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit(source: Path = paths.PACKAGE.parent) -> str:
    """Commit of the code, with a plus if the working tree differs; "unknown" outside git."""
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
