"""A pre-activation network with statistics as if it was trained, and images that it takes."""

import torch
from helpers.toy import dataset
from torch import nn

from prunelab import models

DATA = dataset(24, channels=3, size=16)


def preresnet(seed=0, name="preresnet-20"):
    torch.manual_seed(seed)
    net = models.build(name, 3, 3)
    for module in net.modules():  # statistics of a network that was trained
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.momentum = 1.0
    net(DATA.train.batch(slice(None))[0])
    return net.eval()
