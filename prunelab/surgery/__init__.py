"""Surgery: the smaller network, the one with zeros in its place, and their files.

groups, keep -> shrink -> a plain network -> save, load, export_onnx
zeros in single weights -> save_sparse, load_sparse
"""

from prunelab.surgery.channels import cuts, masked, masker, shrink
from prunelab.surgery.files import load, read, save
from prunelab.surgery.onnx import export_onnx
from prunelab.surgery.rebuilding import rebuild, tensors_of
from prunelab.surgery.sparse import load_sparse, save_sparse

__all__ = [
    "cuts",
    "export_onnx",
    "load",
    "load_sparse",
    "masked",
    "masker",
    "read",
    "rebuild",
    "save",
    "save_sparse",
    "shrink",
    "tensors_of",
]
