"""A training run on disk: one safetensors file, written whole or not at all, and no pickle.

Tensors are named `net.<name>` and `optimizer.<parameter number>.<name>`; JSON in the header holds
the recipe, the history and a checksum. Random states are not needed: `fit` seeds each epoch anew.
"""

import json
import os
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn


def write(path: Path, net: nn.Module, optimizer, recipe: dict, rows: list[dict]) -> None:
    """Store a run at the end of an epoch; a crash leaves the old file or the new one.

    Raises:
        OSError: the folder cannot be written.
    """
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        values = {k: v for k, v in state.items() if isinstance(v, Tensor)}
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    # Plain order in memory, and a copy for tensors that share memory: safetensors wants both.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    head = {"recipe": recipe, "rows": rows, "crc32": crc32(tensors)}
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(to_bytes(tensors, metadata={"fit": json.dumps(head)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, net: nn.Module, optimizer, recipe: dict) -> list[dict]:
    """Put a stored run back into `net` and `optimizer`, bit for bit.

    Returns:
        The history's rows.

    Raises:
        ValueError: the file is damaged, not written by `fit`, or of another recipe or network.
    """
    tensors, head = _load(path)
    for field in sorted(recipe.keys() | head["recipe"].keys()):
        ours, theirs = recipe.get(field), head["recipe"].get(field)
        if ours != theirs:
            raise _bad(path, f"is of another run: its {field} is {theirs!r}, asked for {ours!r}")
    state = {k[4:]: v for k, v in tensors.items() if k.startswith("net.")}
    _same_shapes(path, net.state_dict(), state)
    net.load_state_dict(state)
    _restore(optimizer, {k: v for k, v in tensors.items() if k.startswith("optimizer.")})
    return head["rows"]


def _load(path: Path) -> tuple[dict[str, Tensor], dict]:
    if not path.is_file():
        raise _bad(path, "is no file")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _bad(path, f"is {_kind(path)} ({error})") from None
    if "fit" not in metadata:
        raise _bad(path, "is a safetensors file that `fit` did not write")
    try:
        head = json.loads(metadata["fit"])
        whole = head["crc32"] == crc32(tensors)
    except (ValueError, LookupError, TypeError):
        whole = False
    if not whole:
        raise _bad(path, "is damaged: its checksum is wrong")
    return tensors, head


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    pickled = start in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    return "a pickle, not a safetensors file" if pickled else "not a whole safetensors file"


def _same_shapes(path: Path, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name in sorted(ours.keys() | theirs.keys()):
        shapes = [tuple(s[name].shape) if name in s else "absent" for s in (theirs, ours)]
        if shapes[0] != shapes[1]:
            raise _bad(path, f"is of another network: its {name} is {shapes[0]}, ours {shapes[1]}")


def _restore(optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        _, number, name = key.split(".", 2)
        like = parameters[int(number)]
        if value.shape == like.shape:  # the parameter's order in memory, which fused steps rely on
            value = torch.empty_like(like, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def crc32(tensors: dict[str, Tensor]) -> int:
    """Over the bytes of all tensors (on the CPU, contiguous), in the order of their names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), crc)
    return crc


def _bad(path: Path, what: str) -> ValueError:
    return ValueError(f"fit: checkpoint {str(path)!r} {what}; delete it or name another file")
