"""A network as an ONNX file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from prunelab import extras
from prunelab.surgery.rebuilding import tensors_of

ONNX_LIMIT = 2_000_000_000  # bytes; protobuf's limit is 2^31, and the graph needs some of it


def export_onnx(net: nn.Module, example: Tensor, path: str | Path) -> None:
    """Write `net` to an ONNX file, in evaluation mode, with a free batch size.

    Args:
        net: any network, pruned or not; its training mode is restored.
        example: (N, ...) an input batch.
        path: the file to write. One ONNX file holds at most 2 GB, so the weights of a larger
            network go to a second file beside it, `<path>.data`.

    Raises:
        ModuleNotFoundError: the packages of prunelab[onnx] are not installed.
    """
    extras.need("surgery.export_onnx", "onnx", "onnx", "onnxscript")
    size = sum(t.numel() * t.element_size() for t in tensors_of(net).values())
    training = {module: module.training for module in net.modules()}
    try:
        batch = {0: torch.export.Dim("batch")}
        torch.onnx.export(
            net.eval(),
            (example,),
            path,
            dynamo=True,
            verbose=False,
            dynamic_shapes=(batch,),
            external_data=size > ONNX_LIMIT,
        )
    finally:
        for module, mode in training.items():
            module.training = mode
