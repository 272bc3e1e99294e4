"""Whatever breaks a method off, nothing of it is left on the network, and it can go on."""

from dataclasses import replace

import pytest
import torch
from helpers.every_method import (
    LOOK,
    METHODS,
    TRAIN,
    WEIGHTS,
    equal,
    setting,
    state,
    traces,
    training,
)

from prunelab import methods, scores
from prunelab.train.losses import Losses


def broken_at(call, error, function):
    """`function`, which raises `error` when it is called for that time."""
    calls = []

    def run(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise error
        return function(*arguments, **options)

    return run


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no space left")], ids=repr)
@pytest.mark.parametrize("name", TRAIN)
def test_a_training_that_breaks_off_leaves_nothing_but_other_weights(name, error, monkeypatch):
    net, data = setting()
    before, random = traces(net), torch.get_rng_state()
    monkeypatch.setattr(Losses, "add", broken_at(2, error, Losses.add))
    with pytest.raises(type(error)):
        TRAIN[name].prune(net, data, progress=False)
    assert traces(net) == before
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("name", LOOK)
def test_a_look_that_breaks_off_changes_no_bit(name, monkeypatch):
    net, data = setting()
    before, bits = traces(net), state(net)
    last = "keep_of" if name in WEIGHTS else "kept"  # the last that it calls
    place = methods.magnitude if name in WEIGHTS else scores
    monkeypatch.setattr(place, last, broken_at(1, KeyboardInterrupt(), getattr(place, last)))
    with pytest.raises(KeyboardInterrupt):
        LOOK[name].prune(net, data, progress=False)
    assert traces(net) == before and equal(state(net), bits)


@pytest.mark.parametrize("name", TRAIN)
def test_a_checkpoint_that_cannot_be_written_leaves_nothing(name, tmp_path):
    net, data = setting()
    before = traces(net)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        TRAIN[name].run(net, data, progress=False, checkpoint=tmp_path / "file" / "checkpoint")
    assert traces(net) == before


def run(name, path=None, seed=2):
    net, data = setting()
    return net, METHODS[name].run(net, data, seed=seed, progress=False, checkpoint=path)


@pytest.mark.parametrize("name", TRAIN)
def test_a_resumed_run_ends_with_the_bits_of_an_unbroken_one(name, tmp_path, monkeypatch):
    """Broken off in the last epoch of all, 2 steps each; then in the second."""
    path, steps, add = tmp_path / "runs" / "method", [], Losses.add
    monkeypatch.setattr(
        Losses, "add", lambda self, step, *a: (steps.append(step), add(self, step, *a))
    )
    whole, expected = run(name)
    for last in {len(steps), 4}:
        for file in path.parent.glob("*"):
            file.unlink()
        with monkeypatch.context() as broken:
            broken.setattr(Losses, "add", broken_at(last, KeyboardInterrupt(), add))
            with pytest.raises(KeyboardInterrupt):
                run(name, path)
        net, found = run(name, path)
        assert equal(state(net), state(whole))
        assert found.keep == expected.keep and equal(found.events, expected.events)
        assert [h.rows for h in found.history] == [h.rows for h in expected.history]
    done = len(steps)
    net, again = run(name, path)  # all is done: nothing is trained
    assert len(steps) == done and equal(state(net), state(whole)) and again.keep == expected.keep


@pytest.mark.parametrize("name", TRAIN)
def test_a_checkpoint_of_another_run_is_refused_in_one_line(name, tmp_path):
    path = tmp_path / "method"
    run(name, path)
    net, data = setting()
    bits, method = state(net), METHODS[name]
    field = training(method)
    longer = replace(method, **{field: replace(getattr(method, field), lr=0.02)})
    for other, seed in ((method, 3), (longer, 2)):
        with pytest.raises(
            ValueError, match=r"is of another run: its (seed|lr) is .*; delete"
        ) as e:
            other.run(net, data, seed=seed, progress=False, checkpoint=path)
        assert "\n" not in str(e.value) and equal(state(net), bits)


@pytest.mark.parametrize(
    ("method", "other"),
    [
        (METHODS["filter norm in rounds"], {"ratios": 0.25}),
        (METHODS["magnitude in rounds"], {"ratios": 0.5}),
        (METHODS["surgery"], {"c": 0.4}),
        (METHODS["hard concrete"], {"lam": 1e-3}),
        (METHODS["drop neuron"], {"incoming": 1e-4}),
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_checkpoint_of_a_method_with_other_fields_is_refused(method, other, tmp_path):
    net, data = setting()
    method.run(net, data, progress=False, checkpoint=tmp_path / "method")
    (field,) = other
    with pytest.raises(ValueError, match=rf"is of another run: its method\.{field} is "):
        replace(method, **other).run(
            setting()[0], data, progress=False, checkpoint=tmp_path / "method"
        )
