"""The scan's memory: what decides an answer is in the key, in every process the same."""

import functools
import os
import subprocess
import sys
import threading
import types

import pytest
import torch
from helpers.toy import split
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from prunelab.sensitivity import scan
from prunelab.sensitivity.scanning import measuring
from prunelab.sensitivity.scanning.identity import UnknownError
from prunelab.sensitivity.scanning.store import digest


class Net(nn.Module):
    """One convolution; everything else is a choice."""

    def __init__(self, act=functional.relu, norm=None, extra=None, held=None, **options):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.conv, self.fc = nn.Conv2d(1, 6, 3, **({"padding": 1} | options)), nn.Linear(6, 3)
        self.act, self.norm, self.held = act, norm or nn.Identity(), held
        self.register_buffer("extra", extra, persistent=False)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=g)

    def forward(self, x):
        y = self.act(self.norm(self.conv(x)))
        y = y if self.extra is None else y + self.extra
        return self.fc(y.mean((2, 3)))


def closing(slope):
    return lambda x: functional.leaky_relu(x, slope)


def shifted(slope):
    def call(x, by=slope):
        return functional.relu(x) + by

    return call


class Scaled:
    """A callable object with a setting."""

    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return functional.relu(x) * self.by


ACTS = {
    "relu": lambda n: nn.ReLU(),
    "leaky": lambda n: nn.LeakyReLU(n),
    "elu": lambda n: nn.ELU(n),
    "function": lambda n: functional.relu,
    "other function": lambda n: functional.gelu,
    "closure": closing,
    "default": shifted,
    "partial": lambda n: functools.partial(functional.leaky_relu, negative_slope=n),
    "object": Scaled,
}
SETTINGS = st.fixed_dictionaries(
    {
        "act": st.sampled_from(sorted(ACTS)), "slope": st.sampled_from([0.1, 0.2]),
        "padding_mode": st.sampled_from(["zeros", "reflect", "circular"]),
        "dilation": st.sampled_from([1, 2]), "eps": st.sampled_from([None, 1e-5, 1e-3]),
        "extra": st.sampled_from([None, 0.0, 1.0]), "held": st.sampled_from([None, 1, 1.0, "1"]),
        "pool": st.sampled_from([None, nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)]),
    }
)  # fmt: skip


def made(*, act, slope, padding_mode, dilation, eps, extra, held, pool):
    norm = pool if eps is None else nn.BatchNorm2d(6, eps=eps)
    extra = None if extra is None else torch.full((6, 1, 1), extra)
    kind = {"padding_mode": padding_mode, "dilation": dilation}
    return Net(ACTS[act](slope), norm, extra, held, **kind)


def relevant(s):
    """The settings that are in the network: some are not used beside others."""
    slope = None if s["act"] in ("relu", "function", "other function") else s["slope"]
    held = (type(s["held"]), s["held"])
    return s | {"slope": slope, "held": held, "pool": s["pool"] if s["eps"] is None else None}


@settings(max_examples=150, deadline=None)
@given(SETTINGS, SETTINGS)
def test_networks_have_one_key_exactly_if_their_settings_agree(a, b):
    same = relevant(a) == relevant(b)
    assert (digest(made(**a)) == digest(made(**b))) == same
    assert digest(made(**a)) == digest(made(**a))


@settings(max_examples=40, deadline=None)
@given(SETTINGS, st.data())
def test_one_setting_is_enough(a, data):
    name = data.draw(st.sampled_from(sorted(a)))
    b = a | {name: data.draw(SETTINGS.map(lambda s: s[name]))}
    assume(relevant(a) != relevant(b))
    assert digest(made(**a)) != digest(made(**b))


def written(source):
    """A class as a notebook's cell makes it."""
    place = {"nn": nn, "torch": torch, "__name__": "cell"}
    exec(source, place)
    return place


CELL = """
FACTOR = {factor}
def helper(x):
    {comment}
    return torch.relu(x) {sign} FACTOR
class Own(nn.Module):
    scale = {scale}
    def forward(self, x):
        return self.inner(x) * self.scale
    def inner(self, x):
        return helper(x).flatten(1)
"""


def own(**change):
    options = {"factor": 2, "comment": "", "sign": "*", "scale": 3} | change
    return nn.Sequential(written(CELL.format(**options))["Own"]())


def test_own_code_counts_wherever_forward_reaches_it():
    first = digest(own())
    assert digest(own(comment="# the same")) == first
    others = [own(factor=3), own(sign="+"), own(scale=4), own(scale=3.0)]
    assert len({first, *map(digest, others)}) == 5


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
import test_scan_identity
print(test_scan_identity.keys())
"""


def keys():
    rest = {"slope": 0.1, "padding_mode": "reflect", "dilation": 2, "eps": 1e-3, "pool": None}
    nets = [made(act=act, extra=1.0, held={"b", "a", "c"}, **rest) for act in sorted(ACTS)]
    return [digest(net) for net in [*nets, own()]]


def test_the_key_is_the_same_in_another_process():
    script = SCRIPT.format(tests=os.path.dirname(__file__))
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == str(keys())
    assert len(set(keys())) == len(ACTS) + 1


@pytest.fixture
def judged(monkeypatch):
    """Counts the networks that were really looked at."""
    seen, judge = [], measuring.judge
    monkeypatch.setattr(measuring, "judge", lambda *a: (seen.append(1), judge(*a))[1])
    return seen


def test_another_activation_is_measured_and_not_remembered(judged, tmp_path):
    def again(act):
        return scan(Net(act), split(20), ratios=[0.5], cache=tmp_path, progress=False)

    first, other = again(nn.ReLU()), again(nn.Tanh())
    assert len(judged) == 2 * 2
    assert first.loss[0] != other.loss[0]
    assert again(nn.ReLU()).equals(first)
    assert len(judged) == 2 * 2


@pytest.mark.parametrize(
    "unknown", [threading.Lock(), types.SimpleNamespace(a=(i for i in [1])), sys.stdout]
)
def test_what_cannot_be_told_is_never_kept(unknown, judged, tmp_path):
    def again():
        return scan(net, split(20), ratios=[0.5], cache=tmp_path, progress=False)

    net = Net()
    net.strange = lambda: unknown  # a closure holds it; deepcopy leaves functions alone
    with pytest.raises(UnknownError):
        digest(net)
    assert again().equals(again())
    assert len(judged) == 2 * 2
    assert not list(tmp_path.iterdir())
