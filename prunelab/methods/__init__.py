"""Pruning methods: each a frozen dataclass with one verb, `prune(net, data) -> Keep`."""

from prunelab.methods.activation_statistic import ActivationStatistic
from prunelab.methods.bayesian_compression import BayesianCompression
from prunelab.methods.channel_regression import ChannelRegression
from prunelab.methods.discrimination_aware import DiscriminationAware
from prunelab.methods.drop_neuron import DropNeuron
from prunelab.methods.filter_norm import FilterNorm
from prunelab.methods.generalized_dropout import GeneralizedDropout
from prunelab.methods.hard_concrete import HardConcrete
from prunelab.methods.information_bottleneck import InformationBottleneck
from prunelab.methods.magnitude import Magnitude
from prunelab.methods.network_surgery import NetworkSurgery
from prunelab.methods.recursive_bayesian import RecursiveBayesian
from prunelab.methods.slimming import Slimming
from prunelab.methods.structured_bayesian import StructuredBayesian
from prunelab.methods.thinet import ThiNet
from prunelab.methods.variational_dropout import VariationalDropout

__all__ = [
    "ActivationStatistic",
    "BayesianCompression",
    "ChannelRegression",
    "DiscriminationAware",
    "DropNeuron",
    "FilterNorm",
    "GeneralizedDropout",
    "HardConcrete",
    "InformationBottleneck",
    "Magnitude",
    "NetworkSurgery",
    "RecursiveBayesian",
    "Slimming",
    "StructuredBayesian",
    "ThiNet",
    "VariationalDropout",
]
