"""VIBNet: what is run, and what is compared with print.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018.
"""

from prunelab.study.papers.information_bottleneck.cases import METHODS, SETTINGS, cases
from prunelab.study.papers.information_bottleneck.compared import TABLES
from prunelab.study.papers.information_bottleneck.views import (
    course,
    frontier,
    log_ratios,
    played,
    printed_curve,
    printed_points,
    printed_run,
)
from prunelab.study.study import Study

__all__ = [
    "METHODS",
    "SETTINGS",
    "STUDY",
    "course",
    "frontier",
    "log_ratios",
    "played",
    "printed_curve",
    "printed_points",
    "printed_run",
]

STUDY = Study("information_bottleneck", cases, TABLES)
