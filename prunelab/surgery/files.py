"""Save and load: one safetensors file a network, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from torch import Tensor, nn

from prunelab import checks, sealed
from prunelab.groups.group import INPUTS
from prunelab.masks import Keep
from prunelab.surgery.rebuilding import KEPT, rebuild, resize, tensors_of, widths
from prunelab.surgery.selection import INDEX, fits, select

FORMAT = "prunelab-2"
# Its checksum covers the bytes of the tensors only. It is read, and no longer written.
OLD = "prunelab-1"
WIDTHS = "widths"  # of norms that have no tensor which would tell


def save(small: nn.Module, keep: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a pruned network to one safetensors file, with its keep as JSON metadata.

    The file appears whole or not at all; its folder is made if it is missing. A checksum covers all
    that it says.

    Args:
        small: the network as `shrink` gave it, trained on or not.
        keep: what it was shrunk by; {} = nothing.
        path: of the file.

    Raises:
        TypeError: `small` is no network, `keep` no keep, `path` no path.
        ValueError: `keep` is that of another network, as far as layers and widths tell.
        OSError: the file cannot be written.
    """
    checks.kind("save", "small", small, nn.Module, "a network")
    path, keep, tensors = checks.path("save", "path", path), Keep(keep), tensors_of(small)
    if wrong := _misfit(keep, tensors, known=getattr(small, KEPT, {})):
        raise ValueError(f"save: `keep` must be what `small` was shrunk by: {wrong}")
    head = {sealed.FORMAT: FORMAT, "keep": keep.to_json()}
    head |= {WIDTHS: json.dumps(found)} if (found := widths(small)) else {}
    sealed.write("save", path, head, tensors)


def load(net: nn.Module, path: str | Path) -> nn.Module:
    """The pruned network that `save` wrote.

    Args:
        net: the unpruned architecture; its weights do not matter and it is unchanged.
        path: a file written by `save`.

    Returns:
        A new module with the shapes and weights of the file, in `net`'s training mode.

    Raises:
        FileNotFoundError: no such file.
        TypeError: `net` is no network, or `path` no path.
        ValueError: not a file of `save` (a pickle), a truncated or damaged one, or of another
            architecture, as far as names, types and axes tell, and the widths that the keep
            leaves; of an unpruned network also by every width.
    """
    checks.kind("load", "net", net, nn.Module, "a network")
    own = tensors_of(net)
    head, tensors, keep = _opened(path, "load")
    picks = {k: tensors.pop(k) for k in [*tensors] if k.endswith(f".{INDEX}") and k not in own}
    wrong = sorted(set(own) ^ set(tensors)) or [
        k for k in own if not _fits(tensors[k], own[k], exactly=not keep)
    ]
    wrong = wrong or [k for k, index in picks.items() if not fits(net, k, index, tensors)]
    counts = _widths(net, head)
    if counts is None:
        wrong.append(WIDTHS)
    if told := f"`{wrong[0]}` differs" if wrong else _misfit(keep, tensors, full=own):
        raise ValueError(f"load: `{path}` does not hold a pruned {type(net).__name__}: {told}")
    small = rebuild(net, lambda name, t: tensors[name].to(t.device, copy=True))
    resize(small, counts or {})
    select(small, {name.removesuffix(f".{INDEX}"): index for name, index in picks.items()})
    setattr(small, KEPT, keep.widths())
    return small


def _widths(net: nn.Module, head: Mapping[str, str]) -> dict[str, int] | None:
    """What the file says of norms without tensors; None where it cannot be true of `net`."""
    full = widths(net)
    try:
        told = dict(json.loads(head.get(WIDTHS, "{}")))
    except (ValueError, TypeError):
        return None
    fit = all(type(n) is int and 0 < n <= full.get(k, 0) for k, n in told.items())
    return told if fit else None


def _fits(small: Tensor, full: Tensor, exactly: bool) -> bool:
    """Channels can be fewer, unless `exactly`; pixels, axes and type cannot differ."""
    same = small.dtype == full.dtype and small.shape[2:] == full.shape[2:]
    if exactly:
        return same and small.shape == full.shape
    return same and small.ndim == full.ndim and all(a <= b for a, b in zip(small.shape, full.shape))


def _misfit(
    keep: Keep,
    tensors: Mapping[str, Tensor],
    known: Mapping[str, int] = MappingProxyType({}),
    full: Mapping[str, Tensor] | None = None,
) -> str | None:
    """What of `keep` cannot be of a network with these tensors; None = nothing.

    An entry of the shape of the parameter that it names is of single weights. Any other is of a
    group, whose channels must fit an axis of its layer, there and in the `full` network, and be as
    many as are `known`: `shrink` notes them.
    """
    for name, kept in keep.widths().items():
        shape, layer = keep[name].shape, name.removesuffix(INPUTS).split("[")[0]
        if name in tensors and tensors[name].shape == shape:
            continue
        if len(shape) != 1:
            found = list(tensors[name].shape) if name in tensors else "absent"
            return f"`{name}` is of shape {list(shape)} in `keep` and {found} in the network"
        own = [t for t in tensors if t == layer or t.startswith(f"{layer}.")]
        axes = [(t, d) for t in own for d in range(min(tensors[t].ndim, 2))]
        if name.endswith(INPUTS):
            axes = [(f"{layer}.weight", 1)] if f"{layer}.weight" in own else []
        if not axes:
            return f"the network has no layer `{layer}`"
        lengths = [(tensors[t].shape[d], full[t].shape[d] if full else None) for t, d in axes]
        if known.get(name, kept) != kept or not any(
            _holds(name, len(keep[name]), kept, *pair) for pair in lengths
        ):
            here, there = lengths[0]
            has = f"{here} in the file and {there} in `net`" if full else f"{here} in the network"
            return f"`{name}` keeps {kept} of {len(keep[name])} channels, but has {has}"
    return None


def _holds(name: str, size: int, kept: int, length: int, full: int | None) -> bool:
    """Whether `kept` of `size` channels can lie on an axis of this length, once `full` long."""
    beside = length <= kept if name.endswith(INPUTS) else length >= kept  # writers take inputs too
    return beside and (full is None or full - size >= max(0, length - kept))


def read(path: str | Path) -> tuple[dict[str, Tensor], Keep]:
    """The tensors and the keep of a file written by `save`. Errors as `load`."""
    _, tensors, keep = _opened(path, "read")
    return tensors, keep


def _opened(path: str | Path, caller: str) -> tuple[dict[str, str], dict[str, Tensor], Keep]:
    path = checks.path(caller, "path", path)
    if not path.is_file():
        raise FileNotFoundError(f"{caller}: no file `{path}`")
    try:
        head, tensors = sealed.read(path)
        if head.get(sealed.FORMAT) != OLD:
            head, tensors = sealed.opened(path, FORMAT, OLD)
        elif head.get(sealed.CHECKSUM) != str(sealed.crc32(tensors)):
            raise ValueError(sealed.DAMAGED)
        keep = Keep.from_json(head["keep"])
        if wrong := _misfit(keep, tensors):
            raise ValueError(f"its keep is not that of its tensors: {wrong}")
        return head, tensors, keep
    except (ValueError, LookupError, TypeError) as error:
        line = str(error).split("\n")[0]
        raise ValueError(
            f"{caller}: `{path}` is not a safetensors file written by prunelab ({line})"
        ) from error
