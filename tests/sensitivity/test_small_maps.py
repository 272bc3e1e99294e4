"""Convolutions of small maps with fewer products give the convolution's own numbers."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from prunelab.sensitivity.scanning.small_maps import Dense, Winograd, quick


def image(n, channels, height, width, dtype=torch.float64):
    x = torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(5))
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 4)] * 2),
    st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_a_dense_form_is_the_convolution(size, kernel, stride, padding, dilation, bias):
    least = [d + 2 * padding - dilation * (k - 1) for d, k in zip(size, kernel)]
    assume(min(least) > 0)
    conv = nn.Conv2d(3, 5, kernel, stride, padding, dilation, bias=bias).double()
    x = image(4, 3, *size)
    torch.testing.assert_close(Dense.of(conv, *size)(x), conv(x))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_minimal_filtering_is_the_convolution(height, width, bias):
    conv = nn.Conv2d(6, 4, 3, padding=1, bias=bias).double()
    x = image(3, 6, height, width)
    torch.testing.assert_close(Winograd.of(conv, height, width)(x), conv(x))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_in_float32_it_is_as_close_to_the_exact_numbers_as_the_convolution(size):
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 128, 3, padding=1).double()
    x = image(50, 256, size, size).relu()
    exact = conv(x)
    conv, x = conv.float(), x.float()
    assert (quick(conv, x)(x) - exact).abs().max() < 3 * (conv(x) - exact).abs().max()


@pytest.mark.parametrize(
    ("conv", "size", "form"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), 2, Dense),
        (nn.Conv2d(64, 64, 3, padding=1), 4, Winograd),
        (nn.Conv2d(64, 64, 3, padding=1), 8, type(None)),
        (nn.Conv2d(64, 64, 1), 1, type(None)),
        (nn.Conv2d(64, 64, 3, padding=1, groups=2), 2, type(None)),
        (nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"), 2, type(None)),
        (nn.Conv2d(64, 64, 3, padding="same"), 2, type(None)),
        (nn.Conv2d(64, 64, 3, padding=1, stride=2), 4, type(None)),
        (nn.Conv2d(64, 64, 5, padding=2), 4, Dense),
        (nn.Linear(64, 64), 4, type(None)),
    ],
)
def test_which_convolutions_have_a_form_with_fewer_products(conv, size, form):
    assert type(quick(conv, image(1, 64, size, size, torch.float32))) is form
