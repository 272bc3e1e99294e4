"""What makes the scan quick changes no number: stacked masks, memory of one batch."""

import pytest
import torch
from helpers.pruning import fill
from torch import nn
from torch.profiler import ProfilerActivity, profile

from prunelab import models, scores
from prunelab.groups import flow
from prunelab.sensitivity import ranking
from prunelab.sensitivity.scanning import passes
from prunelab.sensitivity.scanning.passes import Sweep, forward, points
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.stacking import stacked

RATIOS = [k / 10 for k in range(1, 10)]


def image(n, channels, height, width, dtype=torch.float64):
    x = torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(5))
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def sweeps_of(net, program, names):
    groups = program.flow.groups
    order = ranking(net, groups.select(names), "l1")
    for name in names:
        keeps = {
            r: scores.best(order[name], scores.kept(groups[name].size, r)) for r in RATIOS[::-1]
        }
        yield Sweep(name, program.replay(name), keeps)


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    net = fill(models.build("vgg-16")).eval()
    program = Program(net, flow(net, torch.zeros(1, 3, 32, 32)))
    return net, program


def test_late_layers_of_vgg_run_once_for_all_masks(vgg):
    net, program = vgg
    (sweep,) = sweeps_of(net, program, ["features.conv4"])
    first, rest = stacked(program, sweep.replay.steps, {"features.conv5"}, len(RATIOS))
    assert first + rest == sweep.replay.steps
    convs = [n.target for n in rest if "conv" in str(n.target)]
    assert convs == [f"features.conv{i}" for i in (11, 12, 13)]
    assert len(RATIOS) * program.size(first[-1]) <= program.largest / 2


def test_stacked_masks_give_the_logits_of_each_alone(vgg, monkeypatch):
    net, program = vgg
    x = image(5, 3, 32, 32, torch.float32)
    sweeps = list(sweeps_of(net, program, ["features.conv4", "features.conv10", "features.conv12"]))
    with torch.inference_mode():
        _, values = forward(program, x, sweeps)
        together = [dict(points(program, sweep, values)) for sweep in sweeps]
        monkeypatch.setattr(passes, "stacked", lambda program, steps, layers, masks: (steps, []))
        alone = [dict(points(program, sweep, values)) for sweep in sweeps]
    for sweep, one, other in zip(sweeps, together, alone):
        assert list(one) == list(other) == list(sweep.keeps)
        for point in one:
            torch.testing.assert_close(one[point], other[point], rtol=1e-4, atol=1e-5)


class Tokens(nn.Module):
    """Positions first, images second, as some networks for sequences do."""

    def __init__(self):
        super().__init__()
        self.conv, self.mix, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.conv(x).flatten(2).permute(2, 0, 1)
        x = torch.relu(self.mix(x)).permute(1, 0, 2)
        return self.fc(x.mean(1))


def test_images_that_do_not_stand_on_the_first_axis_are_not_mixed_up():
    net = fill(Tokens()).eval()
    program = Program(net, flow(net, torch.zeros(1, 3, 8, 8)))
    x = image(4, 3, 8, 8, torch.float32)  # 4 images, 4 positions
    for sweep in sweeps_of(net, program, list(program.flow.groups)):
        with torch.inference_mode():
            _, values = forward(program, x, [sweep])
            one = dict(points(program, sweep, values))
            for point in one:
                single = Sweep(sweep.group, sweep.replay, {point: sweep.keeps[point]})
                (_, alone), = points(program, single, values)  # fmt: skip
                torch.testing.assert_close(one[point], alone)


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


@pytest.mark.parametrize("name", ["vgg-16", "resnet-56"])
def test_memory_stays_at_the_activations_of_one_batch(name):
    torch.manual_seed(0)
    net = fill(models.build(name)).eval()
    program = Program(net, flow(net, torch.zeros(1, 3, 32, 32)))
    names = [g for g in program.flow.groups if "conv" in g]
    sweeps, n = list(sweeps_of(net, program, names)), 32
    whole = 4 * n * sum(program.size(node) for node in program.flow.graph.nodes)

    def run():
        _, values = forward(program, image(n, 3, 32, 32, torch.float32), sweeps)
        for sweep in sweeps[:: len(sweeps) // 2 + 1]:
            for _ in points(program, sweep, values):
                pass

    with torch.inference_mode():
        forward(program, image(n, 3, 32, 32, torch.float32), sweeps)
        run()
        assert 0 < peak(run) < whole
