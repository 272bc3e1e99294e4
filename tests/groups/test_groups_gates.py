"""Attention gates in people's own spelling; the hidden layer of a transformer's feed-forward."""

import pytest
import torch
from helpers.networks import Net, conv, head, pooled, proven
from helpers.pruning import batch, ready
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from prunelab.groups import trace

C = 8


def gated(gate, **layers):
    """a -> gate -> b, where the gate may use layers of its own."""
    return Net(lambda m, x: m.b(gate(m, m.a(x))), a=conv(3, C), b=conv(C, 2), **layers)


def squeezed(m, y):
    return torch.sigmoid(m.up(F.relu(m.down(y))))


def sizes(m, x):
    b, c, _, _ = x.size()
    return x * squeezed(m, m.pool(x).view(b, c)).view(b, c, 1, 1).expand_as(x)


def by_convolutions(m, x):
    y = F.avg_pool2d(x, (x.size(2), x.size(3)))
    return x * torch.sigmoid(m.up2(F.relu(m.down2(y))))


LINEAR = [
    sizes,
    lambda m, x: x * squeezed(m, x.mean((2, 3)))[:, :, None, None],
    lambda m, x: x * squeezed(m, x.mean([-1, -2])).unsqueeze(-1).unsqueeze(-1),
    lambda m, x: x.mul(squeezed(m, m.pool(x).flatten(1)).reshape(x.shape[0], -1, 1, 1)),
    lambda m, x: torch.mul(squeezed(m, x.flatten(2).mean(-1)).view(x.size(0), -1, 1, 1), x),
    lambda m, x: x + x * squeezed(m, m.pool(x).squeeze(-1).squeeze(-1))[..., None, None],
    lambda m, x: x * squeezed(m, x.amax((2, 3)))[:, :, None, None],
    lambda m, x: x * squeezed(m, x.flatten(2).max(dim=2)[0])[:, :, None, None],
    lambda m, x: x * squeezed(m, x.flatten(2).max(-1).values)[:, :, None, None],
    lambda m, x: x * squeezed(m, torch.max(torch.max(x, 3)[0], 2)[0])[:, :, None, None],
    lambda m, x: x * squeezed(m, x.flatten(2).topk(4).values.mean(2))[:, :, None, None],
]


@pytest.mark.parametrize("gate", LINEAR)
def test_squeeze_and_excitation_is_followed_in_every_spelling(gate):
    layers = {"down": nn.Linear(C, 4), "up": nn.Linear(4, C), "pool": nn.AdaptiveAvgPool2d(1)}
    groups = proven(gated(gate, **layers))
    assert groups["a"].size == C and groups["a"].producers == ("a", "up")
    assert groups["down"].size == 4


def test_a_gate_of_convolutions_is_followed():
    layers = {"down2": nn.Conv2d(C, 4, 1), "up2": nn.Conv2d(4, C, 1)}
    assert proven(gated(by_convolutions, **layers))["a"].producers == ("a", "up2")


def channel_attention(m, x):
    """CBAM, first part: average and maximum through one shared perceptron."""
    average, largest = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)
    both = m.up(F.relu(m.down(average.flatten(1)))) + m.up(F.relu(m.down(largest.flatten(1))))
    return x * torch.sigmoid(both).unsqueeze(2).unsqueeze(3).expand_as(x)


def spatial_attention(m, x):
    """CBAM, second part."""
    seen = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
    return x * torch.sigmoid(m.where(seen))


def test_cbams_channel_attention_is_followed_and_its_spatial_attention_fixes():
    layers = {"down": nn.Linear(C, 4), "up": nn.Linear(4, C)}
    assert proven(gated(channel_attention, **layers))["a"].producers == ("a", "up")
    spatial = gated(spatial_attention, where=nn.Conv2d(2, 1, 7, padding=3))
    assert "works across channels" in proven(spatial).fixed["a"]


def test_eca_fixes_the_channels_that_its_convolution_slides_along():
    def eca(m, x):
        y = m.slide(F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2))
        return x * torch.sigmoid(y.transpose(-1, -2).unsqueeze(-1))

    groups = proven(gated(eca, slide=nn.Conv1d(1, 1, 3, padding=1, bias=False)))
    assert groups.fixed["a"] == "`slide` (Conv1d) works along axis 2, where its channels stand"


def test_selective_kernels_are_followed():
    def select(m, x):
        both = torch.stack([m.left(x), m.right(x)], 1)
        weights = torch.softmax(
            torch.stack([m.one(pooled(both.sum(1))), m.two(pooled(both.sum(1)))], 1), 1
        )
        return (both * weights[..., None, None]).sum(1)

    layers = {n: conv(C, 6) for n in ("left", "right")} | {
        n: nn.Linear(6, 6) for n in ("one", "two")
    }
    net = Net(lambda m, x: m.b(select(m, m.a(x))), a=conv(3, C), b=conv(6, 2), **layers)
    assert proven(net)["left"].producers == ("left", "right", "one", "two")


@pytest.mark.parametrize(
    ("mix", "reason"),
    [
        (lambda m, x: x @ x.transpose(2, 3), "the product `matmul`"),
        (lambda m, x: torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)), "the product `bmm`"),
        (lambda m, x: torch.einsum("nchw,nchw->nchw", x, x), "the product `einsum`"),
        (lambda m, x: F.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention"),
        (lambda m, x: x / (x.exp().sum(1, keepdim=True)), "works across channels"),
    ],
)
def test_products_of_activations_fix_with_a_reason(mix, reason):
    net = Net(lambda m, x: m.fc(mix(m, m.a(x)).flatten(1)), a=conv(3, C))
    net.fc = nn.Linear(net.double().a(batch(3, 8, 8)).shape[1] and _features(mix), 3)
    assert reason.replace("matmul", "") in proven(net).fixed["a"].replace("matmul", "")


def _features(mix):
    return mix(None, torch.zeros(1, C, 8, 8)).numel()


def test_the_hidden_layer_of_a_feed_forward_part_is_offered_and_its_stream_fixed():
    def forward(m, x):
        x = m.embed(x.flatten(2).transpose(1, 2))
        x = x + m.two(F.gelu(m.one(m.norm(x))))
        return m.fc(m.last(x).mean(1))

    net = Net(
        forward,
        embed=nn.Linear(3, C),
        norm=nn.LayerNorm(C),
        one=nn.Linear(C, 16),
        two=nn.Linear(16, C),
        last=nn.LayerNorm(C),
        fc=head(C),
    )
    groups = proven(net)
    assert list(groups) == ["one"] and "LayerNorm" in groups.fixed["embed"]


def test_a_vision_transformer_offers_its_hidden_layers():
    net = VisionTransformer(32, 16, 2, 2, 16, 24, num_classes=4)
    groups = proven(net, 3, 32, 32)
    assert [g.size for g in groups.values()] == [24, 24]


def test_torchs_own_encoder_layer_says_what_is_fixed():
    layer = nn.TransformerEncoderLayer(C, 2, 16, batch_first=True)
    net = Net(
        lambda m, x: m.fc(m.mix(m.embed(x.flatten(2).transpose(1, 2))).mean(1)),
        embed=nn.Linear(3, C),
        mix=layer,
        fc=head(C),
    )
    reason = trace(ready(net), batch(3, 4, 4)).fixed["embed"]
    assert "`TransformerEncoderLayer` at `mix`" in reason
