"""Sensitivity: prune one group alone, at growing ratios, and see what the accuracy does."""

from prunelab.sensitivity.criteria import Criterion, ranking
from prunelab.sensitivity.points import outcome, paired_interval
from prunelab.sensitivity.scanning import COLUMNS, scan

__all__ = ["COLUMNS", "Criterion", "outcome", "paired_interval", "ranking", "scan"]
