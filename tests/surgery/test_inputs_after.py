"""A network of which layers pick what they read: its cost, its training, its files."""

import pickle

import onnxruntime
import pytest
import torch
from helpers.input_views import bools, drawn, poolings, traced
from helpers.pruning import difference, equal, state
from helpers.toy import dataset
from safetensors.torch import load_file
from torch import nn

from prunelab import cost, surgery
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.models import build
from prunelab.surgery.selection import SelectingLinear
from prunelab.train import Budget, fit


def test_the_cost_counts_the_weights_that_are_left():
    net, x, groups = traced("lenet-5")
    a, b, c, d = 7, 11, 68, 35
    keep = {
        n: torch.arange(groups[n].size) < k for n, k in {"conv1": a, "conv2": b, "fc1": d}.items()
    }
    keep["fc1.inputs"] = torch.arange(800) < c
    found = cost.measure(surgery.shrink(net, groups, keep), x)
    assert found.weights == 25 * a + 25 * a * b + c * d + 10 * d
    assert found.params == found.weights + a + b + d + 10
    assert found.macs == 14_400 * a + 1600 * a * b + c * d + 10 * d
    assert found.activations == 576 * a + 64 * b + d + 10


def test_types_gradients_and_mode_are_kept_and_the_index_stays_whole_numbers():
    net = build("lenet-5").bfloat16().train()
    net.fc1.weight.requires_grad_(False)
    groups = trace(net, torch.zeros(1, 1, 28, 28, dtype=torch.bfloat16))
    small = surgery.shrink(net, groups, {"fc1.inputs": torch.arange(800) < 9}).double()
    assert small.fc1.index.dtype == torch.int64 and small.fc1.weight.dtype == torch.float64
    assert not small.fc1.weight.requires_grad and small.training
    again = pickle.loads(pickle.dumps(small))
    assert equal(state(again), state(small)) and type(again.fc1) is SelectingLinear


def test_a_network_with_an_index_trains_as_the_masked_one_under_its_mask():
    torch.manual_seed(2)
    net, data = poolings(), dataset(channels=2, size=12)
    groups = trace(net, data.example)
    keep = {"b.inputs": bools(1, 0, 1, 1, 0), "last.inputs": torch.arange(36) % 3 != 0}
    small, masked = surgery.shrink(net, groups, keep), surgery.masked(net, groups, keep)
    index = small.last.index.clone()
    options = {"budget": Budget(1, 0.05, 8), "seed": 1, "progress": False}
    fit(small, data, **options)
    fit(masked, data, after_step=surgery.masker(masked, groups, keep), **options)
    assert torch.equal(small.last.index, index)
    assert not torch.equal(small.last.weight, surgery.shrink(net, groups, keep).last.weight)
    left = surgery.shrink(masked, groups, keep)
    torch.testing.assert_close(small.state_dict(), left.state_dict(), rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["lenet-300-100", "poolings"])
def test_onnx_gives_the_outputs_of_a_network_with_an_index(name, tmp_path):
    net, x, groups = traced(name)
    g = torch.Generator().manual_seed(4)
    keep = {f"{n}.inputs": drawn(size, 0.6, g) for n, size in groups.reads.items()}
    small, x = surgery.shrink(net, groups, keep).float(), x.float()
    assert any(isinstance(m, SelectingLinear) for m in small.modules())
    surgery.export_onnx(small, x, tmp_path / "small.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "small.onnx", providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        assert difference(torch.from_numpy(found), small(x)) < 1e-5


def with_indices():
    net, x, groups = traced("poolings")
    keep = Keep(
        {
            "a": bools(1, 1, 1, 0, 1),
            "b.inputs": bools(1, 0, 1, 1, 0),
            "last.inputs": torch.arange(36) % 5 != 0,
        }
    )
    return net, x, surgery.shrink(net, groups, keep), keep


def test_an_index_is_saved_and_loaded_bit_equal(tmp_path):
    net, x, small, keep = with_indices()
    before = state(net)
    surgery.save(small, keep, tmp_path / "small.safetensors")
    found = surgery.load(net, tmp_path / "small.safetensors")
    assert equal(state(found), state(small))
    assert {"b.index", "last.index"} <= set(load_file(tmp_path / "small.safetensors"))
    assert [type(m) for m in found.modules()] == [type(m) for m in small.modules()]
    assert torch.equal(found(x), small(x)) and equal(state(net), before)
    assert surgery.read(tmp_path / "small.safetensors")[1] == keep
    again = trace(found, x)
    second = {"last.inputs": torch.arange(again.reads["last"]) > 3}
    surgery.save(surgery.shrink(found, again, second), second, tmp_path / "twice.safetensors")
    assert torch.equal(
        surgery.load(net, tmp_path / "twice.safetensors").last.index, small.last.index[4:]
    )


def changed(small, keep, path, change):
    """A file as `save` writes it, with other tensors: name -> tensor, None = none."""
    tensors = {k: v for k, v in (surgery.tensors_of(small) | change).items() if v is not None}
    module = nn.Module()
    for name, tensor in tensors.items():
        *owners, last = name.split(".")
        here = module
        for owner in owners:
            if owner not in dict(here.named_children()):
                here.add_module(owner, nn.Module())
            here = here.get_submodule(owner)
        here.register_buffer(last, tensor.detach())
    surgery.save(module, keep, path)


ROW = torch.arange(3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nose.index": ROW}, "nose.index"),
        ({"nose.mouth.index": ROW}, "nose.mouth.index"),
        ({"index": ROW}, "index"),
        ({"index.index": ROW}, "index.index"),
        ({"a.index.index": ROW}, "a.index.index"),
        ({"last.index": ROW}, "last.index"),
        ({"last.index": torch.arange(28).double()}, "last.index"),
        ({"last.index": torch.arange(28)[None]}, "last.index"),
        ({"last.index": torch.arange(28) - 1}, "last.index"),
        ({"last.index": torch.arange(28) + 9}, "last.index"),
        ({"last.index": torch.arange(28) // 2}, "last.index"),
    ],
    ids="nose mouth alone nobody index length kind axes below above twice".split(),
)
def test_an_index_that_fits_no_layer_is_refused_in_one_line(change, named, tmp_path):
    net, _, small, keep = with_indices()
    path = tmp_path / "foreign.safetensors"
    changed(small, keep, path, change)
    with pytest.raises(ValueError) as caught:
        surgery.load(net, path)
    message = f"load: `{path}` does not hold a pruned Net: `{named}` differs"
    assert str(caught.value) == message


def test_an_index_of_a_layer_that_cannot_pick_is_refused_in_one_line(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    changed(net, {}, tmp_path / "x.safetensors", {"1.index": ROW})
    with pytest.raises(ValueError, match=r"^load: .* a pruned Sequential: `1.index` differs$"):
        surgery.load(net, tmp_path / "x.safetensors")


def test_a_flipped_bit_of_an_index_is_found(tmp_path):
    net, _, small, keep = with_indices()
    path = tmp_path / "x.safetensors"
    surgery.save(small, keep, path)
    raw = path.read_bytes()
    where = raw.index(small.last.index.numpy().tobytes())
    path.write_bytes(raw[:where] + bytes([raw[where] ^ 1]) + raw[where + 1 :])
    with pytest.raises(ValueError, match="damaged: its checksum is wrong"):
        surgery.load(net, path)
