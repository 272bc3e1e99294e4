"""Surgery: the smaller network, the one with zeros in its place, and their files.

groups, keep -> shrink -> a plain network -> save, load, export_onnx
"""

from prunelab.surgery.channels import masked, masker, shrink
from prunelab.surgery.files import load, read, save
from prunelab.surgery.onnx import export_onnx

__all__ = ["export_onnx", "load", "masked", "masker", "read", "save", "shrink"]
