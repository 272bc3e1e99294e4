"""The fast scan gives every image the answer of the plain loop: prune, evaluate, restore."""

import copy
import math

import pytest
import torch
import torchvision
from helpers.plain_loop import answers
from helpers.pruning import fill
from helpers.toy import network, split
from torch import nn
from torch.profiler import ProfilerActivity, profile

from prunelab import models, scores, surgery
from prunelab.groups import flow, trace
from prunelab.sensitivity import ranking, scan
from prunelab.sensitivity.scanning import measuring
from prunelab.sensitivity.scanning.passes import Sweep, forward, points
from prunelab.sensitivity.scanning.program import Program

RATIOS = (0.1, 0.5, 0.9)
CLOSE = 1e-5  # two logits nearer than this share of their size may swap by rounding


def build(name):
    torch.manual_seed(0)
    if name in models.NAMES:
        net = models.build(name)
    else:
        options = {"init_weights": False} if name == "googlenet" else {}
        net = torchvision.models.get_model(name, weights=None, num_classes=10, **options)
    return fill(net).eval()


def loop(net, images, groups, order, ratios):
    """(correct, close) by pruning one group, looking at all images, and starting over."""
    x, y = images.batch(slice(0, len(images)))
    for name in groups:
        for ratio in ratios:
            keep = scores.best(order[name], scores.kept(groups[name].size, ratio))
            with torch.inference_mode():
                logits = surgery.shrink(net, groups, {name: keep}).eval()(x)
            top = logits.topk(2).values
            yield (
                (name, ratio),
                logits.argmax(1) == y,
                top[:, 0] - top[:, 1] < CLOSE * top.abs()[:, 0],
            )


@pytest.mark.parametrize(
    ("name", "size", "every"),
    [
        ("vgg-16", 32, 3), ("resnet-56", 32, 5), ("densenet121", 32, 24),
        ("mobilenet_v2", 32, 5), ("googlenet", 32, 10),
    ],
)  # fmt: skip
def test_every_answer_is_the_plain_loops(name, size, every):
    net, images = build(name), split(24, channels=3, size=size, classes=10)
    groups = trace(net, images.batch(slice(0, 1))[0])
    groups = groups.select(list(groups)[::every])
    order = ranking(net, groups, "l1")
    found = answers(net, images, ratios=RATIOS, groups=groups)
    swapped = 0
    for point, correct, close in loop(net, images, groups, order, RATIOS):
        differ = found[point] != correct
        assert not bool((differ & ~close).any()), point
        swapped += int(close.sum())
    assert swapped <= 2  # of 24 images a point


def sweeps_of(net, program, names):
    groups = program.flow.groups
    order = ranking(net, groups.select(names), "l1")
    for name in names:
        keeps = {r: scores.best(order[name], scores.kept(groups[name].size, r)) for r in RATIOS}
        yield Sweep(name, program.replay(name), keeps)


@pytest.mark.parametrize(
    "name",
    ["lenet-5", "lenet-300-100", "resnet-20", "preresnet-56", "shufflenet_v2_x1_0",
     "squeezenet1_0", "efficientnet_b0", "resnext50_32x4d", "convnext_tiny"],
)  # fmt: skip
def test_logits_are_the_shrunk_networks_in_float64(name):
    net = build(name).double()
    shape = (2, 1, 28, 28) if name.startswith("lenet") else (2, 3, 32, 32)
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    seen = flow(net, x)
    program = Program(net, seen, x)
    names = list(seen.groups)[:: max(1, len(seen.groups) // 3)]
    sweeps = list(sweeps_of(net, program, names))
    with torch.inference_mode():
        _, values = forward(program, x, sweeps)
        for sweep in sweeps:
            for ratio, logits in points(program, sweep, values):
                small = surgery.shrink(net, seen.groups, {sweep.group: sweep.keeps[ratio]})
                torch.testing.assert_close(logits, small(x), rtol=1e-9, atol=1e-9)


class Overwriting(nn.Module):
    """An activation overwrites what is read again, as some residual networks do."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 3, padding=1)
        self.relu, self.fc = nn.ReLU(inplace=True), nn.Linear(6 * 36, 3)

    def forward(self, x):
        x = self.a(x)
        y = self.b(self.relu(x))
        return self.fc((x + torch.relu_(y)).flatten(1))


def test_what_is_overwritten_is_read_overwritten():
    net, images = fill(Overwriting()).eval(), split(40)
    table = scan(net, images, ratios=[0.0, 0.5], progress=False)
    groups = trace(net, images.batch(slice(0, 1))[0])
    for row in table.itertuples():
        keep = scores.best(ranking(net, groups, "l1")[row.group], row.kept)
        small = surgery.shrink(net, groups, {row.group: keep})
        x, y = images.batch(slice(0, 40))
        loss = nn.functional.cross_entropy(small(x), y).item()
        assert row.loss == pytest.approx(loss, rel=1e-5)


def test_only_what_changes_runs_again():
    net = build("vgg-16")
    x = torch.zeros(1, 3, 32, 32)
    program = Program(net, flow(net, x), x)
    ran = [n.target for n in program.replay("features.conv9").steps if n.op == "call_module"]
    convs = [name for name in ran if "conv" in name]
    assert convs == [f"features.conv{i}" for i in range(10, 14)]
    norms = [name for name in ran if "norm" in name or "bn" in name]  # folded
    assert all(isinstance(program.net.get_submodule(name), nn.Identity) for name in norms)


def test_a_group_that_only_training_uses_changes_no_answer():
    net, images = build("googlenet"), split(6, channels=3, size=64, classes=10)
    table = scan(net, images, ratios=[0.9], groups=["aux1.conv.conv"], progress=False)
    assert table.correct[0] == table.attrs["whole"]["correct"]
    assert table.params[0] < table.attrs["whole"]["params"]


def test_a_net_in_training_mode_is_measured_in_evaluation_and_left_as_it_was():
    net = fill(network()).train()
    before = copy.deepcopy(net.state_dict())
    images = split(20)
    table = scan(net, images, ratios=[0.5], progress=False)
    assert table.equals(scan(copy.deepcopy(net).eval(), images, ratios=[0.5], progress=False))
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_an_interruption_leaves_the_network_untouched_and_what_was_seen_is_kept(
    judged, monkeypatch, tmp_path
):
    net, images = fill(network()).train(), split(20)
    before = copy.deepcopy(net.state_dict())
    grid = {"ratios": [0.1, 0.5, 0.9], "cache": tmp_path, "progress": False}

    def stop(*arguments):
        if len(judged) == 2:
            raise KeyboardInterrupt
        return judge(*arguments)

    judge = measuring.judge
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(measuring, "judge", stop)
        scan(net, images, **grid)
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    judged.clear()
    scan(net, images, **grid)
    assert len(judged) == 1 + 2  # one point of three was known; the whole network feeds the others


def peak(run):
    """Most bytes alive at once among the tensors that `run` makes."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    most = now = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


@pytest.mark.parametrize(("name", "groups"), [
    ("vgg-16", ["features.conv1", "features.conv10"]),
    ("resnet-56", ["layer1.0.conv1", "layer2.4.conv1"]),
])  # fmt: skip
def test_memory_stays_at_the_activations_of_one_batch(name, groups):
    net, n = build(name), 32
    x = torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    program = Program(net, flow(net, x[:1]), x)
    sweeps = list(sweeps_of(net, program, [g for g in program.flow.groups if "conv" in g]))
    whole = 4 * n * sum(size(value) for value in program.flow.values.values())

    def run():
        _, values = forward(program, x, sweeps)
        for sweep in sweeps:
            if sweep.group in groups:
                for _ in points(program, sweep, values):
                    pass

    with torch.inference_mode():
        forward(program, x, sweeps)
        assert 0 < peak(run) < whole


def size(value):
    """Numbers that a value of the network has for one image."""
    shape = getattr(getattr(value, "meta", None), "shape", (0,))
    return math.prod(shape[1:]) if len(shape) > 1 else 0
