from dataclasses import replace

import pytest
import torch
from helpers.toy import PLAIN, dataset, linear, network, quiet, same
from safetensors.torch import save_file
from torch import nn

from prunelab.train import checkpoint


@pytest.mark.parametrize(
    "fields",
    [
        {"momentum": 0.9, "augment": "crop-flip"},
        {"optimizer": "adam", "momentum": 0.9, "lr": 0.01},
        {"momentum": 0.9, "channels_last": True},
    ],
)
@pytest.mark.parametrize("stop", [6, 14])
def test_resumed_run_equals_the_unbroken_one_bit_for_bit(tmp_path, fields, stop):
    budget, data = replace(PLAIN, epochs=3.5, schedule="cosine", **fields), dataset()
    whole, path = network(), tmp_path / "runs" / "fit.safetensors"
    expected = quiet(whole, data, budget)

    def interrupt(step):
        if step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quiet(network(), data, budget, checkpoint=path, after_step=interrupt)
    resumed = network()
    nn.init.zeros_(resumed[0].weight)  # the file's weights count
    history = quiet(resumed, data, budget, checkpoint=path)
    assert same(whole, resumed)
    assert history.rows == expected.rows


def test_resuming_runs_only_the_missing_steps(tmp_path):
    path, steps = tmp_path / "fit.safetensors", []

    def interrupt(step):
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quiet(network(), dataset(), PLAIN, checkpoint=path, after_step=interrupt)
    quiet(network(), dataset(), PLAIN, checkpoint=path, after_step=steps.append)
    assert steps == list(range(6, 12))
    quiet(network(), dataset(), PLAIN, checkpoint=path, after_step=steps.append)
    assert steps == list(range(6, 12))


def test_failed_write_leaves_the_old_checkpoint_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "fit.safetensors"
    quiet(network(), dataset(), PLAIN, checkpoint=path)
    old = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    net = network()
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(path, {"net": net}, torch.optim.SGD(net.parameters()), {}, [])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "field"), [({"lr": 0.2}, "lr"), ({"epochs": 3}, "epochs"), ({}, "seed")]
)
def test_checkpoint_of_another_recipe_is_refused_by_path_and_field(tmp_path, change, field):
    path = tmp_path / "fit.safetensors"
    quiet(network(), dataset(), PLAIN, checkpoint=path)
    with pytest.raises(ValueError, match=rf"^fit: checkpoint '.*fit\.safetensors' .* its {field} "):
        quiet(network(), dataset(), replace(PLAIN, **change), checkpoint=path, seed=int(not change))


def test_checkpoint_of_a_part_of_the_images_is_refused(tmp_path):
    path, data = tmp_path / "fit.safetensors", dataset()
    quiet(network(), replace(data, train=data.train[:-1]), PLAIN, checkpoint=path)
    with pytest.raises(ValueError, match=f"its images is .*, asked for {len(data.train)}"):
        quiet(network(), data, PLAIN, checkpoint=path)


def test_checkpoint_of_another_network_is_refused_before_anything_changes(tmp_path):
    path, net = tmp_path / "fit.safetensors", linear()
    quiet(network(), dataset(), PLAIN, checkpoint=path)
    with pytest.raises(ValueError, match=r"is of another network: its 0\.bias is "):
        quiet(net, dataset(), PLAIN, checkpoint=path)
    assert same(net, linear())


def truncated(path, good):
    path.write_bytes(good[:-100])


def damaged(path, good):
    path.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])


def pickled(path, good):
    torch.save(linear().state_dict(), path)


def foreign(path, good):
    save_file({"weight": torch.zeros(2)}, path)


def empty(path, good):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncated, "is no file that .*wrote"),
        (damaged, "is no file that .*it is damaged: its checksum is wrong"),
        (pickled, "is no file that .*wrote"),
        (foreign, "is no file that .*format None, not 'prunelab-fit-2'"),
        (empty, "is no file that .*wrote"),
    ],
)
def test_bad_checkpoint_is_refused_in_one_line(tmp_path, spoil, reason):
    path, net = tmp_path / "fit.safetensors", network()
    quiet(network(), dataset(), PLAIN, checkpoint=path)
    spoil(path, path.read_bytes())
    with pytest.raises(ValueError, match=rf"^fit: checkpoint '.*' {reason}[^\n]*$"):
        quiet(net, dataset(), PLAIN, checkpoint=path)
    assert same(net, network())


def test_checkpoint_in_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(OSError, match="runs"):
        quiet(linear(), dataset(), PLAIN, checkpoint=tmp_path / "runs" / "fit.safetensors")
