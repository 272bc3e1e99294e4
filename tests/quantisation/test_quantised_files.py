"""Files of quantised networks: the same values come back, in as few bytes as the bits say."""

import json
import pickle

import pytest
import torch
from helpers.toy import dataset, network
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from prunelab import methods, models, quantisation, sealed, surgery
from prunelab.quantisation import tensors
from prunelab.quantisation.quantiser import with_inputs

DATA = dataset()
DIGITS = dataset(size=28, classes=10)


def equal(one, other):
    found = [surgery.tensors_of(net) for net in (one, other)]
    return found[0].keys() == found[1].keys() and all(
        torch.equal(tensor, found[1][name]) for name, tensor in found[0].items()
    )


def uneven(net):
    """Its tensors drawn anew: no bias and no batch norm has values that repeat."""
    for tensor in [*net.parameters(), *net.buffers()]:
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.1, 0.2)
    return net


def sizes(net, folder):
    return {form: quantisation.save(net, folder / form, form) for form in quantisation.FORMS}


@st.composite
def drawn(draw):
    """Tensors with few values or many, with zeros or none, scaled by rows or not."""
    shape = draw(st.lists(st.integers(1, 6), min_size=0, max_size=3))
    seed = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    levels = torch.randn(draw(st.integers(1, 12)), generator=seed)
    tensor = levels[torch.randint(len(levels), shape or [1], generator=seed)]
    if draw(st.booleans()):
        tensor = tensor * torch.randn(len(tensor), generator=seed).view(
            -1, *[1] * (tensor.ndim - 1)
        )
    tensor = tensor * (
        torch.rand(tensor.shape, generator=seed) < draw(st.sampled_from([0, 0.3, 1]))
    )
    return tensor.to(draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16])))


@given(tensor=drawn(), form=st.sampled_from(tensors.FORMS))
@settings(max_examples=150, deadline=None)
def test_a_tensor_comes_back_from_every_form(tensor, form):
    for parts in tensors._forms(tensor, form):
        raw = iter([part.reshape(-1).view(torch.uint8) for part in parts])
        assert torch.equal(tensors.read(form, raw, tensor), tensor)
        assert next(raw, None) is None
    own, parts = tensors.smallest(tensor, form)
    assert own in ("dense", form) and sum(part.nbytes + 4 for part in parts) <= tensor.nbytes + 4


@pytest.mark.parametrize("form", quantisation.FORMS)
@pytest.mark.parametrize("method", [
    quantisation.BinaryWeights(ends=True), quantisation.XNORNet(ends=True),
    quantisation.TernaryWeights(ends=True),
    quantisation.DoReFaNet(ends=True, weight_bits=3, input_bits=2),
    quantisation.DeepCompression(methods.Magnitude(0.7), 3),
], ids=lambda method: type(method).__name__)  # fmt: skip
def test_a_quantised_network_comes_back_with_its_outputs(method, form, tmp_path):
    small = method.quantise(network(), DATA).eval()
    path = tmp_path / "net"
    assert quantisation.save(small, path, form) == path.stat().st_size
    x = torch.randn(3, 1, 8, 8)
    for start in (network().eval(), small):  # the plain architecture, or the quantised one
        back = quantisation.load(start, path)
        assert equal(small, back) and torch.equal(small(x), back(x)) and not back.training


def test_a_binary_file_of_lenet_5_has_a_bit_for_each_weight(tmp_path):
    torch.manual_seed(0)
    small = quantisation.BinaryWeights().quantise(uneven(models.build("lenet-5")), DIGITS)
    found = sizes(small, tmp_path)
    bits = (25_000 + 400_000) // 8
    floats = 4 * (500 + 5_000 + 580 + 50 + 500)  # two layers, biases, scales
    assert bits + floats < found["packed"] < bits + floats + 700
    assert 4 * 431_080 < found["dense"] < 4 * 431_080 + 700


def test_each_stage_of_deep_compression_takes_fewer_bytes(tmp_path):
    torch.manual_seed(0)
    method = quantisation.DeepCompression(methods.Magnitude(0.9), 4)
    found = sizes(method.quantise(models.build("lenet-5"), DIGITS), tmp_path)
    assert found["dense"] > 7 * found["pruned"] > 7 * 3 * found["shared"]
    assert found["huffman"] < 0.95 * found["shared"]
    assert found["pruned"] < min(
        surgery.save_sparse(method.quantise(models.build("lenet-5"), DIGITS), tmp_path / "x", form)
        for form in ("bitmask", "csr")
    ), "distances take less than columns"


def test_a_float_network_is_stored_as_it_is(tmp_path):
    net = uneven(network())
    assert len(set(sizes(net, tmp_path).values())) == 1
    assert equal(net, quantisation.load(network(), tmp_path / "huffman"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def flipped(path):
    raw = bytearray(path.read_bytes())
    raw[-20] ^= 4
    path.write_bytes(raw)


def forged(path):
    """A right checksum over lengths that are wrong."""
    stored, raw = load_file(path), path.read_bytes()
    head = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    head.pop("crc32")
    stored["lengths"][0] += 4
    stored["lengths"][1] -= 4
    save_file(stored, path, head | {"crc32": sealed.checksum(head, stored)})


@pytest.mark.parametrize("damage", [
    cut, flipped, forged, lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(pickle.dumps({"a": 1})),
    lambda path: surgery.save(network(), {}, path), lambda path: save_file({}, path),
])  # fmt: skip
def test_a_damaged_file_or_another_is_refused_in_one_line(damage, tmp_path):
    path = tmp_path / "net"
    small = quantisation.TernaryWeights(ends=True).quantise(network(), DATA)
    quantisation.save(small, path)
    damage(path)
    with pytest.raises(
        ValueError, match=r"load: .* is not a file of a quantised network"
    ) as caught:
        quantisation.load(network(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", [lambda: network(size=9), lambda: nn.Linear(3, 2)])
def test_another_network_is_refused(other, tmp_path):
    quantisation.save(quantisation.XNORNet(ends=True).quantise(network(), DATA), tmp_path / "net")
    with pytest.raises(
        ValueError, match=r"does not hold a .*: its tensors or its quantised inputs"
    ):
        quantisation.load(other(), tmp_path / "net")


def test_other_inputs_are_refused(tmp_path):
    two, three = (quantisation.DoReFaNet(ends=True, input_bits=bits) for bits in (2, 3))
    quantisation.save(two.quantise(network(), DATA), tmp_path / "net")
    with pytest.raises(ValueError, match="does not hold"):
        quantisation.load(three.quantise(network(), DATA), tmp_path / "net")


def test_a_missing_file_and_an_unknown_form_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="load: no file"):
        quantisation.load(network(), tmp_path / "none")
    with pytest.raises(
        ValueError, match="save: `form` must be one of dense, packed, pruned, shared"
    ):
        quantisation.save(network(), tmp_path / "net", "zip")


def test_a_network_that_is_one_layer_is_put_into_its_inputs(tmp_path):
    small = with_inputs(nn.Conv2d(1, 3, 8), {"": 2})
    quantisation.save(small, tmp_path / "net")
    back = quantisation.load(nn.Conv2d(1, 3, 8), tmp_path / "net")
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(back(x), small(x)) and equal(back, small)
    with pytest.raises(ValueError, match="does not hold"):
        quantisation.load(nn.Linear(64, 3), tmp_path / "net")
