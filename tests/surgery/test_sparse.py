"""Files of networks with zeros in single weights: what comes back, and how long they are."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.sparse_nets import bits, head_bytes, small, thin
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from prunelab import surgery
from prunelab.models import build
from prunelab.study.savings import sizes
from prunelab.surgery.sparse import FORMS

SPARSE = FORMS[1:]
every_form = pytest.mark.parametrize("form", FORMS)


def same_values(a, b):
    a, b = surgery.tensors_of(a), surgery.tensors_of(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@settings(deadline=None, max_examples=60)
@given(
    form=st.sampled_from(FORMS),
    widths=st.tuples(*[st.integers(1, 12)] * 3),
    density=st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_saved_is_loaded_bit_equal(form, widths, density, bias, seed):
    net, other = thin(small(widths, bias), density, seed), small(widths, bias)
    before = bits(other)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.safetensors")
        size = surgery.save_sparse(net, path, form)
        assert size == path.stat().st_size
        assert [p.name for p in path.parent.iterdir()] == ["x.safetensors"]
        again = surgery.load_sparse(other, path)
    assert bits(again) == bits(net)
    assert bits(other) == before


@settings(deadline=None, max_examples=60)
@given(
    form=st.sampled_from(SPARSE),
    shape=st.lists(st.integers(0, 5), max_size=4),
    values=st.lists(st.sampled_from([0.0, 1.5, -2.0, 1e-45, float("inf"), float("nan")])),
)
def test_any_shape_and_any_value_but_minus_zero_keeps_its_bits(form, shape, values):
    net = nn.Module()
    filled = torch.tensor((values or [0.0]) * 625)[: int(np.prod(shape))]
    net.p = nn.Parameter(filled.reshape(shape))
    with tempfile.TemporaryDirectory() as folder:
        surgery.save_sparse(net, Path(folder, "x"), form)
        assert bits(surgery.load_sparse(net, Path(folder, "x"))) == bits(net)


@every_form
@pytest.mark.parametrize("name", ["lenet-5", "resnet-20"])
def test_the_loaded_network_computes_the_same(name, form, tmp_path):
    net = thin(build(name), 0.3).eval()
    x = torch.rand(2, *((1, 28, 28) if name == "lenet-5" else (3, 32, 32)))
    surgery.save_sparse(net, tmp_path / "x", form)
    again = surgery.load_sparse(build(name).eval(), tmp_path / "x")
    with torch.no_grad():
        assert torch.equal(again(x), net(x))


@pytest.mark.parametrize("form", SPARSE)
def test_the_minus_zero_of_a_mask_takes_no_room_and_comes_back_as_zero(form, tmp_path):
    net, masked = small(), small()
    for with_sign in (net, masked):
        thin(with_sign, 1.0)
    with torch.no_grad():
        for plain, signed in zip(net.parameters(), masked.parameters()):
            plain[plain < 0] = 0.0
            signed.mul_(signed > 0)  # -2 times 0 is -0.0
    assert bits(masked) != bits(net) and same_values(masked, net)
    written = [surgery.save_sparse(n, tmp_path / "x", form) for n in (net, masked)]
    assert written[0] == written[1]
    assert bits(surgery.load_sparse(small(), tmp_path / "x")) == bits(net)
    surgery.save_sparse(masked, tmp_path / "x", "dense")
    assert bits(surgery.load_sparse(small(), tmp_path / "x")) == bits(masked)


@every_form
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_shared_weights_and_modes_stay(dtype, form, tmp_path):
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    net[1].weight = net[0].weight
    thin(net, 0.4).to(dtype).eval()
    surgery.save_sparse(net, tmp_path / "x", form)
    again = surgery.load_sparse(net, tmp_path / "x")
    assert same_values(again, net) and again[1].weight is again[0].weight
    assert again[0].weight.dtype == dtype and not again.training


def test_csr_is_scipys(tmp_path):
    from scipy.sparse import csr_array

    net = thin(build("lenet-5"), 0.1)
    surgery.save_sparse(net, tmp_path / "x", "csr")
    stored = load_file(tmp_path / "x")
    for name in ("conv2.weight", "fc1.weight"):
        expected = csr_array(net.get_parameter(name).detach().flatten(1).numpy())
        found = [stored[f"{name}:{part}"] for part in ("rows", "columns", "values")]
        assert [t.tolist() for t in found] == [
            a.tolist() for a in (expected.indptr, expected.indices, expected.data)
        ]


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [(256, torch.uint8), (257, torch.uint16), (1 << 16, torch.uint16), (65537, torch.int32)],
)
def test_columns_take_the_smallest_type_that_fits(columns, dtype, tmp_path):
    net = nn.Linear(columns, 2, bias=False)
    surgery.save_sparse(net, tmp_path / "x", "csr")
    assert load_file(tmp_path / "x")["weight:columns"].dtype == dtype
    assert bits(surgery.load_sparse(net, tmp_path / "x")) == bits(net)


def entries(net):
    """(non-zero entries, entries, rows, bytes of a column index) per parameter."""
    for p in net.parameters():
        columns = p[0].numel() if p.ndim > 1 else len(p)
        rows = len(p) if p.ndim > 1 else 1
        yield int((p != 0).sum()), p.numel(), rows, 1 if columns <= 256 else 2


@settings(deadline=None, max_examples=20)
@given(
    name=st.sampled_from(["lenet-300-100", "lenet-5"]),
    density=st.sampled_from([0.0, 0.01, 0.02, 0.1, 0.5, 1.0]),
)
def test_sizes_are_the_formulas_and_a_header(name, density):
    net = thin(build(name), density)
    counted = list(entries(net))
    payload = {
        "dense": sum(4 * n for _, n, _, _ in counted),
        "bitmask": sum(4 * k + -(-n // 8) for k, n, _, _ in counted),
        "csr": sum((4 + c) * k + 4 * (r + 1) for k, _, r, c in counted),
    }
    for form, size in sizes(net).items():
        assert payload[form] < size <= payload[form] + 256 + 320 * len(counted)


def test_the_rest_of_the_file_is_its_header(tmp_path):
    net = thin(build("lenet-5"), 0.02)
    size = surgery.save_sparse(net, tmp_path / "x", "bitmask")
    payload = sum(4 * k + -(-n // 8) for k, n, _, _ in entries(net))
    assert size == head_bytes(tmp_path / "x") + payload


def test_at_one_percent_both_sparse_files_are_far_smaller():
    found = sizes(thin(build("lenet-300-100"), 0.01))
    assert found["bitmask"] < found["dense"] / 20
    assert found["csr"] < found["dense"] / 45
    assert found["csr"] < found["bitmask"]


def test_a_dense_network_only_grows():
    found = sizes(thin(build("lenet-300-100"), 1.0))
    assert found["dense"] < found["bitmask"] < found["csr"]
