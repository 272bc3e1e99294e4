"""What a scan remembers, how it grows, and how sure it is."""

import pytest
import torch
from helpers.pruning import fill
from helpers.toy import network, split
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from prunelab.groups import flow, trace
from prunelab.sensitivity import scan
from prunelab.sensitivity.points import settled
from prunelab.sensitivity.scanning.identity import digest
from prunelab.sensitivity.scanning.program import Program


def net():
    torch.manual_seed(3)
    return fill(
        nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3),
            nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3),
        )
    ).eval()  # fmt: skip


def test_a_finer_grid_measures_only_its_new_points(judged, tmp_path):
    images = split(30)
    scan(net(), images, ratios=[0.25, 0.5], cache=tmp_path, progress=False)
    assert len(judged) == 1 + 2 * 2
    judged.clear()
    table = scan(net(), images, ratios=[0.1, 0.25, 0.5], cache=tmp_path, progress=False)
    assert len(judged) == 2 + 1  # two new points; the whole network runs to feed them
    assert table.equals(scan(net(), images, ratios=[0.1, 0.25, 0.5], cache=False, progress=False))


def test_more_groups_measure_only_theirs(judged, tmp_path):
    images = split(30)
    scan(net(), images, ratios=[0.5], groups=["0"], cache=tmp_path, progress=False)
    judged.clear()
    scan(net(), images, ratios=[0.5], cache=tmp_path, progress=False)
    assert len(judged) == 1 + 1


def test_the_same_scan_again_runs_nothing_and_another_network_everything(judged, tmp_path):
    images, other = split(30), net()
    first = scan(net(), images, ratios=[0.5], cache=tmp_path, progress=False)
    judged.clear()
    again = scan(net(), images, ratios=[0.5], cache=tmp_path, progress=False)
    assert not judged
    assert again.equals(first)
    with torch.no_grad():
        other[0].bias += 1e-3
    scan(other, images, ratios=[0.5], cache=tmp_path, progress=False)
    scan(net(), split(30, seed=9), ratios=[0.5], cache=tmp_path, progress=False)
    assert len(judged) == 2 * (1 + 2)


def test_a_damaged_file_is_measured_again(judged, tmp_path):
    images = split(30)
    first = scan(net(), images, ratios=[0.5], cache=tmp_path, progress=False)
    (file,) = tmp_path.rglob("*.npz")
    file.write_bytes(file.read_bytes()[:40])
    judged.clear()
    assert scan(net(), images, ratios=[0.5], cache=tmp_path, progress=False).equals(first)
    assert len(judged) == 3


def test_no_cache_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNELAB_CACHE", str(tmp_path))
    scan(net(), split(10), ratios=[0.5], cache=False, progress=False)
    assert not list(tmp_path.iterdir())
    scan(net(), split(10), ratios=[0.5], progress=False)
    assert list(tmp_path.rglob("*.npz"))


def test_the_digest_sees_every_part():
    def program(net):
        x = torch.zeros(1, 1, 8, 8)
        return Program(net, flow(net, x), x)

    a, b = net(), net()
    assert digest(program(a), split(5)) == digest(program(b), split(5))
    with torch.no_grad():
        b[1].running_mean[0] += 1
    assert digest(program(a)) != digest(program(b))
    assert digest(split(5)) != digest(split(6))
    assert digest(torch.zeros(2, 3)) != digest(torch.zeros(3, 2))


def test_images_grow_until_the_ranking_is_settled():
    images = split(400)
    table = scan(net(), images, ratios=[0.3, 0.6], images=20, progress=False)
    about = table.attrs["ranking"]
    assert about["images"] in (20, 40, 80, 160, 320, 400)
    assert about["images"] == table.attrs["whole"]["images"]
    assert about["settled"] == (about["sure"] == 1.0)
    assert about["settled"] or about["images"] == 400
    assert sorted(about["order"]) == ["0", "3"]


def test_a_ranking_is_settled_by_a_difference_or_by_equality():
    right, wrong = torch.ones(2, 200).bool(), torch.zeros(2, 200).bool()
    assert settled({"a": wrong, "b": right})["order"] == ["b", "a"]
    assert settled({"a": wrong, "b": right})["settled"]
    assert settled({"a": right, "b": right})["settled"]  # as good as equal
    torch.manual_seed(0)
    noise = {name: torch.rand(2, 200) < 0.5 for name in "ab"}
    assert settled(noise) | {"order": 0} == {
        "order": 0, "sure": 0.0, "settled": False, "images": 200,
    }  # fmt: skip


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_settling_does_not_depend_on_the_order_in_which_groups_come(seed, count):
    g = torch.Generator().manual_seed(seed)
    flags = {f"g{i}": torch.rand(3, 50, generator=g) < i / count for i in range(count)}
    means = {float(f.double().mean()) for f in flags.values()}
    if len(means) == count:  # no tie, which would be ordered by arrival
        assert settled(flags) == settled(dict(reversed(flags.items())))


def test_labels_that_are_no_classes_and_groups_of_another_network_are_refused():
    images = split(10, classes=5)
    with pytest.raises(ValueError, match=r"scan: labels must be in 0..2, the outputs of `net`"):
        scan(network(), images, ratios=[0.5], progress=False)
    other = nn.Sequential(nn.Conv2d(1, 5, 3), nn.Flatten(), nn.Linear(180, 3))
    groups = trace(other, torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="scan: group `0` of `groups` is not as in `net`"):
        scan(network(), split(10), ratios=[0.5], groups=groups, progress=False)
    gone = trace(nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Linear(5, 3)),
                 torch.zeros(1, 1, 8, 8))  # fmt: skip
    with pytest.raises(ValueError, match="no group `1`"):
        scan(network(), split(10), ratios=[0.5], groups=gone, progress=False)


@pytest.mark.parametrize("images", [0, 1, True])
def test_too_few_images_are_refused(images):
    with pytest.raises(ValueError, match="scan: `images` must be an integer >= 2"):
        scan(network(), split(10), ratios=[0.5], images=images, progress=False)
