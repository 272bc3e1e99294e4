"""A training run on disk: one sealed file, written whole or not at all, and no pickle.

Tensors are named `<part>.<name>` (the parts are `net`, and `modules.0` and so on where others are
trained too) and `optimizer.<parameter number>.<name>`; JSON in the head holds the recipe and the
history. Random states are not needed: `fit` seeds each epoch anew.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from prunelab import sealed

FORMAT = "prunelab-fit-2"
Parts = Mapping[str, nn.Module]


def write(path: Path, parts: Parts, optimizer, recipe: dict, rows: list[dict]) -> None:
    """Store a run at the end of an epoch; a crash leaves the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    tensors = _state(parts)
    for number, state in optimizer.state_dict()["state"].items():
        values = {k: v for k, v in state.items() if isinstance(v, Tensor)}
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    said = {"recipe": json.dumps(recipe), "rows": json.dumps(rows)}
    sealed.write("fit", path, {sealed.FORMAT: FORMAT, **said}, tensors)


def read(path: Path, parts: Parts, optimizer, recipe: dict) -> list[dict]:
    """Put a stored run back into its parts and `optimizer`, bit for bit.

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
    moments = {k: v for k, v in tensors.items() if k.startswith("optimizer.")}
    _same_kinds(path, _state(parts), {k: v for k, v in tensors.items() if k not in moments})
    _restore(path, optimizer, moments)
    for part, module in parts.items():
        names = module.state_dict()
        module.load_state_dict({name: tensors[f"{part}.{name}"] for name in names})
    return rows


def _state(parts: Parts) -> dict[str, Tensor]:
    return {
        f"{part}.{name}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }


def _load(path: Path) -> tuple[dict[str, Tensor], dict, list[dict]]:
    """Tensors, recipe and history."""
    if not path.is_file():
        raise _bad(path, "is no file")
    try:
        head, tensors = sealed.opened(path, FORMAT)
    except ValueError as error:
        raise _bad(path, f"is no file that `fit` of this version wrote ({error})") from None
    return tensors, json.loads(head["recipe"]), json.loads(head["rows"])


def _same_kinds(path: Path, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name in sorted(ours.keys() | theirs.keys()):
        there, here = (sealed.kind_of(s[name]) if name in s else "absent" for s in (theirs, ours))
        if there != here:
            name = name.removeprefix("net.")
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
