"""The scan's memory: what decides an answer is in the key, in every process the same."""

import functools
import os
import subprocess
import sys

import pytest
import torch
from helpers.toy import split
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from prunelab.groups import flow
from prunelab.sensitivity import scan
from prunelab.sensitivity.scanning.identity import UnknownError, digest
from prunelab.sensitivity.scanning.program import Program


class Net(nn.Module):
    """One convolution; everything else is a choice."""

    def __init__(self, act=functional.relu, norm=None, extra=None, **options):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.conv, self.fc = nn.Conv2d(1, 6, 3, **({"padding": 1} | options)), nn.Linear(6, 3)
        self.act, self.norm = act, norm or nn.Identity()
        self.register_buffer("extra", extra, persistent=False)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=g)

    def forward(self, x):
        y = self.act(self.norm(self.conv(x)))
        y = y if self.extra is None else y + self.extra
        return self.fc(y.mean((2, 3)))


def key(net):
    """Of the network as a scan replays it."""
    x = torch.zeros(2, 1, 5, 5)
    return digest(Program(net.eval(), flow(net, x), x))


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
        "extra": st.sampled_from([None, 0.0, 1.0]),
        "pool": st.sampled_from([None, nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)]),
    }
)  # fmt: skip


def made(*, act, slope, padding_mode, dilation, eps, extra, pool):
    norm = pool if eps is None else nn.BatchNorm2d(6, eps=eps)
    extra = None if extra is None else torch.full((6, 1, 1), extra)
    kind = {"padding_mode": padding_mode, "dilation": dilation}
    return Net(ACTS[act](slope), norm, extra, **kind)


def relevant(s):
    """The settings that decide the answers: some are not used beside others."""
    slope = None if s["act"] in ("relu", "function", "other function") else s["slope"]
    act = "closure" if s["act"] == "partial" else s["act"]  # they call the same function
    return s | {"act": act, "slope": slope, "pool": s["pool"] if s["eps"] is None else None}


@settings(max_examples=25, deadline=None)
@given(SETTINGS, st.data())
def test_networks_have_one_key_exactly_if_their_settings_agree(a, data):
    name = data.draw(st.sampled_from(sorted(a)))  # one other setting is enough
    b = a | {name: data.draw(SETTINGS.map(lambda s: s[name]))}
    first = key(made(**a))
    assert (first == key(made(**b))) == (relevant(a) == relevant(b))
    assert first == key(made(**a))


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
        return helper(x)
"""


def own(**change):
    options = {"factor": 2, "comment": "", "sign": "*", "scale": 3} | change
    torch.manual_seed(0)
    mine = written(CELL.format(**options))["Own"]()
    return nn.Sequential(nn.Conv2d(1, 4, 3), mine, nn.Flatten(), nn.Linear(36, 3))


def test_own_code_counts_wherever_forward_reaches_it():
    first = key(own())
    assert key(own(comment="# the same")) == first
    others = [own(factor=3), own(sign="+"), own(scale=4), own(scale=3.0)]
    assert len({first, *map(key, others)}) == 5


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
import test_scan_identity
print(test_scan_identity.keys())
"""


def keys():
    rest = {"slope": 0.1, "padding_mode": "reflect", "dilation": 2, "eps": 1e-3, "pool": None}
    nets = [made(act=act, extra=1.0, **rest) for act in sorted(ACTS)]
    return [key(net) for net in [*nets, own()]]


def test_the_key_is_the_same_in_another_process():
    script = SCRIPT.format(tests=os.path.dirname(__file__))
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == str(keys())
    assert len(set(keys())) == len(ACTS)  # closure and partial call the same; and one of its own


def strange(net):
    net.conv.strange = lambda: net  # a layer that holds code


def parametrized(net):
    nn.utils.parametrize.register_parametrization(net.conv, "weight", Halved())


class Halved(nn.Module):
    """A parametrization of one's own: the graph does not look into it."""

    def forward(self, weight):
        return weight / 2


@pytest.mark.parametrize("change", [strange, parametrized])
def test_what_cannot_be_told_is_never_kept(change, judged, tmp_path):
    net = Net()
    change(net)
    with pytest.raises(UnknownError):
        key(net)
    first = scan(net, split(20), ratios=[0.5], cache=tmp_path, progress=False)
    once = len(judged)
    assert scan(net, split(20), ratios=[0.5], cache=tmp_path, progress=False).equals(first)
    assert len(judged) == 2 * once > 0
    assert not list(tmp_path.iterdir())
