"""Exercises of notebook 00: what a channel costs."""

from prunelab.lab.exercise import Exercise

# A 3x3 convolution from 16 to 32 channels on maps of 14x14; behind it one from 32 to 40 on 7x7.
# A quarter goes and not a half, so that what is saved and what is left are two numbers.
FIRST, SECOND = 16 * 32 * 9 * 14 * 14, 32 * 40 * 9 * 7 * 7

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
        "what removing channels between two layers saves",
        lambda: (FIRST + SECOND) // 4,
        (
            (
                lambda: FIRST // 4,
                "the layer behind reads these channels: its kernels for them go too",
            ),
            (lambda: 3 * (FIRST + SECOND) // 4, "this is what is left; what is saved is asked for"),
            (
                lambda: FIRST // 4 + SECOND * 7 // 16,
                "the layer behind loses inputs alone: it writes as many channels as before",
            ),
            (
                lambda: (FIRST + SECOND) * 7 // 16,
                "that would be a quarter of the inputs and of the outputs of both",
            ),
            (
                lambda: (FIRST + 4 * SECOND) // 4,
                "there is a pooling between the two: the second has maps of 7x7",
            ),
            (lambda: FIRST, "this is the first layer as a whole, as in 00-1"),
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
            (
                lambda: {"writers", "readers", "norms", "inner"},
                "'inner' convolutions have no kernel for a channel that they neither write nor read",
            ),
        ),
        "follow one channel of the sum through the network: who writes it, who touches it, who reads it",
        minutes=5,
    ),
)
