"""Codes: what is decoded is what was coded, and Huffman's code is the shortest."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelab.lab.n11 import mean_bits
from prunelab.quantisation import coding

MANY = settings(max_examples=80, deadline=None)


@given(bits=st.integers(1, 8), data=st.data())
@MANY
def test_numbers_of_few_bits_come_back(bits, data):
    codes = np.array(data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=40)), np.uint8)
    stream = coding.packed(codes, bits)
    assert len(stream) == math.ceil(len(codes) * bits / 8)
    assert np.array_equal(coding.unpacked(stream, bits, len(codes)), codes)


@given(places=st.sets(st.integers(0, 3000), max_size=40).map(sorted), bits=st.integers(1, 8))
@MANY
def test_places_come_back_and_padding_lies_on_zeros(places, bits):
    gaps, real = coding.gaps(np.array(places, np.int64), bits)
    found = coding.places(gaps)
    assert found[real].tolist() == places
    assert not set(found[~real].tolist()) & set(places)
    assert gaps.max(initial=0) < 2**bits


def test_a_distance_without_room_is_bridged_as_in_the_papers_figure():
    gaps, real = coding.gaps(np.array([1, 4, 15]), 3)  # 10 zeros between 4 and 15: 8 is too far
    assert gaps.tolist() == [1, 2, 7, 2] and real.tolist() == [True, True, False, True]
    assert coding.places(gaps).tolist() == [1, 4, 12, 15]


@given(symbols=st.lists(st.integers(0, 20), max_size=60))
@MANY
def test_symbols_come_back_from_huffmans_code(symbols):
    sizes, stream = coding.huffman(np.array(symbols, np.uint8))
    assert coding.symbols(stream, sizes, len(symbols)).tolist() == symbols


@given(counts=st.lists(st.integers(0, 1000), min_size=2, max_size=30))
@MANY
def test_no_code_is_shorter_and_none_of_its_words_begins_another(counts):
    counts = np.array(counts)
    if (counts > 0).sum() < 2:
        return
    sizes, shares = coding.lengths(counts), counts[counts > 0] / counts.sum()
    mean = float((sizes * counts).sum() / counts.sum())
    assert mean == pytest.approx(mean_bits(shares.tolist()))
    entropy = -float((shares * np.log2(shares)).sum())
    assert entropy - 1e-9 <= mean < entropy + 1
    words = [f"{word:0{size}b}" for size, word in coding.codewords(sizes)]
    assert not [(a, b) for a in words for b in words if a != b and b.startswith(a)]
    assert sum(2.0 ** -len(word) for word in words) == 1


def test_a_stream_that_ends_too_early_is_refused():
    sizes, stream = coding.huffman(np.array([0, 1, 2, 0, 1, 2, 2], np.uint8))
    with pytest.raises(ValueError, match="symbols where 40 are announced"):
        coding.symbols(stream, sizes, 40)
