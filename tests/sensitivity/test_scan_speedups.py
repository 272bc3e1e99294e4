"""What makes the scan quick changes no number: small maps, stacked masks, memory of one batch."""

import pytest
import torch
from helpers.pruning import fill
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.profiler import ProfilerActivity, profile

from prunelab import models, scores
from prunelab.groups import flow
from prunelab.sensitivity import ranking
from prunelab.sensitivity.scanning import passes
from prunelab.sensitivity.scanning.passes import Job, forward, points
from prunelab.sensitivity.scanning.program import Program
from prunelab.sensitivity.scanning.small_maps import Dense, Winograd, quick
from prunelab.sensitivity.scanning.stacking import stacked

RATIOS = [k / 10 for k in range(1, 10)]


def image(n, channels, height, width, dtype=torch.float64):
    x = torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(5))
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 4)] * 2),
    st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_a_dense_form_is_the_convolution(size, kernel, stride, padding, dilation, bias):
    least = [d + 2 * padding - dilation * (k - 1) for d, k in zip(size, kernel)]
    assume(min(least) > 0)
    conv = nn.Conv2d(3, 5, kernel, stride, padding, dilation, bias=bias).double()
    x = image(4, 3, *size)
    torch.testing.assert_close(Dense.of(conv, *size)(x), conv(x))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_minimal_filtering_is_the_convolution(height, width, bias):
    conv = nn.Conv2d(6, 4, 3, padding=1, bias=bias).double()
    x = image(3, 6, height, width)
    torch.testing.assert_close(Winograd.of(conv, height, width)(x), conv(x))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_in_float32_it_is_as_close_to_the_exact_numbers_as_the_convolution(size):
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 128, 3, padding=1).double()
    x = image(50, 256, size, size).relu()
    exact = conv(x)
    conv, x = conv.float(), x.float()
    assert (quick(conv, x)(x) - exact).abs().max() < 3 * (conv(x) - exact).abs().max()


@pytest.mark.parametrize(
    ("conv", "size", "form"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), 2, Dense),
        (nn.Conv2d(64, 64, 3, padding=1), 4, Winograd),
        (nn.Conv2d(64, 64, 3, padding=1), 8, type(None)),
        (nn.Conv2d(64, 64, 1), 1, type(None)),
        (nn.Conv2d(64, 64, 3, padding=1, groups=2), 2, type(None)),
        (nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"), 2, type(None)),
        (nn.Conv2d(64, 64, 3, padding="same"), 2, type(None)),
        (nn.Conv2d(64, 64, 3, padding=1, stride=2), 4, type(None)),
        (nn.Conv2d(64, 64, 5, padding=2), 4, Dense),
        (nn.Linear(64, 64), 4, type(None)),
    ],
)
def test_which_convolutions_have_a_form_with_fewer_products(conv, size, form):
    assert type(quick(conv, image(1, 64, size, size, torch.float32))) is form


def jobs_of(net, program, names):
    groups = program.flow.groups
    order = ranking(net, groups.select(names), "l1")
    for name in names:
        keeps = {
            r: scores.best(order[name], scores.kept(groups[name].size, r)) for r in RATIOS[::-1]
        }
        yield Job(name, program.plan(name), keeps)


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    net = fill(models.build("vgg-16")).eval()
    program = Program(net, flow(net, torch.zeros(1, 3, 32, 32)))
    return net, program


def test_late_layers_of_vgg_run_once_for_all_masks(vgg):
    net, program = vgg
    (job,) = jobs_of(net, program, ["features.conv4"])
    first, rest = stacked(program, job.plan.steps, {"features.conv5"}, len(RATIOS))
    assert first + rest == job.plan.steps
    convs = [n.target for n in rest if "conv" in str(n.target)]
    assert convs == [f"features.conv{i}" for i in (11, 12, 13)]
    assert len(RATIOS) * program.size(first[-1]) <= program.largest / 2


def test_stacked_masks_give_the_logits_of_each_alone(vgg, monkeypatch):
    net, program = vgg
    x = image(5, 3, 32, 32, torch.float32)
    jobs = list(jobs_of(net, program, ["features.conv4", "features.conv10", "features.conv12"]))
    with torch.inference_mode():
        _, values = forward(program, x, jobs)
        together = [dict(points(program, job, values)) for job in jobs]
        monkeypatch.setattr(passes, "stacked", lambda program, steps, layers, masks: (steps, []))
        alone = [dict(points(program, job, values)) for job in jobs]
    for job, one, other in zip(jobs, together, alone):
        assert list(one) == list(other) == list(job.keeps)
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
    for job in jobs_of(net, program, list(program.flow.groups)):
        with torch.inference_mode():
            _, values = forward(program, x, [job])
            one = dict(points(program, job, values))
            for point in one:
                single = Job(job.group, job.plan, {point: job.keeps[point]})
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
    jobs, n = list(jobs_of(net, program, names)), 32
    whole = 4 * n * sum(program.size(node) for node in program.flow.graph.nodes)

    def run():
        _, values = forward(program, image(n, 3, 32, 32, torch.float32), jobs)
        for job in jobs[:: max(1, len(jobs) // 5)]:
            for _ in points(program, job, values):
                pass

    with torch.inference_mode():
        forward(program, image(n, 3, 32, 32, torch.float32), jobs)
        run()
        assert 0 < peak(run) < whole
