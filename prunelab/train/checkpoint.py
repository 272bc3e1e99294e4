"""A training run on disk: one sealed file, written whole or not at all, and no pickle.

Tensors are named `net.<name>` and `optimizer.<parameter number>.<name>`; JSON in the head holds
the recipe and the history. Random states are not needed: `fit` seeds each epoch anew.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from prunelab import sealed

FORMAT = "prunelab-fit-2"
# Before, recipe, history and a checksum of the tensors' bytes alone stood in one text; still read.
OLD = "fit"


def write(path: Path, net: nn.Module, optimizer, recipe: dict, rows: list[dict]) -> None:
    """Store a run at the end of an epoch; a crash leaves the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        values = {k: v for k, v in state.items() if isinstance(v, Tensor)}
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    said = {"recipe": json.dumps(recipe), "rows": json.dumps(rows)}
    sealed.write("fit", path, {sealed.FORMAT: FORMAT, **said}, tensors)


def read(path: Path, net: nn.Module, optimizer, recipe: dict) -> list[dict]:
    """Put a stored run back into `net` and `optimizer`, bit for bit.

    Returns:
        The history's rows.

    Raises:
        ValueError: the file is damaged, not written by `fit`, or of another recipe or network.
    """
    tensors, stored, rows = _load(path)
    for field in sorted(recipe.keys() | stored.keys()):
        ours, theirs = recipe.get(field), stored.get(field)
        if ours != theirs:
            raise _bad(path, f"is of another run: its {field} is {theirs!r}, asked for {ours!r}")
    state = {k[4:]: v for k, v in tensors.items() if k.startswith("net.")}
    _same_kinds(path, net.state_dict(), state)
    _restore(path, optimizer, {k: v for k, v in tensors.items() if k.startswith("optimizer.")})
    net.load_state_dict(state)
    return rows


def _load(path: Path) -> tuple[dict[str, Tensor], dict, list[dict]]:
    """Tensors, recipe and history."""
    if not path.is_file():
        raise _bad(path, "is no file")
    try:
        head, tensors = sealed.read(path)
    except ValueError as error:
        raise _bad(path, f"is {_kind(path)} ({error})") from None
    try:
        if OLD in head:
            said = json.loads(head[OLD])
            whole = said["crc32"] == sealed.crc32(tensors)
        elif head.get(sealed.FORMAT) == FORMAT:
            whole = sealed.is_whole(head, tensors)
            said = {key: json.loads(head[key]) for key in ("recipe", "rows")}
        else:
            raise _bad(path, "is a safetensors file that `fit` did not write")
        found = tensors, dict(said["recipe"]), list(said["rows"])
    except (LookupError, TypeError, json.JSONDecodeError):
        whole = False
    if not whole:
        raise _bad(path, "is damaged: its checksum is wrong")
    return found


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    pickled = start in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    return "a pickle, not a safetensors file" if pickled else "not a whole safetensors file"


def _same_kinds(path: Path, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name in sorted(ours.keys() | theirs.keys()):
        there, here = (sealed.kind_of(s[name]) if name in s else "absent" for s in (theirs, ours))
        if there != here:
            raise _bad(path, f"is of another network: its {name} is {there}, ours {here}")


def _restore(path: Path, optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    try:
        for key, value in tensors.items():
            _, number, name = key.split(".", 2)
            like = parameters[int(number)]
            if value.shape == like.shape:  # its order in memory, which fused steps rely on
                value = torch.empty_like(like, dtype=value.dtype).copy_(value)
            state.setdefault(int(number), {})[name] = value
    except (ValueError, LookupError):
        raise _bad(path, f"is of another network: it has no parameter for {key}") from None
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _bad(path: Path, what: str) -> ValueError:
    return ValueError(f"fit: checkpoint {str(path)!r} {what}; delete it or name another file")
