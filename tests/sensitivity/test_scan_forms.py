"""Networks as people write them: layouts, axes, types, outputs, wrappers, hooks, shared tensors."""

from dataclasses import dataclass

import pytest
import torch
from helpers.networks import Net, conv, pooled
from helpers.plain_loop import answers, differences, floats
from helpers.pruning import fill
from helpers.toy import split
from torch import nn
from torch.nn.utils import parametrizations, prune

from prunelab.groups import flow
from prunelab.sensitivity import scan
from prunelab.sensitivity.scanning import measuring
from prunelab.sensitivity.scanning.folding import folded, norms_of
from prunelab.sensitivity.scanning.program import Program


@pytest.fixture(autouse=True)
def batches_of_ten(monkeypatch):
    """23 images: the last batch is a smaller one."""
    monkeypatch.setattr(measuring, "batch_size", lambda split: 10)


def viewing(*axes):
    layers = {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d),
              3: (nn.Conv3d, nn.BatchNorm3d)}[len(axes)]  # fmt: skip
    size = torch.Size(axes).numel()

    def forward(net, x):
        y = torch.relu(net.b(net.c(torch.relu(net.a(x)))))
        return net.fc(y.view(x.size(0), -1))

    return Net(forward, a=layers[0](1, 6, 3, padding=1), c=layers[0](6, 4, 3, padding=1),
               b=layers[1](4), fc=nn.Linear(4 * size, 3))  # fmt: skip


@pytest.mark.parametrize("axes", [(8,), (6, 6), (4, 4, 3)])
def test_a_view_after_a_convolution_over_any_number_of_axes(axes):
    assert max(differences(viewing(*axes), shape=(1, *axes))) < 1e-9


def test_a_view_costs_neither_folding_nor_memory_in_channels_last():
    net = fill(viewing(6, 6)).eval()
    x = torch.zeros(1, 1, 6, 6)
    program = Program(net, flow(net, x), x)
    assert program.fast
    assert program.norms == {"c": "b"}


def strided(net, x):
    y = torch.relu(net.c(x))
    first = y.as_strided((len(x), 6, 6), (y.stride(0), 6, 1))  # a channel, if it is contiguous
    return net.fc(net.d(y).mean((2, 3))) + first.mean((1, 2))[:, None]


def test_what_looks_at_memory_is_run_as_it_is():
    net = Net(strided, c=conv(1, 6), d=conv(6, 8), fc=nn.Linear(8, 3))
    try:
        assert max(differences(net)) < 1e-9
    except ValueError as error:
        assert str(error).startswith(("scan: ", "cost: ", "trace: "))


def three():
    def forward(net, x):
        return net.fc(pooled(torch.relu(net.c(torch.relu(net.b(net.a(torch.relu(net.s(x)))))))))

    return Net(forward, s=conv(1, 6), a=conv(6, 6), b=nn.BatchNorm2d(6), c=conv(6, 4),
               fc=nn.Linear(4, 3))  # fmt: skip


def tied(net):
    net.c = conv(6, 6)
    net.c.weight, net.fc = net.a.weight, nn.Linear(6, 3)
    return net


def hooked(net):
    seen = []
    net.a.register_forward_hook(lambda module, x, out: seen.append(out))
    return net


def normed(make, *rest):
    def change(net):
        make(net.a, *rest)
        return net

    return change


CHANGES = {
    "tied": tied,
    "weight norm": normed(parametrizations.weight_norm),
    "spectral norm": normed(parametrizations.spectral_norm),
    "weight norm as a hook": normed(nn.utils.weight_norm),
    "torch's pruning": normed(prune.l1_unstructured, "weight", 0.3),
    "a hook that records": hooked,
    "DataParallel": nn.DataParallel,
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "averaged": torch.optim.swa_utils.AveragedModel,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_network_is_scanned_as_it_is(change):
    rows = list(differences(CHANGES[change](fill(three()))))
    assert rows
    assert max(rows) < 1e-9


@pytest.mark.parametrize("tensor", ["b.weight", "b.running_var", "a.weight"])
def test_a_norm_that_is_read_elsewhere_is_not_folded(tensor):
    def forward(net, x):
        y = net.b(net.a(torch.relu(net.s(x))))
        return net.fc(pooled(torch.relu(y))) * net.get(tensor).mean()

    net = fill(Net(forward, s=conv(1, 6), a=conv(6, 6), b=nn.BatchNorm2d(6), fc=nn.Linear(6, 3)))
    net.get = lambda name: dict([*net.named_parameters(), *net.named_buffers()])[name]
    images = split(20)
    table = scan(net.eval(), images, ratios=[0.5], groups=["s"], cache=False, progress=False)
    x, y = images.batch(slice(0, 20))
    loss = nn.functional.cross_entropy(net(x), y).item()
    assert table.attrs["whole"]["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("change", ["weight norm", "a hook that records"])
def test_layers_that_are_not_plain_keep_their_norms(change):
    net = CHANGES[change](fill(three()))
    graph = flow(net, torch.zeros(1, 1, 6, 6)).graph
    assert norms_of(graph, net) == {}
    assert norms_of(graph, fill(three())) == {"a": "b"}


def test_a_norm_over_positions_is_not_folded_into_a_linear_layer():
    def forward(net, x):
        y = net.n(net.l(torch.relu(net.a(x)).flatten(2)))  # 6 channels and 6 features
        return net.fc(torch.relu(net.d(y[:, :, :, None])).mean((2, 3)))

    net = Net(forward, a=conv(1, 6), l=nn.Linear(36, 6), n=nn.BatchNorm1d(6), d=nn.Conv2d(6, 4, 1),
              fc=nn.Linear(4, 3))  # fmt: skip
    assert max(differences(net)) < 1e-9


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_a_network_is_measured_in_its_own_type(kind):
    net, images = fill(three()).to(kind).eval(), split(20)
    table = scan(net, images, ratios=[0.0, 0.5], cache=False, progress=False)
    x, y = images.batch(slice(0, 20))
    loss = nn.functional.cross_entropy(net(x.to(kind)).double(), y).item()
    assert table.attrs["whole"]["loss"] == pytest.approx(loss, rel=50 * torch.finfo(kind).eps)
    assert {p.dtype for p in net.parameters()} == {kind}


@dataclass
class Output:
    aux: object
    logits: object


OUTPUTS = {
    "logits": lambda aux, out: {"aux": aux, "logits": out},
    1: lambda aux, out: (aux, out),
    -1: lambda aux, out: [aux, {"deep": aux}, out],
}


def answering(give):
    def forward(net, x):
        y = torch.relu(net.c(torch.relu(net.a(x))))
        return give(net.g(net.e(y).mean((2, 3))), net.fc(pooled(y)))

    return Net(forward, a=conv(1, 6), c=conv(6, 4), e=conv(4, 4), g=nn.Linear(4, 7),
               fc=nn.Linear(4, 3))  # fmt: skip


@pytest.mark.parametrize("entry", OUTPUTS)
def test_the_logits_may_be_an_entry_of_the_output(entry):
    net = answering(OUTPUTS[entry])
    assert max(differences(net, logits=entry)) < 1e-9
    found = answers(net.float(), floats((1, 6, 6)), ratios=[0.5], logits=entry)
    assert set(found) == {"whole", ("a", 0.5), ("c", 0.5), ("e", 0.5)}


def test_only_what_the_entry_needs_is_run():
    net = fill(answering(OUTPUTS["logits"])).eval()
    x = torch.zeros(1, 1, 6, 6)
    program = Program(net, flow(net, x), x, "logits")
    assert {n.target for n in program.nodes if n.op == "call_module"} == {"a", "c", "fc"}


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        (None, TypeError, "scan: `net` must return the logits.*name the entry"),
        ("nope", ValueError, "scan: `logits` must name an entry.*got 'nope'"),
        (2.5, ValueError, "scan: `logits` must be a key, a position or an attribute; got 2.5"),
    ],
)
def test_an_entry_that_is_not_there(entry, error, message):
    net = answering(OUTPUTS["logits"])
    with pytest.raises(error, match=message):
        scan(net, split(5), ratios=[0.5], logits=entry, cache=False, progress=False)


def batch_norm(net, x):
    return net.fc(pooled(torch.relu(net.a(x)) * x.size(0)))


REFUSED = {
    "a hook at `a` that changes": lambda: hooking(three()),
    "other outputs each time": lambda: Net(
        lambda net, x: net.fc(pooled(net.a(x) + torch.rand_like(x))),
        a=conv(1, 6),
        fc=nn.Linear(6, 3),
    ),
    "in another batch": lambda: Net(batch_norm, a=conv(1, 6), fc=nn.Linear(6, 3)),
    "other logits in another batch, as norms": lambda: nn.Sequential(
        conv(1, 6), nn.BatchNorm2d(6, track_running_stats=False), nn.Flatten(), nn.Linear(384, 3)
    ),
}


def hooking(net):
    net.a.register_forward_hook(lambda module, x, out: 0.5 * out)
    return net


@pytest.mark.parametrize("message", REFUSED)
def test_what_no_replay_can_give_is_refused(message):
    with pytest.raises(ValueError, match=f"scan: `net` .*{message}") as caught:
        scan(REFUSED[message](), split(12), ratios=[0.5], cache=False, progress=False)
    assert "\n" not in str(caught.value)


def test_a_folded_copy_keeps_what_writes_in_place():
    def forward(net, x):
        y = net.b(net.a(x))
        net.relu(y)
        return net.fc(pooled(y))

    net = Net(forward, a=conv(1, 6), b=nn.BatchNorm2d(6), relu=nn.ReLU(inplace=True),
              fc=nn.Linear(6, 3))  # fmt: skip
    x = torch.randn(3, 1, 6, 6)
    torch.testing.assert_close(folded(fill(net).eval(), {"a": "b"}, torch.channels_last)(x), net(x))
