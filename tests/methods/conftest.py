import pytest
import torch

from prunelab.data import load
from prunelab.models import build
from prunelab.train import Budget, fit


@pytest.fixture(scope="session")
def digits():
    return load("digits")


@pytest.fixture(scope="session")
def trained(digits):
    """A LeNet-300-100 that reads digits; tests copy it."""
    torch.manual_seed(0)
    net = build("lenet-300-100")
    adam = {"optimizer": "adam", "weight_decay": 0}
    budget = Budget(4, 1e-3, 32, **adam, schedule="linear", milestones=(0.5,))
    fit(net, digits, budget, progress=False)
    return net
