"""The folder of a scan's answers: full, read-only, littered by a kill. And arguments of a scan."""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from helpers.toy import network, split

from prunelab import paths
from prunelab.sensitivity import outcome, paired_interval, ranking, scan
from prunelab.sensitivity.scanning import store as storing


def measured(cache, **options):
    return scan(network(), split(30), **{"ratios": [0.5], "progress": False} | options, cache=cache)


@pytest.fixture
def plain():
    return measured(False)


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_warning_and_no_half_file(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(storing.np, "savez_compressed", full)
    monkeypatch.setattr("prunelab.sensitivity.scanning.measuring.batch_size", lambda split: 10)
    with pytest.warns(UserWarning) as seen:
        table = measured(tmp_path / "c", images=20)
    assert len(seen) == 1
    message = str(seen[0].message)
    assert message.startswith(f"scan: answers cannot be kept in `{tmp_path / 'c'}` (No space left")
    assert "\n" not in message
    assert table[plain.columns].equals(measured(False, images=20))
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_file_in_place_of_the_folder_is_one_warning(plain, tmp_path):
    (tmp_path / "c").write_text("")
    with pytest.warns(UserWarning, match="scan: answers cannot be kept in"):
        assert measured(tmp_path / "c").equals(plain)


def test_what_a_kill_left_is_removed_by_the_next_scan(plain, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured(tmp_path)
    (folder,) = tmp_path.iterdir()
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    left = folder / f".abc.npz.{gone}-7.part"
    living = folder / f".abc.npz.{os.getppid()}-7.part"
    left.touch(), living.touch()
    assert measured(tmp_path).equals(plain)
    assert not left.exists()
    assert living.exists()


def test_the_default_folder_is_absolute_wherever_one_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRUNELAB_CACHE")
    assert paths.scans().is_absolute()
    assert isinstance(storing.Store.at("here", "x").folder, Path)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cache", True), ("cache", 5), ("cache", ""),
        ("progress", "yes"), ("images", 2.5), ("groups", 5), ("groups", ["0", "0"]),
        ("groups", [5]), ("criterion", 5), ("criterion", lambda: 1), ("criterion", lambda g: None),
        ("criterion", {"0": "abcd"}), ("ratios", [float("nan")]), ("ratios", [float("inf")]),
        ("ratios", None), ("ratios", {0.5: 1}), ("logits", True),
    ],
)  # fmt: skip
def test_an_option_of_another_kind_is_one_line(option, value):
    with pytest.raises((ValueError, TypeError), match=f"scan: .*`{option[:5]}") as caught:
        scan(network(), split(6), **{"ratios": [0.5], "progress": False, option: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("net", [None, 5, "net", torch.zeros(2)])
def test_what_is_no_network_is_one_line(net):
    with pytest.raises(TypeError, match=r"scan: `net` must be a torch.nn.Module; got"):
        scan(net, split(6), ratios=[0.5])
    with pytest.raises(TypeError, match="ranking: `net` must be"):
        ranking(net, {}, "l1")


@pytest.mark.parametrize("images", [split(6, channels=3), split(6, size=9)])
def test_images_that_do_not_fit_are_said_to_be_the_splits(images):
    with pytest.raises(ValueError, match=r"scan: an image of `split` of shape.*does not fit") as e:
        scan(network(), images, ratios=[0.5], progress=False)
    assert "\n" not in str(e.value)


def test_weights_that_are_no_numbers_are_refused():
    net = network()
    net[-1].bias.data[0] = float("nan")
    with pytest.raises(ValueError, match="scan: the logits of `net` must be finite"):
        scan(net, split(6), ratios=[0.5], cache=False, progress=False)


@pytest.mark.parametrize("wrong", [None, 5, "x", [], {}, torch.zeros(()), torch.zeros(0)])
def test_flags_of_another_kind_are_one_line(wrong):
    right = torch.ones(4).bool()
    calls = [
        lambda: paired_interval(right, wrong),
        lambda: outcome(wrong, wrong),
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=r"^[a-z_]+: `") as caught:
            call()
        assert "\n" not in str(caught.value)
