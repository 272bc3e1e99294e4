import math
from dataclasses import replace

import pytest
import torch
from helpers.toy import PLAIN, dataset, linear, network, quiet, same
from torch import nn
from torch.nn.functional import cross_entropy

from prunelab.models import build
from prunelab.train import Budget, evaluate
from prunelab.train.batches import crop_flip, flip, shuffled
from prunelab.train.losses import Losses

# the loop


def test_one_full_batch_step_equals_the_step_by_hand():
    data, net, hand = dataset(16), linear(), linear()
    quiet(net, data, replace(PLAIN, epochs=1, batch=16))
    x, y = data.train.batch(slice(None))
    cross_entropy(hand(x), y).backward()
    for p, q in zip(net.parameters(), hand.parameters()):
        torch.testing.assert_close(p, q - 0.1 * q.grad)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_learns_a_separable_problem(optimizer):
    net = linear()
    lr = 0.05 if optimizer == "sgd" else 0.01
    history = quiet(net, dataset(), Budget(epochs=10, lr=lr, batch=8, optimizer=optimizer))
    assert history.last["test_accuracy"] >= 0.9
    assert history.last["loss"] < history.rows[0]["loss"]


def test_same_seed_gives_the_same_bits_and_another_seed_does_not():
    budget = replace(PLAIN, augment="crop-flip")
    nets = [network() for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1)):
        quiet(net, dataset(), budget, seed=seed)
    assert same(nets[0], nets[1])
    assert not same(nets[0], nets[2])


def test_the_callers_random_state_neither_matters_nor_changes():
    nets, after = [network(), network()], []
    for number, net in enumerate(nets):
        torch.manual_seed(number)
        quiet(net, dataset(), PLAIN)
        after.append(torch.rand(1))
    assert same(*nets)
    torch.manual_seed(0)
    assert torch.equal(after[0], torch.rand(1))


def test_history_has_a_row_an_epoch_with_fractions():
    history = quiet(linear(), dataset(45), replace(PLAIN, epochs=2.5))
    # 45 images make 6 batches, the last of 5; half an epoch is 3 of them.
    assert [(r["epoch"], r["step"]) for r in history.rows] == [(1, 6), (2, 12), (2.5, 15)]
    assert list(history.rows[0]) == [
        "epoch",
        "step",
        "lr",
        "loss",
        "val_accuracy",
        "test_accuracy",
    ]
    assert history.last is history.rows[-1]
    assert history.best["test_accuracy"] == max(r["test_accuracy"] for r in history.rows)


def test_history_reports_what_evaluate_measures():
    net, data = network(), dataset()
    last = quiet(net, data, PLAIN).last
    assert last["val_accuracy"] == evaluate(net, data.val).accuracy
    assert last["test_accuracy"] == evaluate(net, data.test).accuracy


def test_a_tiny_fraction_of_an_epoch_is_one_step():
    assert quiet(linear(), dataset(), replace(PLAIN, epochs=1e-6)).last["step"] == 1


def test_penalty_is_added_to_the_loss():
    data, net = dataset(16), linear()
    start = evaluate(net, data.train).loss
    pull = sum(w.abs().sum() for w in net.parameters()).item()
    history = quiet(
        net,
        data,
        replace(PLAIN, epochs=1, batch=16),
        penalty=lambda: sum(w.abs().sum() for w in net.parameters()),
    )
    assert history.last["loss"] == pytest.approx(start + pull, rel=1e-5)


def test_after_step_is_called_after_each_step_with_its_number():
    net, seen, weights = linear(), [], [linear()[1].weight.detach().clone()]

    def after(step):
        seen.append(step)
        weights.append(net[1].weight.detach().clone())

    quiet(net, dataset(16), PLAIN, after_step=after)
    assert seen == [0, 1, 2, 3]
    assert all(not torch.equal(a, b) for a, b in zip(weights, weights[1:]))


def test_training_flags_gradients_and_memory_format_are_left_as_found():
    net = network()
    net[1].eval()
    quiet(net, dataset(), replace(PLAIN, channels_last=True))
    assert [m.training for m in net] == [True, False, True, True, True, True]
    assert all(p.grad is None and p.is_contiguous() for p in net.parameters())


def test_frozen_parameters_do_not_move():
    net = network()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    quiet(net, dataset(), replace(PLAIN, weight_decay=0.1))
    assert torch.equal(net[0].weight, before)


def test_last_batch_of_one_image_is_dropped():
    data = dataset(17)
    sizes = [len(y) for _, y in shuffled(data.train, PLAIN, torch.Generator())]
    assert sizes == [8, 8]
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.BatchNorm1d(3))
    assert quiet(net, data, PLAIN).last["step"] == 4


@pytest.mark.parametrize("chunk", [1, 200, 2**20])
def test_an_epoch_shows_each_image_once_whatever_the_chunk(chunk, monkeypatch):
    monkeypatch.setattr("prunelab.train.batches.CHUNK", chunk)
    data = dataset(45).train
    numbered = replace(data, labels=torch.arange(45))
    batches = list(shuffled(numbered, PLAIN, torch.Generator().manual_seed(3)))
    order = torch.cat([y for _, y in batches])
    assert [len(y) for _, y in batches] == [8, 8, 8, 8, 8, 5]
    assert sorted(order.tolist()) == list(range(45))
    assert order.tolist() != list(range(45))
    torch.testing.assert_close(torch.cat([x for x, _ in batches]), data.batch(order)[0])


def test_each_epoch_has_its_own_order():
    seen = []
    net, data = linear(), dataset(16)
    net.register_forward_pre_hook(lambda _, x: seen.append(x[0].clone()) if net.training else None)
    quiet(net, data, replace(PLAIN, batch=16, epochs=2))
    assert not torch.equal(*seen)
    assert torch.equal(*(x.sum((1, 2, 3)).sort().values for x in seen))


def test_channels_last_changes_results_only_by_rounding():
    nets = [network(), network()]
    for net, last in zip(nets, (False, True)):
        quiet(net, dataset(), replace(PLAIN, channels_last=last, momentum=0.9))
    for p, q in zip(*(net.parameters() for net in nets)):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)


def test_bfloat16_trains_float32_weights_to_nearly_the_same_place():
    nets, losses = [linear(), linear()], []
    for net, precision in zip(nets, ("float32", "bfloat16")):
        losses.append(quiet(net, dataset(), replace(PLAIN, precision=precision)).last["loss"])
    assert nets[1][1].weight.dtype == torch.float32
    assert not same(*nets)
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


# augmentation


def test_flip_gives_each_image_or_its_mirror_about_equally_often():
    g = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (400, 2, 4, 6), dtype=torch.uint8, generator=g)
    out = flip(images, g)
    mirrored = (out == images.flip(3)).flatten(1).all(1)
    assert torch.equal(mirrored, (out != images).flatten(1).any(1))
    assert 160 <= mirrored.sum() <= 240


def test_a_budget_with_flip_mirrors_half_of_what_it_would_show_without():
    data = dataset(40)
    plain, mirrored = (
        shuffled(data.train, replace(PLAIN, augment=name), torch.Generator().manual_seed(1))
        for name in ("none", "flip")
    )
    kinds = set()
    for (x, y), (z, labels) in zip(plain, mirrored, strict=True):
        assert torch.equal(y, labels)
        same, other = ((v == z).flatten(1).all(1) for v in (x, x.flip(3)))
        assert (same | other).all()
        kinds |= set(same.tolist())
    assert kinds == {True, False}


def test_crop_flip_gives_a_shifted_and_perhaps_mirrored_window():
    g = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (40, 2, 6, 6), dtype=torch.uint8, generator=g)
    out = crop_flip(images, g)
    padded = nn.functional.pad(images, (4,) * 4)
    kinds = set()
    for before, after in zip(padded, out):
        found = [
            (down, right, mirror)
            for down in range(9)
            for right in range(9)
            for mirror in (False, True)
            if torch.equal(
                after.flip(2) if mirror else after, before[:, down : down + 6, right : right + 6]
            )
        ]
        assert len(found) == 1
        kinds.add(found[0])
    assert {m for _, _, m in kinds} == {False, True}
    assert {0, 8} <= {d for d, _, _ in kinds}
    assert {0, 8} <= {r for _, r, _ in kinds}


# evaluate


def test_evaluate_equals_the_definition_for_every_batch_size():
    net, data = network().eval(), dataset().test
    with torch.no_grad():
        logits = net(data.batch(slice(None))[0])
    for size in (5, 12, 1000):
        result = evaluate(net, data, batch=size)
        assert torch.equal(result.correct, logits.argmax(1) == data.labels)
        assert result.accuracy == result.correct.float().mean().item()
        assert result.loss == pytest.approx(cross_entropy(logits, data.labels).item(), rel=1e-5)


def test_evaluate_leaves_flags_and_batch_norm_alone():
    net = network()
    net[4].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    evaluate(net, dataset().test)
    assert [m.training for m in net] == [True, True, True, True, False, True]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_evaluate_restores_flags_after_an_error():
    net = network(channels=2)
    with pytest.raises(ValueError, match=r"^evaluate: .* `0` \(Conv2d\): .*2 channels, but got 1"):
        evaluate(net, dataset().test)
    assert all(m.training for m in net)


def test_correct_is_an_ordinary_tensor():
    correct = evaluate(linear(), dataset().test).correct
    correct &= True  # an inference tensor would refuse
    assert correct.dtype == torch.bool


# bad input


def test_label_outside_the_classes_is_named():
    data, net = dataset(), nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(ValueError, match=r"^evaluate: labels must be in 0\.\.1, .*got 0\.\.2$"):
        evaluate(net, data.test)
    with pytest.raises(ValueError, match=r"^fit: labels must be in 0\.\.1, .*got 0\.\.2$"):
        quiet(net, data, PLAIN)


def test_network_without_class_logits_is_refused():
    with pytest.raises(ValueError, match=r"must return \(8, classes\) logits .*got \(8, 1, 8, 8\)"):
        quiet(nn.Conv2d(1, 1, 1), dataset(), PLAIN)


def test_empty_split_is_refused():
    with pytest.raises(ValueError, match=r"^evaluate: `split` must hold at least one image; got 0"):
        evaluate(linear(), dataset().test[:0])


def test_network_on_another_device_is_refused():
    net = linear().to("meta")
    with pytest.raises(ValueError, match=r"`net` must be on the data's device cpu; got .* on meta"):
        quiet(net, dataset(), PLAIN)


def test_network_with_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="must have a parameter that requires a gradient"):
        quiet(linear().requires_grad_(False), dataset(), PLAIN)


def test_training_on_one_image_is_refused():
    with pytest.raises(ValueError, match="must hold at least 2 images; got 1"):
        quiet(linear(), dataset(1), PLAIN)


def test_penalty_that_is_no_scalar_is_refused():
    with pytest.raises(ValueError, match=r"`penalty` must return a scalar; got shape \(3,\)"):
        quiet(linear(), dataset(), PLAIN, penalty=lambda: torch.zeros(3))


def test_loss_that_is_not_finite_stops_the_run_at_its_step_before_the_weights_move():
    net, calls = linear(), []

    def penalty():
        calls.append(net[1].weight.detach().clone())
        return torch.tensor(math.inf if len(calls) == 5 else 0.0)

    with pytest.raises(RuntimeError, match=r"^fit: the loss is inf at step 4 \(lr 0\.1\)$"):
        quiet(net, dataset(), PLAIN, penalty=penalty)
    assert torch.equal(net[1].weight, calls[4])


def test_accelerator_losses_name_the_exact_step_too():
    losses = Losses(torch.device("cuda"))  # only counts steps: no accelerator is needed
    losses.add(0, 0.1, torch.tensor(2.0))
    losses.add(1, 0.1, torch.tensor(math.nan))
    losses.add(2, 0.1, torch.tensor(math.nan))
    with pytest.raises(RuntimeError, match=r"^fit: the loss is nan at step 1 \(lr 0\.1\)$"):
        losses.look()


def test_network_of_the_papers_trains_on_its_real_shape():
    data = dataset(20, channels=3, size=32)
    history = quiet(build("resnet-20", 3), data, replace(PLAIN, batch=10, augment="crop-flip"))
    assert history.last["step"] == 4
    assert history.last["loss"] < history.rows[0]["loss"]
