"""Runs of network surgery from outside: phases, seeds, what is left, and going on after a stop."""

from copy import deepcopy

import pytest
import torch
from helpers.every_method import traces
from helpers.surgeries import DATA, LAYERS, NAMES, Seen, equal, net_of, run, surgery
from helpers.toy import network, quiet, same
from torch.nn.utils import parametrize

from prunelab.methods.masking.splicing import Splicing
from prunelab.train import Budget

CONVOLUTIONS, LINEAR = ["0.weight", "0.bias"], ["3.weight", "5.weight", "5.bias"]
BOTH = ("together", "convolutions first")


@pytest.mark.parametrize("phases", BOTH)
def test_afterwards_the_network_is_plain_with_zeros_where_keep_says_so(phases):
    net = net_of()
    net[3].eval()
    net[5].bias.requires_grad_(False)
    before, parameters = traces(net), list(map(id, net.parameters()))
    _, done, _ = run(surgery(phases=phases), net)
    assert traces(net) == before
    assert list(map(id, net.parameters())) == parameters  # an optimizer of the caller stays valid
    assert list(done.keep) == NAMES == [k for k, _ in net.named_parameters()]
    for name, p in net.named_parameters():
        assert done.keep[name].shape == p.shape
        assert torch.equal(p != 0, done.keep[name])
        assert done.keep[name].any() or name.endswith("bias")
    assert not done.keep["3.weight"].all()


@pytest.mark.parametrize("phases", BOTH)
def test_events_add_up_to_what_is_kept_weights_and_biases_together(phases):
    _, done, seen = run(surgery(phases=phases))
    for layer, keys in LAYERS.items():
        names = [f"{layer}.{key}" for key in keys]
        size = sum(done.keep[k].numel() for k in names)
        assert done.events[layer].shape == (19, 2)
        left = size - (done.events[layer][:, 0] - done.events[layer][:, 1]).cumsum(0)
        steps = [row for row in seen.kept if names[0] in row]
        assert left.tolist() == [sum(int(row[k].sum()) for k in names) for row in steps]
        assert int(left[-1]) == sum(int(done.keep[k].sum()) for k in names)


def test_a_mapping_prunes_these_layers_and_the_others_train_without_a_mask():
    net = net_of()
    before = deepcopy(net)
    masked = []

    def watch(done, state):
        masked.append([n for n, m in net.named_modules() if parametrize.is_parametrized(m)])
        assert list(state.layers) == ["0", "5"]

    done = surgery({"5": 0.4, "0": 0.2}).run(net, DATA, progress=False, watch=watch)
    assert masked == [["0", "5"]] * 19
    assert list(done.keep) == ["0.weight", "0.bias", "5.weight", "5.bias"]
    assert (net[3].weight != 0).all() and not torch.equal(net[3].weight, before[3].weight)
    assert all((net.get_submodule(n).weight == 0).any() for n in "05")


def test_convolutions_first_freezes_their_masks_before_the_linear_layers_get_any():
    net, masks, parts = net_of(), [], []

    def watch(done, state):
        parts.append((done, "".join(state.layers)))
        masks.append([net[0].parametrizations[key][0].kept.clone() for key in ("weight", "bias")])
        assert parametrize.is_parametrized(net[3]) == parametrize.is_parametrized(net[5])
        assert parametrize.is_parametrized(net[3]) == (len(parts) > 19)

    found = surgery(phases="convolutions first").run(net, DATA, progress=False, watch=watch)
    assert parts == [(t, "0") for t in range(19)] + [(t, "35") for t in range(19)]
    assert len(found.history) == 2
    frozen = [[torch.equal(m[i], masks[18][i]) for m in masks] for i in (0, 1)]
    assert all(frozen[0][18:]) and all(frozen[1][18:])  # the whole second phase
    assert not all(frozen[0][:18])
    assert equal({k: found.keep[k] for k in CONVOLUTIONS}, dict(zip(CONVOLUTIONS, masks[18])))
    assert all((found.events[layer] != 0).any() for layer in LAYERS)


def test_the_first_phase_is_a_run_of_the_convolutions_alone():
    _, _, seen = run(surgery(phases="convolutions first"), seed=4)
    _, alone, other = run(surgery({"0": 0.3}), seed=4)
    assert len(seen.steps) == 2 * len(other.steps)
    for here, there in zip(seen.kept[:19] + seen.dense[:19], other.kept + other.dense):
        assert equal(here, there)
    assert equal(seen.kept[18], {k: alone.keep[k] for k in CONVOLUTIONS})


def until(stop):
    calls = []

    def watch(done, state):
        calls.append(done)
        if len(calls) == stop:
            raise KeyboardInterrupt

    return watch


@pytest.mark.parametrize(("phases", "stop"), [(BOTH[0], 1), *((BOTH[1], s) for s in (20, 30, 38))])
def test_after_an_exception_no_mask_is_left(phases, stop):
    net = net_of()
    before = traces(net)
    with pytest.raises(KeyboardInterrupt):
        surgery(phases=phases).run(net, DATA, progress=False, watch=until(stop))
    assert traces(net) == before


class Network(torch.nn.Module):
    """Batch norm and dropout in it: statistics and random numbers must come back too."""

    def __init__(self):
        super().__init__()
        self.net = network()
        quiet(self, DATA, Budget(epochs=1, batch=8, lr=0.05))

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize(
    ("phases", "stop", "missing"),
    [
        ("together", 9, 12),  # 8 steps are done: the first epoch of three is on disk
        ("convolutions first", 19 + 9, 12),
        ("convolutions first", 19 + 3, 19),  # nothing of the second phase is on disk
    ],
)
def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one(tmp_path, phases, stop, missing):
    start, path = Network(), tmp_path / "runs" / "surgery"
    method = surgery(0.2, stop=16, gamma=0.05, phases=phases)
    whole, expected, seen = run(method, deepcopy(start), seed=2)
    with pytest.raises(KeyboardInterrupt):
        method.run(
            deepcopy(start), DATA, seed=2, progress=False, checkpoint=path, watch=until(stop)
        )
    net, found, again = run(method, deepcopy(start), seed=2, checkpoint=path)
    assert again.steps == seen.steps[-missing:]
    assert same(net, whole)
    assert found.keep == expected.keep
    assert equal(found.events, expected.events)
    assert [h.rows for h in found.history] == [h.rows for h in expected.history]
    assert again.limits == seen.limits[-missing:]
    for here, there in zip(again.kept + again.dense, seen.kept[-missing:] + seen.dense[-missing:]):
        assert equal(here, there)
    once_more, third, none = run(method, deepcopy(start), seed=2, checkpoint=path)
    assert same(once_more, whole) and third.keep == expected.keep and not none.steps


def test_watch_sees_every_number_of_steps_once():
    assert run(surgery())[2].steps == list(range(19))
    seen = Seen()
    surgery({"3": 0.3}, Budget(epochs=0.5, batch=8), stop=1).run(
        net_of(), DATA, progress=False, watch=seen
    )
    assert seen.steps == [0, 1, 2, 3]


def emptying(splice=True):
    """Decay halves all weights in each step, so that none stays above its threshold."""
    budget = Budget(epochs=2, lr=0.1, batch=8, momentum=0, weight_decay=5)
    return surgery({"3": 0.5}, budget, stop=12, splice=splice)


@pytest.mark.parametrize("splice", [True, False])
def test_an_update_that_would_empty_a_layer_leaves_its_largest_weight(splice):
    net, done, seen = run(emptying(splice))
    a = seen.limits[0]["3"][0]
    empty = [t for t in range(12) if not (seen.dense[t]["3.weight"].abs() > a).any()]
    assert 11 in empty and 0 not in empty
    assert int(done.keep["3.weight"].sum()) == int((net[3].weight != 0).sum()) == 1
    for t in empty if splice else empty[:1]:
        kept, size = seen.kept[t]["3.weight"], seen.dense[t]["3.weight"].abs()
        assert int(kept.sum()) == 1 and size[kept] == size.max()


def test_events_add_up_where_a_largest_weight_is_left():
    _, done, seen = run(emptying())
    left = 8 * 108 - (done.events["3"][:, 0] - done.events["3"][:, 1]).cumsum(0)
    assert left.tolist() == [int(row["3.weight"].sum()) for row in seen.kept]


def test_without_splicing_not_even_the_largest_weight_returns():
    net = torch.nn.Sequential(torch.nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    state = Splicing(net, surgery(0.0, splice=False), {"0": 0.0}, 0, 45)
    assert state.layers["0"].masks["weight"].kept.tolist() == [[False, False, True, True]]
    with torch.no_grad():
        state.layers["0"].dense["weight"].copy_(torch.tensor([[0.5, 0.1, 0.2, 0.3]]))
    state.look(1)
    assert state.layers["0"].masks["weight"].kept.tolist() == [[False, False, False, True]]


def test_a_convolution_in_channels_last_memory_is_not_emptied_either():
    budget = Budget(epochs=2, lr=0.1, batch=8, momentum=0, weight_decay=5, channels_last=True)
    torch.manual_seed(2)
    layers = torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 6, 3), torch.nn.Flatten()
    net = torch.nn.Sequential(*layers, torch.nn.Linear(96, 3))
    found = surgery({"1": 0.5}, budget, stop=12).run(net, DATA, progress=False)
    assert int(found.keep["1.weight"].sum() + found.keep["1.bias"].sum()) == 1
