"""Stages: trainings in a row, each with a seed, a file and its part of one bar."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pytest
import torch
from helpers.toy import PLAIN, dataset, network, same

from prunelab.masks import Keep
from prunelab.methods.base import Method, Pruned
from prunelab.methods.stages import Stage
from prunelab.train import Budget

DATA = dataset(16)
LONG = Budget(epochs=3, lr=0.05, batch=8)


@dataclass(frozen=True)
class Layerwise(Method):
    """Trains before each layer, and scores it once by something that is random and slow."""

    KIND: ClassVar[str] = "layerwise"
    made: ClassVar[list] = []

    part: float = 0.5

    def _run(self, net, data, options):
        keep, history = {}, []
        budgets = {"first layer": PLAIN, "last": LONG}
        for stage, layer in zip(options.stages(budgets, data, first=4), ("0", "5")):
            assert isinstance(stage, Stage) and stage.number == 4 + len(history)
            stage.tell(0, layer)
            tell = partial(self._tell, stage, layer)
            history.append(stage.fit(net, after_step=tell))
            score = stage.once("scores", partial(self._scores, net, layer, stage.seed))
            keep[layer] = score["score"] > self.part
        return Pruned(Keep(keep), tuple(history))

    def _tell(self, stage, layer, step):
        stage.tell(step + 1, layer)

    def _scores(self, net, layer, seed):
        self.made.append((layer, seed))
        size = net.get_submodule(layer).weight.shape[0]
        return {"score": torch.rand(size, generator=torch.Generator().manual_seed(seed))}


def run(method=None, **options):
    net = network()
    return net, (method or Layerwise()).run(net, DATA, progress=False, **options)


def test_each_stage_has_its_seed_its_file_and_is_told_apart(tmp_path):
    seen = []
    Layerwise.made.clear()
    net, done = run(
        seed=2, checkpoint=tmp_path / "a", watch=lambda step, at: seen.append((step, at))
    )
    assert Layerwise.made == [("0", 6), ("5", 7)]
    assert seen == [(n, "0") for n in range(5)] + [(n, "5") for n in range(7)]
    files = ["a.first-layer", "a.first-layer.scores", "a.last", "a.last.scores"]
    assert sorted(p.name for p in tmp_path.iterdir()) == files
    assert [h.last["step"] for h in done.history] == [4, 6]
    plain, again = run(seed=2)
    assert same(net, plain) and done.keep == again.keep


@pytest.mark.parametrize("stop", range(1, 12))
def test_what_is_done_is_not_done_again_and_the_bits_are_those_of_an_unbroken_run(tmp_path, stop):
    whole, expected = run()
    calls, path = [], tmp_path / "a"

    def watch(step, at):
        calls.append((step, at))
        if len(calls) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, watch=watch)
    Layerwise.made.clear()
    net, found = run(checkpoint=path)
    assert same(net, whole) and found.keep == expected.keep
    assert [h.rows for h in found.history] == [h.rows for h in expected.history]
    assert [layer for layer, _ in Layerwise.made] == (["0", "5"] if stop < 6 else ["5"])


def test_a_result_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    run(checkpoint=tmp_path / "a")
    (tmp_path / "a.first-layer").unlink()
    with pytest.raises(
        ValueError, match=r"^Layerwise: `checkpoint` '.*' cannot .* of another run;"
    ):
        run(Layerwise(0.25), checkpoint=tmp_path / "a")
    (tmp_path / "a.first-layer").unlink()
    (tmp_path / "a.first-layer.scores").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"^Layerwise: `checkpoint` '.*scores' cannot be used: "):
        run(checkpoint=tmp_path / "a")


def test_one_bar_counts_the_steps_of_all_stages(capsys):
    net = network()
    Layerwise().run(net, DATA, progress=True)
    shown = capsys.readouterr().err
    assert "10/10" in shown and "last" in shown and shown.count("\n") == 1
