"""VIBNet: the recipes behind its tables and figures, and the tables beside the print.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018.
"""

from prunelab.study.papers.information_bottleneck.recipes import SETTINGS, STEM, recipes
from prunelab.study.papers.information_bottleneck.tables import frontier, printed_points, tables
from prunelab.study.papers.information_bottleneck.views import (
    course,
    log_ratios,
    played,
    printed_curve,
    printed_run,
)

__all__ = [
    "CAPTIONS",
    "CITATION",
    "DEVIATIONS",
    "README",
    "SETTINGS",
    "STEM",
    "TITLE",
    "course",
    "frontier",
    "log_ratios",
    "played",
    "printed_curve",
    "printed_points",
    "printed_run",
    "recipes",
    "tables",
]

TITLE = "Variational information bottleneck"
README = (
    "Table 1: LeNet-300-100 on MNIST (preset paper)",
    "Table 2: LeNet-5 on MNIST (preset paper)",
)
CITATION = (
    "Bin Dai, Chen Zhu, Baining Guo, David Wipf. Compressing Neural Networks using the Variational "
    "Information Bottleneck. ICML 2018."
)
DEVIATIONS = [
    "No recipe for MNIST is public: strengths, rates and epochs are ours, chosen with validation "
    "images.",
]
CAPTIONS = {}
