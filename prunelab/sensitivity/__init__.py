"""Sensitivity: prune one group alone, at growing ratios, and see what the accuracy does.

trace -> Program -> scan -> curves -> solve -> ratios
"""

from prunelab.sensitivity.budget.prediction import Prediction, predict
from prunelab.sensitivity.budget.price import Price, price
from prunelab.sensitivity.budget.solver import solve
from prunelab.sensitivity.criteria import Criterion, ranking
from prunelab.sensitivity.criterion import criterion
from prunelab.sensitivity.points import outcome, paired_interval
from prunelab.sensitivity.scanning.channels import each_channel
from prunelab.sensitivity.scanning.scan import COLUMNS, scan

__all__ = [
    "COLUMNS",
    "Criterion",
    "Prediction",
    "Price",
    "criterion",
    "each_channel",
    "outcome",
    "paired_interval",
    "predict",
    "price",
    "ranking",
    "scan",
    "solve",
]
