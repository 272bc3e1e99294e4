"""Surgery: the smaller network, the one with zeros in its place, and their files.

groups, keep -> shrink -> a plain network -> save, load, export_onnx
"""

from prunelab.surgery.channels import cuts, masked, masker, shrink
from prunelab.surgery.files import load, read, save
from prunelab.surgery.onnx import export_onnx
from prunelab.surgery.rebuilding import rebuild, tensors_of

__all__ = [
    "cuts",
    "export_onnx",
    "load",
    "masked",
    "masker",
    "read",
    "rebuild",
    "save",
    "shrink",
    "tensors_of",
]
