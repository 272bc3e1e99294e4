"""The only training loop of the project: `fit` under a `Budget`, and `evaluate`."""

from prunelab.train.budget import Budget
from prunelab.train.evaluation import Evaluation, evaluate
from prunelab.train.history import History
from prunelab.train.loop import fit

__all__ = ["Budget", "Evaluation", "History", "evaluate", "fit"]
