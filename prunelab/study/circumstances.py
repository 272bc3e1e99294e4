"""The circumstances of a measurement: on what, with what, when."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch


def circumstances(device: str, project: Path) -> dict:
    """Device, threads, versions, commit and date, as they are now."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "device": device,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("torch", "torchvision", "prunelab")},
        },
        "commit": _commit(project),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit(project: Path) -> str:
    """The commit measured, with a plus when the working tree differs; "unknown" outside git."""
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return out.stdout.strip()
