"""Files of a network with zeros in single weights: what unstructured sparsity saves on disk.

Bytes of a parameter of n entries, r rows and k non-zero values of 4 bytes (float32):

    dense      4 n
    bitmask    4 k + n / 8               one bit an entry says whether a value follows
    csr        (4 + c) k + 4 (r + 1)     a column index of c = 1, 2 or 4 bytes beside each value

So, row starts aside, a bit mask wins from 3% zeros on, csr from a third (c = 2), and csr beats the
mask below a density of 1 / (8 c): 6% for c = 2, 12.5% for c = 1. Network surgery, which leaves 1%
to 2%, is csr's case. Deep Compression (Han, Mao, Dally 2016) goes on from there: distances between
non-zero entries in 5 to 8 bits instead of columns, values shared by k-means so that one is a few
bits, and Huffman coding of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from prunelab import checks, sealed
from prunelab.sealed import kind_of
from prunelab.surgery.rebuilding import rebuild, tensors_of

FORMAT = "prunelab-sparse-1"
FORMS = ("dense", "bitmask", "csr")
INDICES = {torch.uint8: 1 << 8, torch.uint16: 1 << 16, torch.int32: 1 << 31}  # columns they index


def save_sparse(net: nn.Module, path: str | Path, form: str = "bitmask") -> int:
    """Write all tensors of a network to one safetensors file, parameters without their zeros.

    Every parameter takes the form, also where it costs more than it saves; buffers stay dense. A
    tensor `name` of shape (r, ...) is stored as

        dense      `name:dense`
        bitmask    `name:bits` (ceil(n / 8),) uint8, of `numpy.packbits`; `name:values` (k,)
        csr        `name:rows` (r + 1,) int32, where each row starts; `name:columns` (k,) in the
                   smallest of uint8, uint16, int32; `name:values` (k,). A row is an entry of the
                   first axis with all others flattened; a vector is one row.

    Values keep their type and bits. A zero is what compares equal to zero: the -0.0 that a mask
    leaves of a negative weight comes back as 0.0 from the sparse forms. The file appears whole or
    not at all; its metadata is the form and, as JSON, type and shape of each tensor.

    Args:
        net: any network.
        path: of the file.
        form: "dense", "bitmask" or "csr".

    Returns:
        Bytes of the file.

    Raises:
        TypeError: `net` is no network, or `path` no path.
        ValueError: an unknown form.
        OSError: the file cannot be written.
    """
    checks.kind("save_sparse", "net", net, nn.Module, "a network")
    checks.word("save_sparse", "form", form, FORMS)
    path, kinds = checks.path("save_sparse", "path", path), {}
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors_of(net).items():
        kinds[name] = kind_of(tensor)
        own = form if isinstance(tensor, nn.Parameter) else "dense"
        parts = _packed(tensor.detach().cpu().contiguous(), own)
        stored |= {f"{name}:{part}": t for part, t in parts.items()}
    head = {sealed.FORMAT: FORMAT, "form": form, "tensors": json.dumps(kinds)}
    sealed.write("save_sparse", path, head, stored)
    return path.stat().st_size


def load_sparse(net: nn.Module, path: str | Path) -> nn.Module:
    """The network that `save_sparse` wrote, in any form, as a plain dense module.

    Args:
        net: the architecture; its weights do not matter and it is unchanged.
        path: a file written by `save_sparse`.

    Returns:
        A new module with the values of the file, in `net`'s training mode, on its devices.

    Raises:
        FileNotFoundError: no such file.
        TypeError: `net` is no network, or `path` no path.
        ValueError: not a file of `save_sparse` (a pickle), a damaged one, or of a network with
            other names, types or shapes.
    """
    checks.kind("load_sparse", "net", net, nn.Module, "a network")
    form, kinds, stored = _read(checks.path("load_sparse", "path", path))
    _check_same(net, kinds, path)

    def restored(name: str, like: Tensor) -> Tensor:
        own = "dense" if f"{name}:dense" in stored else form
        tensor = _unpacked(lambda part: stored[f"{name}:{part}"], like, own)
        if kind_of(tensor) != kind_of(like):
            raise ValueError(f"`{name}` is {kind_of(tensor)}")
        return tensor.to(like.device)

    try:
        return rebuild(net, restored)
    except (ValueError, LookupError, TypeError, RuntimeError) as error:
        raise _foreign(path, error) from error


def _packed(tensor: Tensor, form: str) -> dict[str, Tensor]:
    """The parts in which a tensor is stored."""
    if form == "dense":
        return {"dense": tensor}
    matrix = tensor.flatten(1) if tensor.ndim > 1 else tensor.view(1, -1)
    row, column = (kept := matrix != 0).nonzero(as_tuple=True)  # in the order of rows
    values = {"values": matrix[row, column]}
    if form == "bitmask":
        return {"bits": torch.from_numpy(np.packbits(kept.numpy()))} | values
    starts = torch.zeros(len(matrix) + 1, dtype=torch.int32)
    starts[1:] = kept.sum(1).cumsum(0)
    smallest = next(kind for kind, most in INDICES.items() if matrix.shape[1] <= most)
    return {"rows": starts, "columns": column.to(smallest)} | values


def _unpacked(part: Callable[[str], Tensor], like: Tensor, form: str) -> Tensor:
    """The inverse, from the part of each name, in the type and shape of `like`."""
    if form == "dense":
        return part("dense")
    tensor = torch.zeros(like.shape, dtype=like.dtype)
    if form == "bitmask":
        bits = np.unpackbits(part("bits").numpy(), count=like.numel())
        tensor.view(-1)[torch.from_numpy(bits).bool()] = part("values")
        return tensor
    lengths = part("rows").diff()
    row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    matrix = tensor.flatten(1) if tensor.ndim > 1 else tensor.view(1, -1)
    matrix[row, part("columns").long()] = part("values")
    return tensor


def _read(path: Path) -> tuple[str, dict[str, str], dict[str, Tensor]]:
    """The form, type and shape by tensor, and the tensors as they are stored."""
    if not path.is_file():
        raise FileNotFoundError(f"load_sparse: no file `{path}`")
    try:
        head, stored = sealed.opened(path, FORMAT)
        return head["form"], dict(json.loads(head["tensors"])), stored
    except (ValueError, LookupError, TypeError) as error:
        raise _foreign(path, error) from error


def _check_same(net: nn.Module, theirs: dict[str, str], path: str | Path) -> None:
    ours = {name: kind_of(tensor) for name, tensor in tensors_of(net).items()}
    for name in [*ours, *sorted(theirs.keys() - ours.keys())]:
        there, here = theirs.get(name, "absent"), ours.get(name, "absent")
        if there != here:
            raise ValueError(
                f"load_sparse: `{path}` does not hold a {type(net).__name__}: `{name}` is {there}"
                f" there, {here} in `net`"
            )


def _foreign(path: str | Path, error: Exception) -> ValueError:
    line = str(error).split("\n")[0]
    return ValueError(f"load_sparse: `{path}` is not a file written by save_sparse ({line})")
