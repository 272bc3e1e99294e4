"""A scan that is spread over workers gives the rows that it gives alone."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pandas as pd
import pytest
import torch
from helpers.pruning import fill
from torch import nn

from prunelab.sensitivity import scan
from prunelab.sensitivity.scanning import measuring, spread

GRID = {"ratios": [0.2, 0.5, 0.8], "progress": False}


def network():
    """Made here, so that a worker gets the class itself."""

    class Net(nn.Sequential):
        pass

    torch.manual_seed(0)
    layers = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU()
    return fill(Net(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4)))


def images(count=40):
    draw = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (count, 3, 8, 8), generator=draw).byte()
    return x, torch.randint(0, 4, (count,), generator=draw)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(measuring, "batch_size", lambda split: 8)
    monkeypatch.setattr(spread, "IMAGES", 16)


def same(a, b):
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert a.attrs == b.attrs
    return True


def test_two_processes_give_the_rows_of_one_for_a_network_of_no_module():
    net = network()
    assert same(scan(net, images(), **GRID), scan(net, images(), workers=2, **GRID))


@pytest.mark.parametrize("few", [None, 8])
def test_an_executor_gives_them_too_and_only_what_is_new_is_computed(judged, tmp_path, few):
    net, seen = network(), []
    alone = scan(net, images(), images=few, cache=False, **GRID)
    with ThreadPoolExecutor(2) as pool:
        options = {"workers": pool, "images": few, "cache": tmp_path}
        assert same(alone, scan(net, images(), **options, **(GRID | {"progress": seen.append})))
        assert seen[-1] == 1.0 and (few or seen == sorted(seen))
        judged.clear()
        assert same(alone, scan(net, images(), **options, **GRID))
        assert not judged
        scan(net, images(), workers=pool, cache=tmp_path, **(GRID | {"ratios": [0.35, 0.5]}))
    assert len(judged) == 5 * (1 + 1)  # 5 batches; 4 of 6 channels are new, 3 of 5 are not


class Fatal(nn.Conv2d):
    """Ends every process but its own."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.home = os.getpid()

    def forward(self, x):
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


def test_a_worker_that_dies_is_named_in_one_line():
    net = nn.Sequential(Fatal(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 6), nn.Flatten())
    with pytest.raises(RuntimeError, match=r"^scan: a worker of `workers` ended before") as said:
        scan(net.eval(), images(), workers=1, **GRID)
    assert "\n" not in str(said.value)


def test_an_error_in_a_worker_is_that_of_the_scan():
    x, y = images()
    bad = network()
    with torch.no_grad():
        bad[-1].weight.fill_(float("nan"))
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="must be finite"):
        scan(bad, (x, y), workers=pool, **GRID)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "two", [2]])
def test_another_number_of_workers_is_refused(wrong):
    message = "^scan: `workers` must be a number of processes >= 1 or an Executor; got "
    with pytest.raises(ValueError, match=message):
        scan(network(), images(), workers=wrong, **GRID)


def test_a_network_that_cannot_travel_and_workers_that_take_no_work_are_named():
    net = network()
    net.shift = lambda x: x  # no process can be sent it by plain pickling
    message = r"^scan: `net` cannot be sent to `workers`: "
    with ProcessPoolExecutor(1) as pool, pytest.raises(TypeError, match=message):
        scan(net, images(), workers=pool, **GRID)
    with pytest.raises(RuntimeError, match=r"^scan: `workers` takes no work: "):
        scan(network(), images(), workers=pool, **GRID)
