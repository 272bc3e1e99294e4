"""Pruning methods: each a frozen dataclass with one verb, `prune(net, data) -> Keep`."""

from prunelab.methods.activation_statistic import ActivationStatistic
from prunelab.methods.filter_norm import FilterNorm

__all__ = ["ActivationStatistic", "FilterNorm"]
