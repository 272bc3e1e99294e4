"""Whatever changes in a file of ours is noticed; a keep is held against its network."""

import copy
import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from helpers.pruning import random_keep
from helpers.toy import PLAIN, dataset, linear, quiet, same
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from prunelab import sealed, surgery
from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.models import build
from prunelab.study.ledger import CHECKPOINTS


def network(widths):
    torch.manual_seed(0)
    one, two = widths
    return nn.Sequential(
        nn.Conv2d(1, one, 3),
        nn.ReLU(),
        nn.Conv2d(one, two, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(two * 16, 3),
    ).eval()


def kept(*counts, sizes=(8, 6)):
    return Keep({str(2 * i): torch.arange(n) < k for i, (k, n) in enumerate(zip(counts, sizes))})


def shrunk(*counts, widths=(8, 6)):
    net = network(widths)
    groups = trace(net, torch.zeros(1, 1, 8, 8))
    keep = kept(*counts, sizes=widths)
    return net, surgery.shrink(net, groups, keep), keep


NET, SMALL, KEEP = shrunk(5, 4)
RUN = dataset(24)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each kind of file: its path, its bytes, what reads it, and what that gives."""
    folder = tmp_path_factory.mktemp("files")
    pruned, weights, run = (Path(folder, name) for name in ("small", "sparse", "fit"))
    surgery.save(SMALL, KEEP, pruned)
    surgery.save_sparse(SMALL, weights, "csr")
    quiet(linear(), RUN, PLAIN, checkpoint=run)

    def read_run():
        net = linear()
        return quiet(net, RUN, PLAIN, checkpoint=run).rows, _text(net.state_dict())

    readers = [
        (pruned, lambda: (lambda t, k: (_text(t), k.to_json()))(*surgery.read(pruned))),
        (weights, lambda: _text(surgery.load_sparse(SMALL, weights).state_dict())),
        (run, read_run),
    ]
    return [(path, path.read_bytes(), read, read()) for path, read in readers]


def _text(tensors):
    return {name: (sealed.kind_of(t), t.tolist()) for name, t in tensors.items()}


@settings(deadline=None, max_examples=120)
@given(number=st.integers(0, 2), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_changes_nothing_unseen_wherever_it_is(files, number, place, bit):
    path, raw, read, good = files[number]
    raw, head = bytearray(raw), 8 + int.from_bytes(raw[:8], "little")
    # Three quarters in the head, where it used to pass.
    raw[int(place / 0.75 * head) if place < 0.75 else int(place * len(raw))] ^= 1 << bit
    path.write_bytes(raw)
    try:
        found = read()
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert found == good


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'\\"kept\\": [0, 1, 2, 3, 4]', b'\\"kept\\": [0, 1, 2, 3, 5]'),
        (b'\\"kept\\": [0, 1, 2, 3, 4]', b'\\"kept\\": [0, 1, 2, 3   ]'),
        (b'\\"shape\\": [8]', b'\\"shape\\": [9]'),
        (b'\\"0\\": {', b'\\"9\\": {'),
        (b'"prunelab-2"', b'"prunelab-1"'),
    ],
    ids=["another channel", "fewer", "size", "group", "version"],
)
def test_a_keep_changed_in_the_file_is_noticed(old, new, tmp_path):
    surgery.save(SMALL, KEEP, tmp_path / "x")
    raw = (tmp_path / "x").read_bytes()
    assert raw.count(old) == 1
    (tmp_path / "x").write_bytes(raw.replace(old, new))
    for read in (lambda: surgery.read(tmp_path / "x"), lambda: surgery.load(NET, tmp_path / "x")):
        with pytest.raises(
            ValueError, match=r"^(load|read): .* is not a .* written by prunelab \(.*\)$"
        ):
            read()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"val_accuracy", b"val_accurate"),
        (b'\\"lr\\": 0.1', b'\\"lr\\": 0.7'),
        (b"net.1.", b"net.2."),
    ],
)
def test_a_history_a_recipe_or_a_name_changed_in_a_run_is_noticed(old, new, tmp_path):
    path = tmp_path / "x"
    quiet(linear(), RUN, PLAIN, checkpoint=path)
    raw, net = path.read_bytes(), linear()
    assert raw.count(old) >= 1 and len(old) == len(new)
    path.write_bytes(raw.replace(old, new))
    with pytest.raises(
        ValueError, match=r"^fit: checkpoint .*it is damaged: its checksum is wrong"
    ):
        quiet(net, RUN, PLAIN, checkpoint=path)
    assert same(net, linear())


# A keep is held against the network


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (kept(4, 4), r"`0` keeps 4 of 8 channels, but has 5"),
        (kept(1, 4), r"`0` keeps 1 of 8 channels, but has 5"),
        (kept(5, 5), r"`2` keeps 5 of 6 channels, but has 4"),
        (kept(9, 4, sizes=(12, 6)), r"`0` keeps 9 of 12"),
        (Keep({"conv1": torch.ones(3).bool()}), "no layer `conv1`"),
        (Keep({"0.weight": torch.ones(8, 1, 3, 3).bool()}), r"of shape \[8, 1, 3, 3\] .* \[5, 1"),
    ],
)
def test_the_keep_of_another_network_is_refused_when_it_is_saved(keep, words, tmp_path):
    with pytest.raises(ValueError, match=f"^save: `keep` must be what .*: .*{words}"):
        surgery.save(SMALL, keep, tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("counts", [(8, 6), (1, 1), (5, 6), (7, 2)])
def test_its_own_keep_is_taken_also_of_a_copy(counts, tmp_path):
    net, small, keep = shrunk(*counts)
    for network in (small, copy.deepcopy(small)):
        surgery.save(network, keep, tmp_path / "x")
        assert surgery.read(tmp_path / "x")[1] == keep
        assert same(surgery.load(net, tmp_path / "x"), small)


class Units(nn.Module):
    """Channels that lie on their layer's axis twice, in units, or beside others."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 12, 3, groups=4)
        self.c, self.d, self.e = nn.Conv2d(12, 10, 1), nn.Conv2d(5, 4, 1), nn.Conv2d(5, 4, 1)
        self.f = nn.Linear(8, 3)

    def forward(self, x):
        one, two = self.c(self.b(self.a(x))).chunk(2, 1)
        return self.f(torch.cat([self.d(one), self.e(two)], 1).mean([2, 3]))


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), some=st.booleans())
def test_the_keep_of_any_groups_is_taken(seed, some):
    torch.manual_seed(seed)
    net = Units().eval()
    groups = trace(net, torch.zeros(1, 1, 8, 8))
    assert {group.slices[0].repeat for group in groups.values()} > {1}
    keep = dict(random_keep(groups))
    if some:
        keep.pop(sorted(keep)[seed % len(keep)])
    small = surgery.shrink(net, groups, keep)
    with tempfile.TemporaryDirectory() as folder:
        surgery.save(copy.deepcopy(small), keep, Path(folder, "x"))
        assert same(surgery.load(net, Path(folder, "x")), small)


def test_widths_that_the_keep_does_not_leave_are_refused_when_it_is_loaded(tmp_path):
    tensors = surgery.tensors_of(SMALL)
    head = {"format": "prunelab-2", "keep": kept(1, 4).to_json()}
    sealed.write("save", tmp_path / "x", head, tensors)
    with pytest.raises(ValueError, match=r"`0` keeps 1 of 8 .* 5 in the file and 8 in `net`$"):
        surgery.load(NET, tmp_path / "x")


# Older files


def test_a_file_of_the_first_format_is_still_read_and_checked(tmp_path):
    tensors = {k: v.detach() for k, v in surgery.tensors_of(SMALL).items()}
    head = {"format": "prunelab-1", "crc32": str(sealed.crc32(tensors))}
    save_file(tensors, tmp_path / "x", head | {"keep": KEEP.to_json()})
    assert same(surgery.load(NET, tmp_path / "x"), SMALL)
    for keep, words in ((kept(7, 4), "is not that of its tensors"), (kept(1, 4), "keeps 1 of 8")):
        save_file(tensors, tmp_path / "x", head | {"keep": keep.to_json()})
        with pytest.raises(ValueError, match=words):
            surgery.load(NET, tmp_path / "x")


NETWORKS = {
    "ba4364b25449": "lenet-5",
    "67508a1142eb": "resnet-20",
    "0da18de7a406": "lenet-300-100",
    "f0bb965c446e": "preresnet-20",
    "2749c598d445": "preresnet-20",
    "db6bb6ba33cd": "preresnet-20",
}


def test_every_committed_network_has_a_name_here():
    assert set(NETWORKS) == {path.stem for path in CHECKPOINTS.glob("*.safetensors")}


@pytest.mark.parametrize(("key", "name"), NETWORKS.items())
def test_the_committed_networks_are_read(key, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = surgery.load(build(name), CHECKPOINTS / f"{key}.safetensors")
    shapes = [[t.shape for t in n.state_dict().values()] for n in (net, build(name))]
    assert shapes[0] == shapes[1]
