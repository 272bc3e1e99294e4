"""Tensor files with a checksum: safetensors, never pickle, written whole or not at all.

The checksum covers all that a file says: the texts of its head, and name, type, shape and bytes of
every tensor.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from prunelab import paths

FORMAT, CHECKSUM = "format", "crc32"  # keys of the head
DAMAGED = "it is damaged: its checksum is wrong"


def write(caller: str, path: Path, head: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    """Write one file. After an error an older file is unchanged.

    Args:
        caller: named in errors.
        path: of the file; its folder is made if it is missing.
        head: what else it says; `format` is its kind.
        tensors: on any device, in any memory format; they may share memory.

    Raises:
        OSError: it cannot be written.
    """
    # Plain order in memory, and a copy for tensors that share memory: safetensors wants both.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    # Bytes first: safetensors writes through a file of its own, which a kill would leave behind.
    raw = to_bytes(plain, {**head, CHECKSUM: checksum(head, plain)})
    with paths.whole(path, caller) as partial:
        partial.write_bytes(raw)


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The head, with its checksum, and the tensors; nothing is compared yet.

    Raises:
        ValueError: not a whole safetensors file.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            head = file.metadata() or {}
            return head, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, RuntimeError, OSError) as error:
        raise ValueError(str(error).split("\n")[0]) from error


def opened(path: Path, *formats: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """As `read`, with format and checksum verified. Errors: ValueError, either is wrong."""
    head, tensors = read(path)
    if head.get(FORMAT) not in formats:
        raise ValueError(f"format {head.get(FORMAT)!r}, not {' or '.join(map(repr, formats))}")
    said = {key: text for key, text in head.items() if key != CHECKSUM}
    if head.get(CHECKSUM) != checksum(said, tensors):
        raise ValueError(DAMAGED)
    return head, tensors


def checksum(head: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Checksum of the head, and of name, type, shape and bytes of each tensor."""
    kinds = {name: kind_of(tensor) for name, tensor in tensors.items()}
    said = json.dumps([dict(head), kinds], sort_keys=True)
    return str(zlib.crc32(said.encode(), crc32(tensors)))


def crc32(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of the bytes of all tensors (contiguous, on the CPU), in order of their names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), crc)
    return crc


def kind_of(tensor: Tensor) -> str:
    """Type and shape, e.g. "float32 [10, 500]"."""
    return f"{tensor.dtype} {list(tensor.shape)}".removeprefix("torch.")
