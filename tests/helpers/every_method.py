"""Every method as a case that trains in milliseconds, for the tests of what all of them promise.

A new method needs a line in `CHANNELS`, `WEIGHTS` or `UNITS`.
"""

import torch
from helpers.toy import dataset, network
from torch import nn

from prunelab import methods
from prunelab.methods.activation_statistic import STATISTICS
from prunelab.models import build
from prunelab.train import Budget

BUDGET = Budget(epochs=2, lr=0.05, batch=8)
ADAM = Budget(epochs=2, lr=0.01, batch=8, optimizer="adam")
# Methods that remove a ratio of channels: name -> ratio -> method.
CHANNELS = {
    "filter norm l1": lambda r: methods.FilterNorm(r),
    "filter norm l2": lambda r: methods.FilterNorm(r, norm="l2"),
    "filter norm largest": lambda r: methods.FilterNorm(r, select="largest"),
    "filter norm random": lambda r: methods.FilterNorm(r, select="random"),
    "filter norm greedy": lambda r: methods.FilterNorm(r, strategy="greedy"),
    "filter norm shortcut": lambda r: methods.FilterNorm(r, residual="shortcut"),
    "filter norm in rounds": lambda r: methods.FilterNorm(r, rounds=3, retrain=BUDGET),
    **{s: lambda r, s=s: methods.ActivationStatistic(r, s) for s in STATISTICS},
}
# Methods that remove a ratio of channels and rebuild the layers that read them.
REBUILT = {
    "thinet": lambda r: methods.ThiNet(r),
    "thinet, growing": lambda r: methods.ThiNet(r, rule="keep", images=None, positions=None),
    "thinet, plain": lambda r: methods.ThiNet(r, rescale=False, finetune=BUDGET),
    "channel regression": lambda r: methods.ChannelRegression(r),
    "channel regression, first": lambda r: methods.ChannelRegression(r, select="first"),
    "channel regression, random": lambda r: methods.ChannelRegression(r, select="random"),
    "discrimination": lambda r: methods.DiscriminationAware(r, finetune=BUDGET),
    "discrimination, joint": lambda r: methods.DiscriminationAware(
        r, finetune=BUDGET, staging="joint", select="random", images=8, step=3
    ),
}
CHANNELS |= REBUILT
# Methods that remove single weights.
WEIGHTS = {
    "surgery": methods.NetworkSurgery(0.5, BUDGET, 2),
    "surgery, convolutions first": methods.NetworkSurgery(
        0.5, BUDGET, 2, phases="convolutions first"
    ),
    "magnitude": methods.Magnitude(0.7),
    "magnitude in rounds": methods.Magnitude(0.7, rounds=2, retrain=BUDGET),
    "magnitude by deviation": methods.Magnitude(q=0.8),
}
# Methods that train gates, noise or group norms, and remove the units that are left without.
UNITS = {
    "information bottleneck": methods.InformationBottleneck(1e-4, budget=ADAM),
    "information bottleneck, narrowing": methods.InformationBottleneck(1e-4, budget=ADAM, cut=1),
    "generalized dropout": methods.GeneralizedDropout(2.0, budget=ADAM),
    "hard concrete": methods.HardConcrete(1e-4, budget=ADAM),
    "structured bayesian": methods.StructuredBayesian(budget=ADAM),
    "variational dropout": methods.VariationalDropout(budget=ADAM),
    "bayesian compression": methods.BayesianCompression(budget=ADAM),
    "horseshoe": methods.BayesianCompression("horseshoe", budget=ADAM),
    "recursive bayesian": methods.RecursiveBayesian(10.0, budget=ADAM),
    "recursive bayesian, reverse, narrowing": methods.RecursiveBayesian(
        10.0, budget=ADAM, order="reverse", finetune=ADAM, cut=0.5
    ),
    "recursive bayesian, together": methods.RecursiveBayesian(
        10.0, budget=ADAM, order="together", prior="l2", spatial=True
    ),
    "drop neuron": methods.DropNeuron(ADAM, 1e-3, 1e-3),
    "slimming": methods.Slimming(0.3, BUDGET),
}
# What a method cannot take: it is refused in one line.
UNFIT = {("slimming", "lenet-5"): "`net` must have a BatchNorm"}
METHODS = {name: make(0.5) for name, make in CHANNELS.items()} | WEIGHTS | UNITS


def training(method):
    """The field that holds a method's training; None if it does not train."""
    fields = ("budget", "retrain", "finetune")
    return next((field for field in fields if getattr(method, field, None)), None)


TRAIN = {name: method for name, method in METHODS.items() if training(method)}
LOOK = {n: method for n, method in METHODS.items() if n not in TRAIN and n not in REBUILT}
NETS = {
    "convolution": (network, 8),
    "lenet-5": (lambda: build("lenet-5", 3), 28),
    "resnet-20": (lambda: build("resnet-20", 3, 1), 8),
}


def setting(which="convolution"):
    """A network with a frozen bias and a part in evaluation mode; data that it takes."""
    maker, size = NETS[which]
    torch.manual_seed(5)
    net = maker()
    *_, last = (m for m in net.modules() if isinstance(m, nn.Linear))
    last.bias.requires_grad_(False)
    last.eval()
    return net, dataset(16, size=size)


def state(net):
    """Copies of all tensors, by name."""
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def equal(a, b):
    """Whether two such states, or keeps, have the same bits."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def traces(net):
    """All that a method could forget on a network: classes, hooks, attributes, names, flags."""
    hooks = [len(v) for m in net.modules() for k, v in vars(m).items() if k.endswith("_hooks")]
    modules = [(n, type(m), m.training, sorted(vars(m))) for n, m in net.named_modules()]
    flags = [(n, id(p), p.requires_grad, p.is_leaf, p.grad) for n, p in net.named_parameters()]
    tensors = [(k, v.shape, v.dtype, v.stride()) for k, v in net.state_dict().items()]
    return hooks, modules, flags, tensors, [n for n, _ in net.named_buffers()]
