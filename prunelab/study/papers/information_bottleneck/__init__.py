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
CAPTIONS = {
    "log-ratios": "log (sigma^2 / mu^2) of the units of LeNet-300-100 while it trains under gates.",
    "widths": "Units left of each place while LeNet-300-100 trains under gates.",
    "pixels": "The input pixels that LeNet-300-100 still reads, over the mean image.",
    "frontier-lenet-300-100": "LeNet-300-100: test error against weights left. Stars are printed.",
    "frontier-lenet-5-relu": "LeNet-5: test error against weights left. Stars are printed.",
}
