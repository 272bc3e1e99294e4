"""Networks and recordings that the explorer's tests share."""

import dataclasses

import pytest
import torch
from helpers.recordings import recording
from helpers.toy import dataset, quiet, split
from torch import nn

from prunelab import surgery, train, widgets
from prunelab.widgets.exploring import worker


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    """Tests do not wait for a drag to end."""
    monkeypatch.setattr(worker, "REST", 0.0)


@pytest.fixture(scope="session")
def raw():
    return recording()


@pytest.fixture
def box(raw):
    """An explorer of the recording."""
    made = widgets.explorer(recorded=raw)
    yield made.wait(60)
    made.close()


@pytest.fixture(scope="session")
def data():
    small = dataset(120)
    return dataclasses.replace(small, val=split(60, seed=7))


@pytest.fixture(scope="session")
def trained(data):
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6),
        nn.ReLU(), nn.Flatten(), nn.Linear(96, 12), nn.ReLU(), nn.Linear(12, 3),
    )  # fmt: skip
    quiet(net, data, train.Budget(epochs=4, lr=0.05, batch=16))
    return net


@pytest.fixture
def net(trained):
    copied = surgery.rebuild(trained, lambda _, tensor: tensor)
    return copied.eval()
