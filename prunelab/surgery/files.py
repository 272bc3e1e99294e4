"""Save and load: one safetensors file a network, never a pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from prunelab.masks import Keep
from prunelab.surgery.rebuilding import rebuild, resize, tensors_of, widths
from prunelab.surgery.selection import INDEX, fits, select
from prunelab.train.checkpoint import crc32

FORMAT = "prunelab-1"
WIDTHS = "widths"  # of norms that have no tensor which would tell


def save(small: nn.Module, keep: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a pruned network to one safetensors file, with its keep as JSON metadata.

    The file appears whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors_of(small).items()}
    head = {"format": FORMAT, "keep": Keep(keep).to_json(), "crc32": str(crc32(tensors))}
    head |= {WIDTHS: json.dumps(found)} if (found := widths(small)) else {}
    write("save", tensors, head, Path(path))


def write(caller: str, tensors: dict[str, Tensor], head: dict[str, str], path: Path) -> None:
    """One safetensors file, whole or not at all. OSError, naming `caller`: it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, partial, head)
        os.replace(partial, path)
    except (OSError, safetensors.SafetensorError) as error:
        raise OSError(f"{caller}: cannot write `{path}`: {error}") from error
    finally:
        if partial.exists():  # `missing_ok` does not cover a folder that is a file
            partial.unlink()


def load(net: nn.Module, path: str | Path) -> nn.Module:
    """The pruned network that `save` wrote.

    Args:
        net: the unpruned architecture; its weights do not matter and it is unchanged.
        path: a file written by `save`.

    Returns:
        A new module with the shapes and weights of the file, in `net`'s training mode.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a file of `save` (a pickle), a truncated or damaged one, or of another
            architecture, as far as names, types and axes tell; of an unpruned network also by every
            width.
    """
    tensors, keep = read(path)
    own = tensors_of(net)
    picks = {k: tensors.pop(k) for k in [*tensors] if k.endswith(f".{INDEX}") and k not in own}
    wrong = sorted(set(own) ^ set(tensors)) or [
        k for k in own if not _fits(tensors[k], own[k], exactly=not keep)
    ]
    wrong = wrong or [k for k, index in picks.items() if not fits(net, k, index, tensors)]
    if wrong:
        raise ValueError(
            f"load: `{path}` does not hold a pruned {type(net).__name__}: `{wrong[0]}` differs"
        )
    small = rebuild(net, lambda name, t: tensors[name].to(t.device, copy=True))
    resize(small, _widths(net, path))
    select(small, {name.removesuffix(f".{INDEX}"): index for name, index in picks.items()})
    return small


def _widths(net: nn.Module, path: str | Path) -> dict[str, int]:
    """What the file says of norms without tensors, where it can be true of `net`."""
    full = widths(net)
    try:
        with safetensors.safe_open(path, "pt") as file:
            told = dict(json.loads((file.metadata() or {}).get(WIDTHS, "{}")))
        bad = [k for k, n in told.items() if type(n) is not int or not 0 < n <= full.get(k, 0)]
    except (ValueError, TypeError):
        bad = [WIDTHS]
    if bad:
        raise ValueError(
            f"load: `{path}` does not hold a pruned {type(net).__name__}: `{bad[0]}` differs"
        )
    return told


def _fits(small: Tensor, full: Tensor, exactly: bool) -> bool:
    """Channels can be fewer, unless `exactly`; pixels, axes and type cannot differ."""
    same = small.dtype == full.dtype and small.shape[2:] == full.shape[2:]
    if exactly:
        return same and small.shape == full.shape
    return same and small.ndim == full.ndim and all(a <= b for a, b in zip(small.shape, full.shape))


def read(path: str | Path) -> tuple[dict[str, Tensor], Keep]:
    """The tensors and the keep of a file written by `save`. Errors as `load`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load: no file `{path}`")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise ValueError(f"format {metadata.get('format')!r}, not {FORMAT!r}")
        tensors, keep = load_file(path), Keep.from_json(metadata["keep"])
        if metadata["crc32"] != str(crc32(tensors)):
            raise ValueError("it is damaged: its checksum is wrong")
        return tensors, keep
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        line = str(error).split("\n")[0]
        raise ValueError(
            f"load: `{path}` is not a safetensors file written by prunelab ({line})"
        ) from error
