"""What `fit` and `evaluate` take: other outputs, other types; and what they refuse, unchanged."""

import math

import pytest
import torch
from helpers.toy import PLAIN, dataset, linear, network, quiet, same
from torch import nn
from torch.nn.functional import cross_entropy

from prunelab.data.tensors import as_split
from prunelab.train import evaluate


class Wrapped(nn.Module):
    """A network whose output is what `kind` makes of (logits, training)."""

    def __init__(self, kind):
        super().__init__()
        self.inner, self.kind = linear(), kind

    def forward(self, x):
        return self.kind(self.inner(x), self.training)


KINDS = {
    "dict": (lambda y, _: {"aux": y * 0, "logits": y}, "logits"),
    "tuple": (lambda y, _: (y * 0, y), 1),
    "list": (lambda y, _: [y], -1),
    "object": (lambda y, _: type("Output", (), {"logits": y})(), "logits"),
    "tuple in training only": (lambda y, training: (y, y * 0) if training else y, 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_logits_inside_another_output_train_and_evaluate_as_if_they_were_alone(kind):
    make, entry = KINDS[kind]
    net, plain, data = Wrapped(make), linear(), dataset()
    history = quiet(net, data, PLAIN, logits=entry)
    assert history.rows == quiet(plain, data, PLAIN).rows
    assert same(net.inner, plain)
    assert evaluate(net, data.test, logits=entry) == evaluate(plain, data.test)


@pytest.mark.parametrize(
    ("entry", "error", "words"),
    [
        (
            None,
            TypeError,
            "must return the logits, a tensor; got dict with 'logits', 'n': name the",
        ),
        ("nothing", ValueError, "must name an entry .* dict with 'logits', 'n'; got 'nothing'"),
        ("n", TypeError, "logits='n' must be a tensor; got int"),
        (True, TypeError, "must be a key, a position, an attribute or None; got True"),
        (2.5, TypeError, "must be a key, a position, an attribute or None; got 2.5"),
    ],
)
@pytest.mark.parametrize("caller", ["fit", "evaluate"])
def test_an_entry_that_holds_no_logits_is_refused(caller, entry, error, words):
    net, data = Wrapped(lambda y, _: {"logits": y, "n": 3}), dataset()
    with pytest.raises(error, match=f"^{caller}: .*{words}"):
        if caller == "fit":
            quiet(net, data, PLAIN, logits=entry)
        else:
            evaluate(net, data.test, logits=entry)
    assert same(net.inner, linear())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_network_of_another_type_trains_and_keeps_its_type(dtype):
    net, data = network().to(dtype), dataset()
    history = quiet(net, data, PLAIN)
    assert {p.dtype for p in net.parameters()} == {dtype}
    assert history.last["loss"] < history.rows[0]["loss"]
    assert history.last["test_accuracy"] == evaluate(net, data.test).accuracy


def test_images_in_float64_reach_a_network_in_float64_whole():
    torch.manual_seed(0)
    net, x = nn.Linear(5, 3).double().eval(), torch.randn(40, 5, dtype=torch.float64)
    y = net(x).argmax(1)
    found, expected = evaluate(net, as_split((x, y))), cross_entropy(net(x), y).item()
    assert found.loss == pytest.approx(expected, rel=1e-12) and found.accuracy == 1
    assert evaluate(net.float(), as_split((x, y))).loss == pytest.approx(expected, rel=1e-5)


# What is not finite


def spoilt(value, row=slice(None)):
    net = linear()
    with torch.no_grad():
        net[1].bias[row] = value
    return net


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_refused_with_their_number(value):
    with pytest.raises(ValueError, match=r"they are not for 12 of 12 images, .* is number 0$"):
        evaluate(spoilt(value, 0), dataset().test)


def test_the_first_image_without_finite_logits_is_named():
    x, y = torch.ones(9, 4), torch.zeros(9, dtype=torch.int64)
    x[[4, 7]] = math.nan
    with pytest.raises(ValueError, match=r"not for 2 of 9 images, .* is number 4$"):
        evaluate(nn.Linear(4, 2), as_split((x, y)), batch=3)


def test_a_class_may_be_excluded_by_minus_infinity():
    data = dataset().test
    chosen = data[data.labels != 0]
    assert evaluate(spoilt(-math.inf, 0), chosen).loss < math.inf
    with pytest.raises(ValueError, match="they are not for 12 of 12"):
        evaluate(spoilt(-math.inf), data)


# What is refused


@pytest.mark.parametrize("batch", [0, -1, 2.5, True, "10"])
def test_a_batch_that_is_no_count_is_refused(batch):
    with pytest.raises(
        ValueError, match=r"^evaluate: `batch` must be an integer >= 1 or None; got"
    ):
        evaluate(linear(), dataset().test, batch=batch)


@pytest.mark.parametrize("net", [None, 5, "resnet-20", linear().state_dict()])
def test_what_is_no_network_is_refused(net):
    with pytest.raises(TypeError, match=r"^evaluate: `net` must be a Module; got"):
        evaluate(net, dataset().test)
    with pytest.raises(TypeError, match=r"^fit: `net` must be a Module; got"):
        quiet(net, dataset(), PLAIN)


@pytest.mark.parametrize("split", [None, 5, dataset(), (torch.ones(2, 2), torch.ones(2))])
def test_what_is_no_split_is_refused(split):
    with pytest.raises(TypeError, match=r"^evaluate: `split` must be a Split, .*; got"):
        evaluate(linear(), split)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"checkpoint": 5}, TypeError),
        ({"checkpoint": True}, TypeError),
        ({"seed": "x"}, ValueError),
        ({"seed": -1}, ValueError),
        ({"seed": True}, ValueError),
        ({"seed": 0.5}, ValueError),
        ({"progress": "no"}, TypeError),
        ({"progress": 1}, TypeError),
        ({"penalty": 3}, TypeError),
        ({"after_step": "print"}, TypeError),
    ],
)
def test_a_bad_option_of_fit_is_refused_in_one_line(options, error):
    (name,), net = options, linear()
    with pytest.raises(error, match=rf"^fit: `{name}` must be [^\n]+; got [^\n]+$"):
        quiet(net, dataset(), PLAIN, **options) if name != "progress" else _fit(net, **options)
    assert same(net, linear())


def _fit(net, **options):
    from prunelab.train import fit

    fit(net, dataset(), PLAIN, **options)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.fc = nn.BatchNorm2d(1), nn.Linear(10, 3)

    def forward(self, x):
        return torch.flatten(self.norm(x), 1) @ self.fc.weight.t()


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (network(channels=3), r"`0` \(Conv2d\): .*3 channels, but got 1"),
        (network(size=9), r"`5` \(Linear\): .*x144 and 196x"),
        (nn.Sequential(nn.BatchNorm2d(1), Deep()), r"`1` \(Deep\): .*x64 and 10x3"),
    ],
)
def test_images_that_do_not_fit_are_refused_where_they_do_not_and_the_network_is_as_it_was(
    net, words
):
    net[0].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    flags, random = [m.training for m in net.modules()], torch.get_rng_state()
    gradients = [torch.ones_like(p) for p in net.parameters()]
    for p, g in zip(net.parameters(), gradients):
        p.grad = g
    for caller in ("evaluate", "fit"):
        with pytest.raises(ValueError, match=rf"^{caller}: `net` \(Seq.* of shape .*{words}") as e:
            evaluate(net, dataset().test) if caller == "evaluate" else quiet(net, dataset(), PLAIN)
        assert "\n" not in str(e.value)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert [m.training for m in net.modules()] == flags
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is g for p, g in zip(net.parameters(), gradients))
