"""Quantisation: few bits for a weight, and the files in which that shows.

BinaryWeights, XNORNet, TernaryWeights, DoReFaNet -> train with few values -> a plain network
DeepCompression -> prune, share values -> a plain network
save, load -> the file: packed bits, distances, Huffman's code
"""

from prunelab.quantisation.deep_compression import DeepCompression
from prunelab.quantisation.files import FORMS, load, save
from prunelab.quantisation.quantiser import BinaryWeights, DoReFaNet, TernaryWeights, XNORNet

__all__ = [
    "FORMS",
    "BinaryWeights",
    "DeepCompression",
    "DoReFaNet",
    "TernaryWeights",
    "XNORNet",
    "load",
    "save",
]
