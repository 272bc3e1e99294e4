"""Exercises of notebook 00: what a channel costs."""

from prunelab.lab.exercise import Exercise

# A 3x3 convolution from 16 to 32 channels on maps of 14x14; behind it one from 32 to 64 on 7x7.
FIRST, SECOND = 16 * 32 * 9 * 14 * 14, 32 * 64 * 9 * 7 * 7

EXERCISES = (
    Exercise(
        "00-1",
        "multiply-accumulates of a convolution",
        lambda: FIRST,
        (
            (lambda: 16 * 32 * 9, "these are its weights: each is used at every position of a map"),
            (
                lambda: 2 * FIRST,
                "a multiply-accumulate counts once: one multiplication, one addition",
            ),
            (lambda: 16 * 32 * 14 * 14, "a kernel has 3 x 3 weights: each of them multiplies"),
        ),
        "multiply channels in, channels out, weights of a kernel, and positions of the map",
        minutes=3,
        importance=5,
    ),
    Exercise(
        "00-2",
        "what half of the channels between two layers saves",
        lambda: (FIRST + SECOND) // 2,
        (
            (
                lambda: FIRST // 2,
                "the layer behind reads these channels: its kernels for them go too",
            ),
            (
                lambda: FIRST // 2 + SECOND // 4,
                "the layer behind loses inputs alone: half, not three quarters",
            ),
            (
                lambda: (FIRST + SECOND) * 3 // 4,
                "that would be half of the inputs and of the outputs of both",
            ),
        ),
        "count what the first layer no longer writes and what the second no longer reads",
        minutes=5,
        importance=5,
    ),
    Exercise(
        "00-3",
        "which layers lose weights with a channel of a residual stream",
        lambda: {"writers", "readers", "norms"},
        (
            (lambda: {"writers"}, "what reads the stream has a kernel for each of its channels"),
            (
                lambda: {"writers", "readers"},
                "a batch norm on the stream has a scale and a shift per channel",
            ),
            (
                lambda: {"readers", "norms"},
                "the convolutions that add to the stream have a filter per channel",
            ),
        ),
        "follow one channel of the sum through the network: who writes it, who touches it, who reads it",
        minutes=5,
    ),
)
