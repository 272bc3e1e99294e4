import pytest
import torch
from torch import nn
from torch.fx import symbolic_trace
from torch.utils.flop_counter import FlopCounterMode

from prunelab.models import NAMES, build
from prunelab.models.resnet import PadShortcut

MLPS = ("mlp-2-5-1", "mlp-2-3-2-1")  # of 2 coordinates
LARGE = ("alexnet", "vgg-16-imagenet", "resnet-34", "resnet-50")


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def weights(net):
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(m.weight.numel() for m in layers)


def example(name, batch=2):
    if name.startswith("lenet"):
        return torch.randn(batch, 1, 28, 28)
    return torch.randn(batch, 3, 32, 32)


def on_meta(name, num_classes):
    with torch.device("meta"):
        return build(name, num_classes)


def macs(net, *shape):
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        net.eval()(torch.randn(1, *shape))
    return counter.get_total_flops() // 2


# name -> (classes, parameters, weights alone where the paper gives them)
COUNTS = {
    "lenet-300-100": (10, 266_610, 266_200),
    "lenet-300-100-bn": (10, 266_610 + 800, None),  # a scale and a shift of 400 units
    "lenet-5": (10, 431_080, 430_500),
    "vgg-16": (10, 14_991_946, 14_977_728),
    "vgg-16-fc2": (10, 15_255_626, 15_239_872),
    "vgg-19": (10, 20_040_522, 20_024_000),
    "resnet-20": (10, 269_722, None),
    "resnet-56": (10, 853_018, 848_944),
    "resnet-110": (10, 1_727_962, 1_719_856),
    "preresnet-8": (10, 77_850, None),  # added up by hand
    "preresnet-20": (10, 272_282, None),  # added up by hand
    "preresnet-56": (10, 855_578, None),
    "alexnet": (1000, 60_965_224, None),
    "vgg-16-imagenet": (1000, 138_357_544, None),
    "resnet-18": (1000, 11_689_512, None),
    "resnet-34": (1000, 21_797_672, None),
    "resnet-50": (1000, 25_557_032, None),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_weights_equal_the_papers_counts(name):
    classes, all_of_them, alone = COUNTS[name]
    net = on_meta(name, classes)
    assert parameters(net) == all_of_them
    assert alone in (None, weights(net))


@pytest.mark.parametrize(
    ("name", "classes", "shape", "expected"),
    [
        ("lenet-300-100", 10, (1, 28, 28), 266_200),
        ("lenet-5", 10, (1, 28, 28), 2_293_000),
        ("vgg-16", 10, (3, 32, 32), 313_463_808),
        ("vgg-16-fc2", 10, (3, 32, 32), 313_725_952),
        ("resnet-56", 10, (3, 32, 32), 125_485_696),
        ("resnet-110", 10, (3, 32, 32), 252_887_680),
        # dcp.md counts the ten biases of the last layer as well: 125,747,850 and 398,439,434.
        ("preresnet-56", 10, (3, 32, 32), 125_747_840),
        ("resnet-34", 1000, (3, 224, 224), 3_663_761_408),
    ],
)
def test_macs_equal_the_papers_count(name, classes, shape, expected):
    assert macs(on_meta(name, classes), *shape) == expected


def test_vgg_16_has_the_papers_layers_and_no_dropout():
    net = on_meta("vgg-16", 10)
    kinds = [type(m) for m in net.modules()]
    assert kinds.count(nn.Conv2d) == 13
    assert kinds.count(nn.MaxPool2d) == 5
    assert nn.Dropout not in kinds
    assert all(m.eps == 1e-3 for m in net.modules() if hasattr(m, "running_mean"))


def test_vgg_16_fc2_has_a_second_hidden_layer_like_the_first():
    kinds = [type(m) for m in on_meta("vgg-16-fc2", 10).classifier]
    one = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds == [*one, *one, nn.Linear]
    assert kinds[3:] == [type(m) for m in on_meta("vgg-16", 10).classifier]


def test_he_initialisation_has_variance_two_over_fan_out():
    torch.manual_seed(0)
    conv = build("vgg-16").features.conv10
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert torch.count_nonzero(conv.bias) == 0


def test_caffe_initialisation_of_the_lenets_has_variance_one_over_fan_in():
    torch.manual_seed(0)
    layer = build("lenet-300-100").fc1
    assert layer.weight.std().item() == pytest.approx((1 / 784) ** 0.5, rel=0.01)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in (*LARGE, *MLPS)])
def test_traced_network_gives_the_same_outputs(name):
    torch.manual_seed(0)
    net, x = build(name).eval(), example(name)
    with torch.inference_mode():
        out = net(x)
        assert out.shape == (2, 10)
        assert torch.equal(symbolic_trace(net)(x), out)


@pytest.mark.parametrize("name", LARGE)
def test_large_network_is_traceable_and_maps_224_pixels_to_its_classes(name):
    with torch.device("meta"):
        net = symbolic_trace(build(name, 7)).eval()
        assert net(torch.randn(2, 3, 224, 224)).shape == (2, 7)


def test_alexnet_takes_caffes_227_pixel_crops():
    with torch.device("meta"):
        assert build("alexnet").eval()(torch.randn(1, 3, 227, 227)).shape == (1, 10)


@pytest.mark.parametrize("name", ["vgg-16", "vgg-16-fc2", "vgg-19", "resnet-20", "preresnet-56"])
@pytest.mark.parametrize("pixels", [8, 28])
def test_cifar_networks_take_smaller_grey_images(name, pixels):
    net = build(name, 5, in_channels=1).eval()
    with torch.inference_mode():
        assert net(torch.randn(2, 1, pixels, pixels)).shape == (2, 5)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in MLPS])
def test_in_channels_sets_the_first_layer(name):
    with torch.device("meta"):
        net = build(name, in_channels=4)
    first = next(m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    expected = 4 * 28 * 28 if name.startswith("lenet-300-100") else 4
    assert first.weight.shape[1] == expected


def test_pad_shortcut_keeps_every_second_pixel_between_zero_channels():
    x = torch.arange(32.0).view(1, 2, 4, 4)
    out = PadShortcut(1, 2)(x)
    assert out.shape == (1, 5, 2, 2)
    assert torch.equal(out[0, 1], torch.tensor([[0.0, 2.0], [8.0, 10.0]]))
    assert torch.count_nonzero(out[0, [0, 3, 4]]) == 0


def test_preactivation_shortcut_is_taken_after_relu_only_in_first_blocks():
    net = build("preresnet-56").eval()
    x = -torch.ones(1, 16, 4, 4)
    for block, passed in [(net.layer1[0], 0.0), (net.layer1[1], -1.0)]:
        nn.init.zeros_(block.conv2.weight)
        assert torch.equal(block(x), torch.full_like(x, passed))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet-57",), "build: `name` must be one of lenet-300-100, .*; got 'resnet-57'$"),
        (("lenet-5", 0), "build: `num_classes` must be an integer >= 1; got 0$"),
        (("lenet-5", 2.5), "build: `num_classes` must be an integer >= 1; got 2.5$"),
        (("vgg-16", 10, -1), "build: `in_channels` must be an integer >= 1; got -1$"),
    ],
)
def test_bad_argument_is_named_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(*arguments)
