"""Every class of torch.nn is followed, or fixes its channels with a reason that names it."""

import inspect
import re

import pytest
from helpers.torch_list import CHANNELS, around, example, held
from torch import nn
from torch.nn import functional as F

from prunelab.groups.rules import entrywise
from prunelab.groups.table import MODULES

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch; new ones are counted by `held`
# What arguments without a default are, by name; and for some classes.
VALUES = {
    "output_size": 2, "kernel_size": 2, "padding": 1, "value": 0.5, "in1_features": CHANNELS,
    "in2_features": CHANNELS, "out_features": 4, "groups": 2, "in_channels": CHANNELS,
    "out_channels": 4, "num_features": CHANNELS, "num_groups": 2, "num_channels": CHANNELS,
    "size": 3, "num_embeddings": 10, "embedding_dim": 4, "input_size": CHANNELS, "hidden_size": 4,
    "norm_type": 2.0, "normalized_shape": CHANNELS, "in_features": CHANNELS, "n_classes": 10,
    "cutoffs": [3], "num_classes": 5, "embed_dim": CHANNELS, "num_heads": 2,
    "upscale_factor": 2, "downscale_factor": 2, "threshold": 0.1, "d_model": CHANNELS, "nhead": 2,
    "dim": 1, "unflattened_size": (-1, 2), "num_layers": 1,
    "encoder_layer": nn.TransformerEncoderLayer(CHANNELS, 2, 16, batch_first=True),
    "decoder_layer": nn.TransformerDecoderLayer(CHANNELS, 2, 16),
}  # fmt: skip
ARGUMENTS = {
    "Fold": {"output_size": (10, 2)},
    "GRU": {"input_size": CHANNELS, "hidden_size": 4},
    "LSTM": {"input_size": CHANNELS, "hidden_size": 4},
    "RNN": {"input_size": CHANNELS, "hidden_size": 4},
    "Upsample": {"scale_factor": 2},
    "UpsamplingBilinear2d": {"scale_factor": 2},
    "UpsamplingNearest2d": {"scale_factor": 2},
    "FractionalMaxPool2d": {"output_size": 2},
    "FractionalMaxPool3d": {"output_size": 2},
    "Transformer": {"d_model": CHANNELS, "nhead": 2, "num_encoder_layers": 1,
                    "num_decoder_layers": 1, "dim_feedforward": 16},
}  # fmt: skip
FURTHER = [  # tried on each class that takes them
    {"groups": 4}, {"affine": True}, {"affine": False, "track_running_stats": False},
    {"padding_mode": "circular"}, {"return_indices": True}, {"bias": False},
    {"dim": -1}, {"kernel_size": 3, "stride": 1, "padding": 1}, {"normalized_shape": 6},
    {"elementwise_affine": False}, {"unflattened_size": (4, 2)}, {"num_parameters": CHANNELS},
]  # fmt: skip
CALLS = {
    "BCELoss": lambda m, x: m(x.sigmoid(), x.sigmoid()),
    "Embedding": lambda m, x: m((x > 0).long()),
    "EmbeddingBag": lambda m, x: m((x > 0).long()),
    "GaussianNLLLoss": lambda m, x: m(x, x, x.abs() + 1),
    "KLDivLoss": lambda m, x: m(x, x.sigmoid()),
    "MaxUnpool1d": lambda m, x: m(*_pair(F.max_pool1d(x, 2, return_indices=True))),
    "MaxUnpool2d": lambda m, x: m(*_pair(F.max_pool2d(x, 2, return_indices=True))),
    "MaxUnpool3d": lambda m, x: m(*_pair(F.max_pool3d(x, 2, return_indices=True))),
}


def _pair(both):
    return both[0], both[1]


MANY = [lambda m, x: m(x), lambda m, x: m(x, x), lambda m, x: m(x, x, x)]
# What is no layer, and losses that compare with whole numbers.
LEFT_OUT = set(
    """
    Container Module ModuleDict ModuleList ParameterDict ParameterList Sequential RNNBase
    RNNCellBase LinearCrossEntropyOptions LinearCrossEntropyLoss AdaptiveLogSoftmaxWithLoss CTCLoss
    MultiMarginLoss NLLLoss NLLLoss2d
    MultiLabelMarginLoss CosineEmbeddingLoss
""".split()
)
# What sums over channels, draws numbers, or has a state: these fix, in whatever layout.
FIXES = set(
    """
    Bilinear CosineSimilarity CrossMapLRN2d Embedding EmbeddingBag FractionalMaxPool2d
    FractionalMaxPool3d GRU GRUCell GroupNorm LSTM LSTMCell LocalResponseNorm MultiheadAttention
    PairwiseDistance RNN RNNCell Softmax2d Transformer TransformerDecoder TransformerDecoderLayer
    TransformerEncoder TransformerEncoderLayer
""".split()
)
CLASSES = [n for n in nn.modules.__all__ if n not in LEFT_OUT and not n.startswith("Lazy")]


def required(kind):
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {p.name: VALUES[p.name] for p in parameters if p.default is p.empty and p.name in VALUES}


def variants(name):
    """Modules of a class: as few arguments as it takes, and each further option that it has."""
    kind = getattr(nn, name)
    base = required(kind) | ARGUMENTS.get(name, {})
    known = inspect.signature(kind.__init__).parameters
    turned = "Transpose" in name  # these pad with zeros only
    for options in [{}, *FURTHER]:
        if set(options) <= set(known) and not (turned and "padding_mode" in options):
            yield kind(**base | options)


def layouts(name):
    """What a class is for, and what it takes for one image without a batch."""
    if name == "Fold":
        return ("signal",)
    if found := re.search(r"([123])d", name):
        return {"1": ("signal", "vector"), "2": ("image", "tokens"), "3": ("volume", "image")}[
            found[1]
        ]
    if MODULES.get(getattr(nn, name)) is entrywise or name.endswith("Loss"):
        return ("image",)
    return "image", "vector", "tokens"


def networks(name):
    """(layout, network) for every variant and layout that torch itself runs."""
    calls = [CALLS[name]] if name in CALLS else MANY
    for module in variants(name):
        for layout in layouts(name):
            nets = (around(layout, call, module) for call in calls)
            if net := next(filter(None, nets), None):
                yield layout, net


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_followed_or_fixes_with_a_reason(name):
    seen, offered = 0, 0
    for layout, net in networks(name):
        groups, reason = held(net, example(layout), twice=not offered)
        seen, offered = seen + 1, offered + ("first" in groups)
        assert reason is None or any(w in reason for w in ("`module`", name, "max_pool")), reason
    assert seen, "torch runs it on no layout: give it arguments"
    fixes = name in FIXES or name.endswith("Loss")
    assert bool(offered) != fixes
