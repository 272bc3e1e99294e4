"""Sensitivity: prune one group alone, at growing ratios, and see what the accuracy does.

flow -> Program -> scan -> curves -> solve -> ratios
"""

from prunelab.sensitivity.criteria import Criterion, ranking
from prunelab.sensitivity.points import outcome, paired_interval, settled
from prunelab.sensitivity.price import Price, price
from prunelab.sensitivity.scanning import COLUMNS, answers, scan

__all__ = [
    "COLUMNS",
    "Criterion",
    "Price",
    "answers",
    "outcome",
    "paired_interval",
    "price",
    "ranking",
    "scan",
    "settled",
]
