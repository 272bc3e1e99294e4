"""A network as an ONNX file."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

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
        net: any network, pruned or not; its training mode is restored.
        example: (N, ...) an input batch; a tuple for a network of several inputs, a dict for
            inputs by name. N is free in every tensor.
        path: the file to write. One ONNX file holds at most 2 GB, so the weights of a larger
            network go to a second file beside it, `<path>.data`.

    Raises:
        TypeError: `net` is no network, `example` no tensor or several, `path` no path.
        ValueError: the network cannot take the example, or torch not export it.
        OSError: the file cannot be written.
        ModuleNotFoundError: the packages of prunelab[onnx] are not installed.
    """
    extras.need("surgery.export_onnx", "onnx", "onnx", "onnxscript")
    path = checks.path("export_onnx", "path", path)
    checks.kind("export_onnx", "net", net, nn.Module, "a network")
    args, named = _inputs(example)
    with paths.whole(path, "export_onnx") as partial, meta.in_mode(net, False):
        program = _exported(net, args, named)
        if sum(t.numel() * t.element_size() for t in tensors_of(net).values()) > ONNX_LIMIT:
            _save_in_two(program, path, partial)
        else:
            program.save(partial)


def _save_in_two(program: torch.onnx.ONNXProgram, path: Path, partial: Path) -> None:
    """The graph to `partial`, the weights beside `path`, under the name that the graph gives."""
    folder = partial.with_name(partial.name.replace(path.name, f"{path.name}.data", 1))
    folder.mkdir()
    try:
        program.save(folder / path.name, external_data=True)
        os.replace(folder / f"{path.name}.data", f"{path}.data")
        os.replace(folder / path.name, partial)
    finally:
        shutil.rmtree(folder)


def _inputs(example: object) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Positional and named arguments."""
    named = dict(example) if isinstance(example, Mapping) else {}
    args = example if isinstance(example, tuple) else () if named else (example,)
    given = [*args, *named.values()]
    if not given or not all(isinstance(t, Tensor) and t.dim() for t in given):
        kinds = ", ".join(type(t).__name__ for t in given) or "nothing"
        raise TypeError(
            "export_onnx: `example` must be a batch (N, ...), or a tuple or dict of batches; got"
            f" {kinds}"
        )
    return args, named


def _exported(
    net: nn.Module, args: tuple[Tensor, ...], named: dict[str, Tensor]
) -> torch.onnx.ONNXProgram:
    with torch.no_grad(), taking("export_onnx", net, [*args, *named.values()][0]):
        net(*args, **named)
    batch = {0: torch.export.Dim("batch")}
    shapes = dict.fromkeys(named, batch) if named else tuple(batch for _ in args)
    try:
        with warnings.catch_warnings():
            # Several inputs have one batch size, so torch names the axis once, and says so.
            warnings.filterwarnings("ignore", "# The axis name: batch")
            program = torch.onnx.export(
                net, args, kwargs=named or None, dynamo=True, verbose=False, dynamic_shapes=shapes
            )
    except Exception as error:  # torch has many, and their texts run over pages
        raise ValueError(
            f"export_onnx: torch cannot export `net` ({type(net).__name__}); why says the cause of"
            f" this error, {type(error).__name__}"
        ) from error
    assert program is not None  # it is None for other exporters than this one
    return program
