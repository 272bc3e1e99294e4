"""A network as an ONNX file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from prunelab import checks, extras, meta, paths
from prunelab.surgery.rebuilding import tensors_of
from prunelab.train.fitting import taking

ONNX_LIMIT = 2_000_000_000  # bytes; protobuf's limit is 2^31, and the graph needs some of it


def export_onnx(
    net: nn.Module, example: Tensor | tuple[Tensor, ...] | Mapping[str, Tensor], path: str | Path
) -> None:
    """Write `net` to an ONNX file, in evaluation mode, with a free batch size.

    The file appears whole or not at all; its folder is made if it is missing.

    Args:
        net: any network of at most 2 GB, pruned or not; its training mode is restored.
        example: (N, ...) an input batch; a tuple for a network of several inputs, a dict for
            inputs by name. N is free in every tensor.
        path: the file to write.

    Raises:
        TypeError: `net` is no network, `example` no tensor or several, `path` no path.
        ValueError: the network cannot take the example, is too large, or torch not export it.
        OSError: the file cannot be written.
        ModuleNotFoundError: the packages of prunelab[onnx] are not installed.
    """
    extras.need("surgery.export_onnx", "onnx", "onnx", "onnxscript")
    path = checks.path("export_onnx", "path", path)
    checks.kind("export_onnx", "net", net, nn.Module, "a network")
    size = sum(t.numel() * t.element_size() for t in tensors_of(net).values())
    checks.need(size <= ONNX_LIMIT, "export_onnx", "net", "one of at most 2 GB", f"{size} bytes")
    args, named = meta.inputs(example, "export_onnx")
    batch = {0: torch.export.Dim("batch")}
    free = pytree.tree_map(lambda a: batch if isinstance(a, Tensor) else None, named or args)
    with paths.whole(path, "export_onnx") as partial, meta.in_mode(net, False):
        with torch.no_grad(), taking("export_onnx", net, pytree.tree_leaves((args, named))[0]):
            net(*args, **named)
        try:
            with warnings.catch_warnings():
                # Several inputs have one batch size, so torch names the axis once, and says so.
                warnings.filterwarnings("ignore", "# The axis name: batch")
                program = torch.onnx.export(
                    net, args, kwargs=named or None, dynamo=True, verbose=False, dynamic_shapes=free
                )
        except Exception as error:  # torch has many, and their texts run over pages
            raise ValueError(
                f"export_onnx: torch cannot export `net` ({type(net).__name__}); why says the cause"
                f" of this error, {type(error).__name__}"
            ) from error
        assert program is not None  # it is None for other exporters than this one
        program.save(partial)
