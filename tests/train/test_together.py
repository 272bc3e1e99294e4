"""Several processes train as one does: the same curve, weights and answers, within rounding."""

import copy

import pytest
import torch
from helpers import together
from helpers.every_method import METHODS, equal
from helpers.real_data import some_photos
from helpers.toy import dataset

from prunelab import processes
from prunelab.train import fit

# Python 3.12 warns wherever a process is forked beside threads.
pytestmark = pytest.mark.filterwarnings("default:.*multi-threaded.*fork:DeprecationWarning")
NAMES = ("whole", "begun", "ended", "normed", "photos", "refused", "kept")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("together")
    some_photos(place / "imagenet", kinds=10, train=2)
    together.resumable(place / "alone", stop=8)
    return place


@pytest.fixture(scope="module")
def two(folder):
    """What two processes found: name -> a result for each."""
    return together.run(folder, 2, *NAMES)


@pytest.fixture(scope="module")
def alone(folder):
    return together.whole(folder)


def close(one, other):
    """Curves and weights agree to 1e-9, in float64."""
    assert len(one["rows"]) == len(other["rows"])
    for ours, theirs in zip(one["rows"], other["rows"]):
        assert ours == pytest.approx(theirs, rel=1e-9)
    torch.testing.assert_close(one["state"], other["state"], rtol=1e-9, atol=1e-12)


def test_two_processes_give_the_curve_and_the_weights_of_one(two, alone):
    first, second = two["whole"]
    close(first, alone)
    assert first["rows"] == second["rows"]
    assert all(torch.equal(first["state"][k], second["state"][k]) for k in first["state"])
    # The last batch of 5 images cannot be halved.
    assert alone["steps"][:6] == [8] * 5 + [5]
    assert first["steps"][:6] == [4] * 5 + [2] and second["steps"][:6] == [4] * 5 + [3]


def test_a_process_for_which_two_images_are_not_left_has_no_say(folder, alone):
    three = together.run(folder, 3, "whole")["whole"]
    for one in three:
        close(one, alone)
    assert [one["steps"][0] for one in three] == [2, 3, 3]
    assert [one["steps"][5] for one in three] == [2, 3, 2]  # the third repeats the first's images


def test_evaluation_has_the_bits_of_one_process(two, alone):
    for one in two["whole"]:
        weights = {name: value.double() for name, value in one["state"].items()}
        net = together.plain()
        net.load_state_dict(weights)
        found = together.evaluate(net, dataset(together.IMAGES).train, batch=7)
        assert torch.equal(one["correct"], found.correct) and one["loss"] == found.loss


@pytest.mark.parametrize("where", ["two, then one", "one, then two"])
def test_another_number_of_processes_goes_on_from_a_checkpoint(two, folder, where):
    straight = together.resumable(folder / "straight")
    if where == "one, then two":
        for one in two["ended"]:
            close(one, straight)
        return
    assert two["begun"] == [None, None]
    close(together.resumable(folder), straight)


def test_each_process_decodes_its_own_photographs_only(two, folder):
    whole = together.photos(folder)
    for one in two["photos"]:
        for augment in ("resized-crop-flip", "crop-flip"):
            close(one[augment], whole[augment])
    # Batches of 8, 8 and 2, twice; of the last one both processes need both images.
    assert two["photos"][0]["seen"] == whole["seen"] - 2 * (4 + 4)
    assert two["photos"][1]["seen"] == 2 * (4 + 4 + 2)


def test_batch_norm_takes_the_statistics_of_each_part_and_those_of_the_first_are_kept(two):
    """As if two copies of the network saw half of each batch, and their gradients were averaged."""
    first, second = two["normed"]
    assert all(torch.equal(first["state"][k], second["state"][k]) for k in first["state"])
    net, images = together.with_norm(), dataset(32)
    other = copy.deepcopy(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=1, momentum=0.9)
    orders = order_of(images)
    for step, index in enumerate(orders):
        other.load_state_dict(net.state_dict() | dict(other.named_buffers()))
        optimizer.param_groups[0]["lr"] = together.NORMED.rate(step, len(orders))
        for copied, part in ((net, index[:4]), (other, index[4:])):
            copied.zero_grad()
            x, y = images.train.batch(part, torch.float64)
            (torch.nn.functional.cross_entropy(copied(x), y) / 2).backward()
        for p, q in zip(net.parameters(), other.parameters()):
            p.grad += q.grad
        optimizer.step()
    torch.testing.assert_close(first["state"], net.state_dict(), rtol=1e-9, atol=1e-12)
    plain = together.with_norm()
    fit(plain, images, together.NORMED, progress=False)
    gap = (plain[0].weight - net[0].weight).abs().max()
    assert gap > 1e-4, "a process alone has the statistics of the whole batch"


def order_of(images):
    """The batches that `fit` draws alone."""
    from prunelab.train import together as inside

    found = []
    for epoch in range(together.NORMED.epochs):
        generator = torch.Generator().manual_seed(inside.seeds(0, epoch)[0])
        found += torch.randperm(len(images.train), generator=generator).split(8)
    return found


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_same_in_all_processes_and_leaves_the_same_weights(two, name):
    """Also those that draw noise, which differs, and those that choose in the first one only."""
    for mine, theirs in zip(*(one[name] for one in two["kept"])):
        assert equal(mine, theirs)


def test_what_cannot_be_trained_together_is_refused_by_all_in_one_line(two):
    for one in two["refused"]:
        assert one == {
            "batch": "fit: `budget.batch` must be at least 4, two images for each of 2 processes;"
            " got 3",
            "data": "fit: images must be the same in all processes; process 1 has 44, process 0"
            " has 45",
            "weights": one["weights"],
        }
        assert one["weights"].startswith(
            "fit: the weights after an epoch must be the same in all processes; process 1 has ["
        )


def test_every_image_of_a_batch_has_one_process_and_shares_add_up(monkeypatch):
    for name in processes.VARIABLES:
        monkeypatch.setenv(name, "1")
    for size in range(2, 10):
        monkeypatch.setenv("WORLD_SIZE", str(size))
        for images in range(2, 40):
            taken, shares = [], []
            for rank in range(size):
                monkeypatch.setenv("RANK", str(rank))
                part, share = processes.part(images), processes.share(images)
                assert part.stop - part.start >= 2
                assert share in (0, (part.stop - part.start) / images)
                taken += range(images)[part] if share else []
                shares.append(share)
            assert taken == list(range(images)) and sum(shares) == pytest.approx(1)


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    for name in (*processes.VARIABLES, "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (processes.device("cuda"), processes.device("cpu"), chosen) == ("cuda:1", "cpu", [1])
    processes.check_device("fit", torch.device("cuda:1"))
    processes.check_device("fit", torch.device("cpu"))
    words = "^fit: `data` must be on cuda:1 in process 1, which is LOCAL_RANK 1; got 'cuda:0'$"
    with pytest.raises(ValueError, match=words):
        processes.check_device("fit", torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    processes.check_device("fit", torch.device("cuda:0"))  # it sees no other
    with pytest.raises(ValueError, match=r"^torchrun: --nproc-per-node must be at most 1, "):
        processes.device("cuda")


@pytest.mark.parametrize("missing", processes.VARIABLES)
def test_a_process_is_alone_unless_all_is_said(monkeypatch, missing):
    for name in processes.VARIABLES:
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("RANK", "1")
    assert (processes.size(), processes.rank(), processes.is_first()) == (2, 1, False)
    monkeypatch.delenv(missing)
    assert (processes.size(), processes.rank(), processes.is_first()) == (1, 0, True)
