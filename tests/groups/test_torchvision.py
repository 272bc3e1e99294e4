"""Every torchvision classification CNN: masked = shrunk = saved and reloaded = ONNX."""

from functools import cache

import onnxruntime
import pytest
import torch
from helpers.pruning import difference, fill, outputs, parameters, random_keep
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision import models as tv

from prunelab import surgery
from prunelab.groups import trace
from prunelab.scores import kept

CNNS = [n for n in tv.list_models(tv) if not n.startswith(("vit", "swin", "maxvit"))]
# One small net per family, the others are slow (`make test-all`). A VGG and a wide ResNet have
# nothing that AlexNet and ResNet-50 lack.
FIRST = """
    alexnet resnet18 resnet50 resnext50_32x4d densenet121 googlenet inception_v3 mobilenet_v2
    mobilenet_v3_small mnasnet0_5 shufflenet_v2_x0_5 squeezenet1_1 efficientnet_b0
    efficientnet_v2_s regnet_x_400mf regnet_y_400mf convnext_tiny
""".split()
# Conversion takes longest: here one net for each kind of operation to convert (a flatten, an
# addition, a product, a concatenation, a shuffle); the others are slow.
CONVERTED = "alexnet resnet18 mobilenet_v3_small shufflenet_v2_x0_5".split()
# Above this many parameters float64 copies (full, masked, shrunk, reloaded) no longer fit a laptop.
LARGE = 250_000_000
# The training-only heads of Inception-v3 are followed too, and they need 299 pixels.
PIXELS = {"inception_v3": 299}


class Shapes(TorchFunctionMode):
    """Weights are built without memory, so that no time goes into initialising them."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.empty:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


def shapes(name):
    options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    with Shapes():
        return tv.get_model(name, weights=None, **options).to("meta")


@cache
def traced(name):
    """A network without numbers, and its groups."""
    net = shapes(name)
    return net, trace(net, example(name, torch.float32))


@torch.no_grad()
def network(name, dtype):
    """A net with random values whose batch norms know the statistics of `example`.

    Without that, the deepest nets (EfficientNet-v2 m and l) grow until rounding alone changes their
    outputs by 1e-6.
    """
    net = fill(shapes(name).to(dtype).to_empty(device="cpu")).eval()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    for m in norms:
        m.train().momentum = 1.0
    net(example(name, dtype))
    return net.eval()


def example(name, dtype=torch.float64):
    size = PIXELS.get(name, 64)
    return torch.randn(2, 3, size, size, dtype=dtype, generator=torch.Generator().manual_seed(1))


def sized(name, first=FIRST):
    return pytest.param(name, marks=[] if name in first else pytest.mark.slow)


@pytest.mark.parametrize("name", [sized(n) for n in CNNS])
def test_masked_equals_shrunk_equals_reloaded(name, tmp_path):
    large = parameters(traced(name)[0]) > LARGE
    dtype, tolerance = (torch.float32, 1e-4) if large else (torch.float64, 1e-9)
    net, x = network(name, dtype), example(name, dtype)
    groups = traced(name)[1]
    keep = random_keep(groups)
    full, masked, small = outputs(net, groups, keep, x)
    assert difference(small, masked) < tolerance
    assert difference(small, full) > 1e-3
    path = tmp_path / "small.safetensors"
    surgery.save(surgery.shrink(net, groups, keep), keep, path)
    with torch.inference_mode():
        assert torch.equal(surgery.load(net, path)(x), small)
    path.unlink()


@pytest.mark.parametrize("name", CNNS)
def test_keeping_60_percent_of_every_group_removes_at_least_5_percent(name):
    net, groups = traced(name)
    keep = {n: torch.arange(g.size) < kept(g.size, 0.4) for n, g in groups.items()}
    assert parameters(surgery.shrink(net, groups, keep)) < 0.95 * parameters(net)


@pytest.mark.parametrize("name", CNNS)
def test_no_layer_is_lost_silently(name):
    net, groups = traced(name)
    offered = {layer for group in groups.values() for layer in group.producers}
    layers = {
        n
        for n, m in net.named_modules()  # a grouped convolution passes on the channels it reads
        if isinstance(m, nn.Linear | nn.Conv2d) and getattr(m, "groups", 1) == 1
    }
    assert layers <= offered | set(groups.fixed)


@pytest.mark.parametrize("name", [sized(n, CONVERTED) for n in CNNS])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_onnx_gives_the_same_outputs(name, tmp_path):
    net, x = network(name, torch.float32), example(name, torch.float32)
    groups = traced(name)[1]
    small = surgery.shrink(net, groups, random_keep(groups))
    path = tmp_path / "small.onnx"
    surgery.export_onnx(small, x, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.inference_mode():
        assert difference(torch.from_numpy(found), small(x)) < 1e-4


def test_the_stream_of_shufflenet_is_fixed_and_the_inner_channels_are_offered():
    _, groups = traced("shufflenet_v2_x0_5")
    assert "shuffle" in groups.fixed["stage2.0.branch1.2"]
    assert "shuffle" in groups.fixed["stage2.1.branch2.5"]
    assert groups["stage2.1.branch2.0"].consumers == ("stage2.1.branch2.5",)


def test_the_stream_of_convnext_is_fixed_and_the_inner_channels_are_offered():
    _, groups = traced("convnext_tiny")
    assert "works across channels" in groups.fixed["features.0.0"]
    assert groups["features.1.0.block.3"].consumers == ("features.1.0.block.5",)
    with pytest.raises(ValueError, match=r"`features.0.0` cannot be pruned: its channels pass"):
        groups["features.0.0"]
