"""What the network's own code does with sizes and with the parts of a split."""

import math

import numpy as np
import pytest
import torch
from helpers.networks import IMAGE, Net, agreed, conv, head
from helpers.pruning import batch, ready
from torch import fx, nn
from torch.nn import functional as F

from prunelab.groups import flow, trace
from prunelab.groups.following import graph_of


def around(use, **more):
    return Net(lambda m, x: m.b(use(m, m.a(x))), a=conv(3, 8), b=conv(8, 2), **more)


def cat(parts):
    return torch.cat(list(parts), 1)


def res2(m, x):
    first, *rest = x.split(x.shape[1] // 4, 1)
    out, y = [first], None
    for part, layer in zip(rest, m.layers):
        y = layer(part if y is None else part + y)
        out.append(y)
    return torch.cat(out, 1)


def c2f(m, x):
    parts = list(x.chunk(2, 1))
    parts.extend(F.silu(layer(parts[-1])) for layer in m.layers)
    return m.last(torch.cat(parts, 1))


PARTS = {
    "list": lambda m, x: cat(list(x.chunk(2, 1))),
    "for": lambda m, x: cat(F.relu(p) for p in x.chunk(2, 1)),
    "zip": lambda m, x: cat(p * q for p, q in zip(x.chunk(2, 1), torch.chunk(x, 2, dim=1))),
    "enumerate": lambda m, x: cat(p * (i + 1) for i, p in enumerate(x.chunk(2, 1))),
    "star": lambda m, x: (lambda *parts: torch.cat(parts, 1))(*x.chunk(4, 1)),
    "slices": lambda m, x: torch.cat(x.chunk(4, 1)[1:] + x.chunk(4, 1)[:1], 1),
    "reversed": lambda m, x: cat(reversed(x.chunk(2, 1))),
    "len": lambda m, x: x * len(x.chunk(4, 1)),
    "split": lambda m, x: cat(x.split(x.size(1) // 2, 1)),
    "rows": lambda m, x: sum(x.unbind(2))[:, :, None],
    "samples": lambda m, x: torch.cat([sample[None] for sample in x]),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_of_a_split_are_a_tuple(name):
    assert agreed(around(PARTS[name])).fixed.keys() == {"b"}


def test_res2net_and_c2f_blocks_are_followed():
    groups = agreed(around(res2, layers=nn.ModuleList(conv(2, 2) for _ in range(3))))
    assert {"a", "layers.2"} == set(groups)
    layers = nn.ModuleList(conv(4, 4) for _ in range(2))
    assert "a" in agreed(around(c2f, layers=layers, last=conv(16, 8)))


PLAIN = {
    "if": lambda m, x: F.relu(x) if x.shape[-1] > 7 else x,
    "equal": lambda m, x: x if x.shape[2:] == x.shape[2:] and x.dim() == x.ndim == 4 else -x,
    "len": lambda m, x: x if len(x.shape) == 4 else -x,
    "sqrt": lambda m, x: x / math.sqrt(x.size(2)),
    "isinstance": lambda m, x: F.interpolate(x, x.size(3) if isinstance(x.size(3), int) else 1),
    "tuple": lambda m, x: F.interpolate(x, tuple(x.shape[-2:])),
    "text": lambda m, x: (f"{x.shape}", x)[1],
    "device": lambda m, x: x.cuda() if x.device.type == "cuda" or x.is_cuda else x,
    "arange": lambda m, x: x + torch.arange(x.size(-1), device=x.device),
    "linspace": lambda m, x: x + torch.linspace(0, 1, x.size(-1), dtype=x.dtype),
    "mesh": lambda m, x: x + torch.meshgrid(*map(torch.arange, x.shape[2:]), indexing="ij")[0],
    "ones": lambda m, x: x * torch.ones(x.size(0), 1, x.size(2), x.size(3)),
    "tensor": lambda m, x: x * torch.tensor([x.size(2) / 2, 3.0]).mean(),
    "zeros_like": lambda m, x: x + torch.zeros_like(x),
    "new_zeros": lambda m, x: x + x.new_zeros(1, 1, x.size(2), 1),
    "eye": lambda m, x: x + torch.eye(8),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_sizes_that_pruning_leaves_alone_are_plain_numbers(name):
    assert agreed(around(PLAIN[name]))["a"].size == 8


WIDTHS = {
    "int": lambda m, x: cat([x[:, : int(x.size(1) * 0.5)], x[:, int(x.size(1) * 0.5) :]]),
    "half": lambda m, x: cat([x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]]),
    "if": lambda m, x: F.relu(x) if x.shape[1] > 7 else x,
    "range": lambda m, x: sum(x for _ in range(x.size(1) // 2)),
    "list": lambda m, x: x * len([1] * x.size(1)),
    "float": lambda m, x: x / float(x.size(1)),
    "sqrt": lambda m, x: x / math.sqrt(x.size(1)),
    "round": lambda m, x: x * round(x.size(1) / 3),
    "max": lambda m, x: x * max(x.size(1), 3),
    "tensor": lambda m, x: x * torch.tensor(x.size(1)),
    "full": lambda m, x: x * torch.full((1,), x.size(1)),
    "zeros": lambda m, x: x + torch.zeros(x.size(0), x.size(1), 1, 1),
    "key": lambda m, x: x * {8: 1, 4: 2}.get(x.size(1), 3),
    "format": lambda m, x: x * int(f"{x.size(1)}"),
    "divmod": lambda m, x: x * divmod(x.size(1), 3)[0],
    "numpy": lambda m, x: x * float(np.sqrt(x.size(1))),
    "of pixels": lambda m, x: F.pad(x[:, :, : x.shape[1] - 2], (0, 0, 0, 2)),
    "numel": lambda m, x: x / x[0].numel(),
    "stride": lambda m, x: x / x.stride(0),
    "index": lambda m, x: x * list(range(9))[x.size(1)],
}


@pytest.mark.parametrize("name", WIDTHS)
def test_a_number_or_decision_from_a_width_fixes_its_channels(name):
    groups = agreed(around(WIDTHS[name]))
    assert "channels" in groups.fixed["a"] or "an operation" in groups.fixed["a"]
    assert "test_groups_sizes.py:" in groups.fixed["a"]


def test_a_width_that_scales_another_activation_is_fixed_too():
    net = around(lambda m, x: x * m.d(m.c(x)).shape[1] ** -0.5, c=conv(8, 7), d=conv(7, 7))
    assert "number of its channels" in agreed(net).fixed["d"]


VIEWS = {
    "its own": (lambda m, x: x.view(x.size(0), x.size(1), -1).view(*x.shape), {"a", "c"}),
    "another's": (lambda m, x: x.view(x.size(0), m.c(x).size(1), 8, 8), {"a"}),
    "its own, of pixels": (lambda m, x: x.view(x.size(0), -1, x.size(1), 8), set()),
    "a map's": (lambda m, x: x.view(x.size(0), x.size(2), 8, 8), set()),
    "a weight's": (lambda m, x: x.view(x.size(0), m.a.weight.shape[0], 8, 8), set()),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_fits_only_where_its_size_follows_the_channels(name):
    use, offered = VIEWS[name]
    net = Net(
        lambda m, x: (m.b(use(m, m.a(x))), m.d(m.c(m.a(x)))),
        a=conv(3, 8),
        b=conv(8, 2),
        c=conv(8, 8),
        d=conv(8, 2),
    )
    assert {"a"} & set(agreed(net)) == {"a"} & offered


def test_squeeze_and_excitation_with_views():
    def forward(m, x):
        x = m.a(x)
        b, c, _, _ = x.size()
        y = F.adaptive_avg_pool2d(x, 1).view(b, c)
        return m.b(x * m.up(F.relu(m.down(y))).view(b, c, 1, 1).expand_as(x))

    net = Net(forward, a=conv(3, 8), down=nn.Linear(8, 3), up=nn.Linear(3, 8), b=conv(8, 2))
    assert set(agreed(net)) == {"a", "down"}


FLAT = {
    "size": lambda x: x.view(x.size(0), -1),
    "shape": lambda x: x.reshape(x.shape[0], math.prod(x.shape[1:])),
    "product": lambda x: x.view(-1, x.shape[1] * x.shape[2] * x.shape[3]),
    "twice": lambda x: torch.cat([x, x]).view(2 * x.size(0), -1)[: x.size(0)],
    "numel": lambda x: x.view(-1, x[0].numel()),
    "int": lambda x: x.view(int(x.size(0)), -1),
    "part": lambda x: x[: x.size(0) - 1 + 1].flatten(1),
    "constant": lambda x: (x + torch.zeros(x.size(0), 1, 1, 1)).flatten(1),
}


@pytest.mark.parametrize("name", FLAT)
def test_the_graph_runs_on_other_batches(name):
    net = ready(Net(lambda m, x: m.fc(FLAT[name](m.a(x))), a=conv(3, 5), fc=head(5, 64)))
    graph, parts = graph_of(net, batch(*IMAGE), "test")
    run = fx.GraphModule(parts, graph)
    for n in (1, 2, 5):
        x = batch(*IMAGE, n=n)
        assert torch.equal(run(x), net(x))
    assert flow(net, batch(*IMAGE)).groups["a"].size == 5


BATCHES = {
    "if": lambda m, x: F.relu(x) if x.size(0) > 4 else x,
    "range": lambda m, x: torch.cat([x[i : i + 1] for i in range(x.size(0))]),
    "for": lambda m, x: torch.cat([sample[None] for sample in x]),
}


@pytest.mark.parametrize("name", BATCHES)
def test_code_that_depends_on_the_number_of_samples_is_traced_but_not_replayed(name):
    net = ready(around(BATCHES[name]))
    assert trace(net, batch(*IMAGE))["a"].size == 8
    with pytest.raises(ValueError, match="the size of the batch as a plain number") as caught:
        flow(net, batch(*IMAGE))
    assert "\n" not in str(caught.value)


def test_what_only_other_batches_do_is_found_too():
    net = around(lambda m, x: x.view(-1, 8, 8, 8) if x.size(0) == 1 else x)
    assert "constant size 8" in agreed(net).fixed["a"]
