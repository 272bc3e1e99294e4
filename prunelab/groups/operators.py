"""The operators that the package knows: torch's functions and modules by what they do to channels.

`FUNCTIONS` and `MODULES` say by which rule of `table` an operator is followed. What is in neither
fixes the channels that enter. tests/groups/test_torch_modules.py and test_torch_functions.py go
through torch's own lists and hold masked = shrunk for each entry.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# Layers and calls that more than one part of the package asks for.
CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED_CONVS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
RELUS = (nn.ReLU, functional.relu, torch.relu, "relu", torch.relu_, "relu_", functional.relu_)
ADDITIONS = frozenset("add iadd radd sub isub rsub subtract".split())
# f(z x) = z f(x) for a factor z > 0 on a channel: what may stand between a gate and its readers.
HOMOGENEOUS = frozenset(
    """
    relu relu_ leaky_relu leaky_relu_ prelu ReLU LeakyReLU PReLU
    max_pool1d max_pool2d avg_pool1d avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_max_pool2d MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d
    AdaptiveMaxPool2d interpolate Upsample mean sum amax
    dropout dropout1d dropout2d Dropout Dropout1d Dropout2d Identity contiguous
    flatten Flatten view reshape permute transpose squeeze unsqueeze cat getitem chunk split
    """.split()
)

# Rule -> names, where `convNd` stands for conv1d, conv2d and conv3d. A name is looked up as it
# is and then `plain`: `relu_` and `special_expit` need no entry of their own.
FUNCTIONS = {
    "entrywise": """
        relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid
        tanh softplus softsign threshold rrelu logsigmoid log_sigmoid hardshrink softshrink
        tanhshrink dropout dropoutNd alpha_dropout feature_dropout feature_alpha_dropout
        stochastic_depth contiguous clone detach alias requires_grad float double half bfloat16 int
        long short char byte bool to type type_as cpu cuda neg negative positive abs absolute sign
        sgn signbit exp exp2 expm1 log1p sqrt square sin cos tan asin arcsin acos arccos atan arctan
        sinh cosh tanh asinh arcsinh atanh arctanh erf erfc erfinv expit sinc i0 i0e i1 i1e ndtr
        log_ndtr erfcx entr bessel_j0 bessel_j1 round floor ceil trunc fix frac nan_to_num deg2rad
        rad2deg identity zero fill zeros_like ones_like full_like logical_not bitwise_not invert inv
        isfinite isinf isnan isposinf isneginf isreal real angle conj conj_physical atleast_1d
        atleast_2d atleast_3d resolve_conj resolve_neg
    """,
    "infinite": """
        log log2 log10 reciprocal rsqrt logit lgamma gammaln digamma psi multigammaln mvlgamma
        polygamma acosh arccosh ndtri
    """,
    "pool": """
        max_poolNd max_poolNd_with_indices avg_poolNd adaptive_avg_poolNd adaptive_max_poolNd
        adaptive_max_poolNd_with_indices lp_poolNd interpolate upsample upsample_nearest
        upsample_bilinear
    """,
    "elementwise": """
        add iadd radd subtract sub isub rsub multiply mul imul rmul divide true_divide truediv
        itruediv rtruediv div idiv rdiv floordiv ifloordiv rfloordiv floor_divide mod imod rmod fmod
        remainder pow ipow rpow float_power maximum minimum fmax fmin where clamp clip clamp_min
        clamp_max lerp addcmul addcdiv atan2 arctan2 hypot logaddexp logaddexp2 copysign heaviside
        masked_fill copy xlogy xlog1py isclose eq ne lt le gt ge equal not_equal less less_equal
        greater greater_equal and iand rand or ior ror xor ixor rxor logical_and logical_or
        logical_xor bitwise_and bitwise_or bitwise_xor
    """,
    "over_axes": """
        mean sum prod var std norm any all nansum nanmean logsumexp argmax argmin median nanmedian
        mode std_mean var_mean count_nonzero aminmax amax amin kthvalue quantile nanquantile
        vector_norm linalg_norm linalg_vector_norm softmax log_softmax softmin normalize cumsum
        cumprod logcumsumexp cummax cummin sort argsort topk flip roll rot90 diff
    """,
    "product": """
        matmul imatmul rmatmul bmm mm mv dot vdot inner outer ger kron cdist tensordot einsum
        baddbmm addbmm addmm addmv addr linalg_matmul linalg_multi_dot chain_matmul bilinear cross
        linalg_cross linalg_vecdot scaled_dot_product_attention
    """,
    "across": "group_norm local_response_norm cosine_similarity pairwise_distance glu_jvp",
    "last_axes": "layer_norm rms_norm",
    "triangle": "tril triu",
    "extreme": "max min",
    "move": """
        flatten ravel permute transpose swapaxes swapdims unsqueeze movedim moveaxis t adjoint
    """,
    "attribute": "getattr",
    "reshape": "view reshape expand expand_as broadcast_to",
    "unflatten": "unflatten",
    "repeat": "repeat tile repeat_interleave",
    "select": "getitem split narrow select unbind split_with_sizes tensor_split unsafe_split",
    "chunk": "chunk unsafe_chunk",
    "concatenate": "cat concat concatenate hstack column_stack vstack row_stack",
    "stack": "stack",
    "functional": "convNd conv_transposeNd linear",
    "per_channel": "batch_norm instance_norm prelu",
    "pad": "pad _pad",
    "squeeze": "squeeze",
    "glu": "glu",
    "blocks": "pixel_shuffle pixel_unshuffle fold unfold",
    "shuffle": "channel_shuffle native_channel_shuffle",
    "unpool": "max_unpoolNd",
    "sample": "grid_sample",
}
MODULES = {
    "entrywise": """
        ReLU ReLU6 LeakyReLU RReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh
        Sigmoid LogSigmoid Tanh Tanhshrink Hardshrink Softshrink Softplus Softsign Threshold Dropout
        DropoutNd AlphaDropout FeatureAlphaDropout Identity
    """,
    "pool": """
        MaxPoolNd AvgPoolNd LPPoolNd AdaptiveAvgPoolNd AdaptiveMaxPoolNd Upsample
        UpsamplingNearest2d UpsamplingBilinear2d CircularPadNd ConstantPadNd ReflectionPadNd
        ReplicationPadNd ZeroPadNd
    """,
    "per_channel": "BatchNormNd SyncBatchNorm InstanceNormNd PReLU",
    "across": """
        GroupNorm LocalResponseNorm CrossMapLRN2d Softmax2d CosineSimilarity PairwiseDistance
    """,
    "last_axes": "LayerNorm RMSNorm",
    "over_axes": "Softmax Softmin LogSoftmax",
    "conv": "ConvNd ConvTransposeNd",
    "linear": "Linear",
    "embedding": "Embedding",
    "move": "Flatten",
    "unflatten": "Unflatten",
    "glu": "GLU",
    "blocks": "PixelShuffle PixelUnshuffle Fold Unfold",
    "shuffle": "ChannelShuffle",
    "unpool": "MaxUnpoolNd",
}
# What changes the shape of its operand: what is read of it later would be something else.
RESHAPING = frozenset("t_ transpose_ swapaxes_ swapdims_ squeeze_ unsqueeze_ resize_ set_".split())


def spelled(names: str) -> list[str]:
    """The single names in an entry of `FUNCTIONS` or `MODULES`."""
    return [
        name.replace("Nd", f"{d}d")
        for name in names.split()
        for d in "123"[: 3 if "Nd" in name else 1]
    ]


def plain(name: str) -> str:
    """The name of an operation without the marks of its spelling: `__iadd__`, `mul_`, `special_`.

    What is written in place is followed like what is not: its operands are tied all the same.
    """
    name = name.removeprefix("special_")
    if name.startswith("__"):
        return name.strip("_")
    return name.removesuffix("_") if name.strip("_") else name
