"""Sensitivity: prune one group alone, at growing ratios, and see what the accuracy does.

flow -> Program -> scan -> curves -> solve -> ratios
"""

from prunelab.sensitivity.criteria import Criterion, ranking
from prunelab.sensitivity.exchange import from_csv, to_csv
from prunelab.sensitivity.folding import folded
from prunelab.sensitivity.points import outcome, paired_interval, settled
from prunelab.sensitivity.prediction import Prediction, predict
from prunelab.sensitivity.price import Price, price
from prunelab.sensitivity.scanning import COLUMNS, answers, scan
from prunelab.sensitivity.solver import solve

__all__ = [
    "COLUMNS",
    "Criterion",
    "Prediction",
    "Price",
    "answers",
    "folded",
    "from_csv",
    "outcome",
    "paired_interval",
    "predict",
    "price",
    "ranking",
    "scan",
    "settled",
    "solve",
    "to_csv",
]
