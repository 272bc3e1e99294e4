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
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from prunelab import checks, sealed
from prunelab.sealed import kind_of
from prunelab.surgery.rebuilding import rebuild, tensors_of

FORMAT = "prunelab-sparse-1"
FORMS = ("dense", "bitmask", "csr")


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
    forms = _forms(net, form)
    for name, tensor in tensors_of(net).items():
        tensor = tensor.detach().cpu().contiguous()
        kinds[name] = kind_of(tensor)
        parts = PACK[forms[name]](tensor)
        stored |= {f"{name}:{part}": t.contiguous() for part, t in parts.items()}
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
    forms = _forms(net, form)

    def restored(name: str, like: Tensor) -> Tensor:
        parts = {part: stored[f"{name}:{part}"] for part in PARTS[forms[name]]}
        tensor = UNPACK[forms[name]](parts, like)
        if kind_of(tensor) != kind_of(like):
            raise ValueError(f"`{name}` is {kind_of(tensor)}")
        return tensor.to(like.device)

    try:
        return rebuild(net, restored)
    except (ValueError, LookupError, TypeError, RuntimeError) as error:
        raise _foreign(path, error) from error


def _forms(net: nn.Module, form: str) -> dict[str, str]:
    """Tensor name -> form: parameters may be sparse."""
    sparse = dict(net.named_parameters())
    return {name: form if name in sparse else "dense" for name in tensors_of(net)}


def _matrix(tensor: Tensor) -> Tensor:
    """(rows, columns) view: the first axis by all others; a vector is one row."""
    return tensor.flatten(1) if tensor.ndim > 1 else tensor.view(1, -1)


def _to_bitmask(tensor: Tensor) -> dict[str, Tensor]:
    flat = tensor.view(-1)
    kept = flat != 0
    return {"bits": torch.from_numpy(np.packbits(kept.numpy())), "values": flat[kept]}


def _from_bitmask(parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
    kept = torch.from_numpy(np.unpackbits(parts["bits"].numpy(), count=like.numel())).bool()
    flat = torch.zeros(like.numel(), dtype=like.dtype)
    flat[kept] = parts["values"]
    return flat.view(like.shape)


def _to_csr(tensor: Tensor) -> dict[str, Tensor]:
    matrix = _matrix(tensor)
    row, column = matrix.nonzero(as_tuple=True)  # in the order of rows
    starts = torch.zeros(len(matrix) + 1, dtype=torch.int32)
    starts[1:] = torch.bincount(row, minlength=len(matrix)).cumsum(0)
    columns = column.to(_smallest(matrix.shape[1]))
    return {"rows": starts, "columns": columns, "values": matrix[row, column]}


def _from_csr(parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
    tensor = torch.zeros(like.shape, dtype=like.dtype)
    lengths = parts["rows"].diff()
    row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    _matrix(tensor)[row, parts["columns"].long()] = parts["values"]
    return tensor


def _smallest(columns: int) -> torch.dtype:
    """The type that holds the indices 0 to `columns` - 1."""
    if columns <= 1 << 8:
        return torch.uint8
    return torch.uint16 if columns <= 1 << 16 else torch.int32


PARTS = {"dense": ("dense",), "bitmask": ("bits", "values"), "csr": ("rows", "columns", "values")}
PACK: dict[str, Callable[[Tensor], dict[str, Tensor]]] = {
    "dense": lambda tensor: {"dense": tensor},
    "bitmask": _to_bitmask,
    "csr": _to_csr,
}
UNPACK: dict[str, Callable[[Mapping[str, Tensor], Tensor], Tensor]] = {
    "dense": lambda parts, like: parts["dense"],
    "bitmask": _from_bitmask,
    "csr": _from_csr,
}


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
