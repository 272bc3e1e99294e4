"""Pruning methods: each a frozen dataclass with one verb, `prune(net, data) -> Keep`."""

from prunelab.methods.activation_statistic import ActivationStatistic
from prunelab.methods.drop_neuron import DropNeuron
from prunelab.methods.filter_norm import FilterNorm
from prunelab.methods.information_bottleneck import InformationBottleneck
from prunelab.methods.magnitude import Magnitude
from prunelab.methods.network_surgery import NetworkSurgery

__all__ = [
    "ActivationStatistic",
    "DropNeuron",
    "FilterNorm",
    "InformationBottleneck",
    "Magnitude",
    "NetworkSurgery",
]
