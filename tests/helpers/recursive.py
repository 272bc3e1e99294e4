"""RBP on LeNet-5 and a few images."""

import torch
from helpers.toy import dataset

from prunelab import methods, models
from prunelab.train import Budget

ADAM = Budget(epochs=5, lr=1e-3, batch=8, optimizer="adam", weight_decay=0)
TOY = dataset(24, size=28)
NAMES = ["conv1", "conv2", "fc1"]


def method(beta=1.0, budget=ADAM, **fields):
    return methods.RecursiveBayesian(beta, budget=budget, **{"rate": 100.0} | fields)


def lenet():
    torch.manual_seed(0)
    return models.build("lenet-5", 3)


def run(m, net=None, **options):
    net = net or lenet()
    return net, m.run(net, TOY, progress=False, **options)
