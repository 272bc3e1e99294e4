"""Trainings that one process, or several under torchrun, carry out: the same functions for both.

`python together.py FOLDER NAME ...` runs some and stores what came out, in a file per process.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from torch import nn

from prunelab import data, processes
from prunelab.data import imagefolder
from prunelab.data import photos as streamed
from prunelab.train import Budget, evaluate, fit

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.toy import dataset

BUDGET = Budget(
    epochs=3, lr=0.05, batch=8, momentum=0.9, weight_decay=1e-3, augment="crop-flip",
    schedule="cosine",
)  # fmt: skip
# 45 images: five batches of 8 and one of 5, which two processes cannot halve.
IMAGES = 45


def launch(count, *arguments, **environment):
    """Run `python ARGUMENTS` in so many processes, as a user does."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(count), *map(str, arguments)]
    env = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def run(folder, count, *names):
    """What the trainings of these names gave: name -> a result per process."""
    folder.mkdir(exist_ok=True)
    done = launch(count, __file__, folder, *names)
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        name: [torch.load(folder / f"{name}.{rank}", weights_only=False) for rank in range(count)]
        for name in names
    }


def plain():
    """A network without batch norm, in float64 so that rounding is far from all else."""
    torch.manual_seed(processes.rank())  # all start from the weights of the first
    body = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 3)]
    return nn.Sequential(*body).double()


def outcome(net, history, **more):
    state = {name: value.clone() for name, value in net.state_dict().items()}
    return {"rows": history.rows, "state": state} | more


def whole(folder):
    """Uneven batches, augmentation, momentum, weight decay, a loss and a penalty of one's own."""
    net, images, steps = plain(), dataset(IMAGES), []

    def loss(logits, labels):
        steps.append(len(labels))
        return nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)

    history = fit(
        net, images, BUDGET, loss=loss, penalty=lambda: 0.01 * net[0].weight.square().sum(),
        progress=False,
    )  # fmt: skip
    found = evaluate(net, images.train, batch=7)
    return outcome(net, history, steps=steps, correct=found.correct, loss=found.loss)


def begun(folder):
    """As `whole` but plainer, stopped in the second epoch."""
    return resumable(folder, stop=8)


def ended(folder):
    """Goes on where one process stopped in `alone`."""
    return resumable(folder / "alone")


def resumable(folder, stop=None):
    folder.mkdir(exist_ok=True)
    net = plain()

    def after(step):
        if step == stop:
            raise InterruptedError

    try:
        how = {"after_step": after, "progress": False, "checkpoint": folder / "run.fit"}
        return outcome(net, fit(net, dataset(IMAGES), BUDGET, **how))
    except InterruptedError:
        return None


def photos(folder):
    """Real photographs from disk, which each process decodes for itself only."""
    seen, decode = [], streamed.decode
    own = {
        "decode": lambda path: seen.append(path) or decode(path),
        "_cores": lambda: 0,  # no workers: they would see on their own
    }
    found = {}
    with mock.patch.object(imagefolder, "IN_MEMORY", 5), mock.patch.multiple(streamed, **own):
        images = data.load(f"imagefolder:{folder / 'imagenet'}")
        for augment in ("resized-crop-flip", "crop-flip"):
            torch.manual_seed(0)
            net = nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 10)).double()
            budget = replace(BUDGET, epochs=1, augment=augment)
            found[augment] = outcome(net, fit(net, images, budget, progress=False))
    return found | {"seen": len(seen)}


def normed(folder):
    """With batch norm: each process has statistics of its own part."""
    net = with_norm()
    return outcome(net, fit(net, dataset(32), NORMED, progress=False))


NORMED = replace(BUDGET, augment="none", weight_decay=0.0)


def with_norm():
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(6 * 36, 3)).double()


def _refused(**how):
    """The line with which `fit` refuses, in this process."""
    budget = replace(BUDGET, **{k: v for k, v in how.items() if k == "batch"})
    images = dataset(IMAGES - how.get("fewer", 0))
    try:
        fit(plain(), images, budget, progress=False, after_step=how.get("after_step"))
    except ValueError as error:
        return str(error)
    return "not refused"


def refused(folder):
    """What no number of processes may train."""
    rank = processes.rank()
    net = plain()
    try:
        fit(net, dataset(IMAGES), BUDGET, progress=False, after_step=lambda _: _nudge(net, rank))
    except ValueError as error:
        drift = str(error)
    return {"batch": _refused(batch=3), "data": _refused(fewer=rank), "weights": drift}


def _nudge(net, rank):
    with torch.no_grad():
        net[0].weight.add_(1e-9 * rank)


def kept(folder):
    """Method -> what it keeps, and the tensors of the network that it leaves."""
    from helpers.every_method import METHODS, setting

    found = {}
    for name, method in METHODS.items():
        net, images = setting()
        how = {"progress": False, "checkpoint": folder / f"{name}.run"}
        found[name] = dict(method.run(net, images, **how).keep), net.state_dict()
    return found


if __name__ == "__main__":
    place, *wanted = sys.argv[1:]
    for name in wanted:
        torch.save(globals()[name](Path(place)), f"{place}/{name}.{processes.rank()}")
