"""Exercises of notebook 05: recursive Bayesian pruning."""

import math

from prunelab.lab.exercise import Exercise


def kl(mu: float, sigma: float) -> float:
    """Of N(mu, sigma^2) and the best N(0, tau)."""
    return 0.5 * math.log1p((mu / sigma) ** 2)


def tau(mu: float, sigma: float) -> float:
    """The variance that attains it: the second moment."""
    return mu**2 + sigma**2


def dirac_error(mu: float, sigma: float) -> float:
    """What the Dirac step leaves out of E[h^2] for h ~ N(mu, sigma^2)."""
    return sigma**2


_CASES = ((1.0, 0.5), (0.0, 0.2), (-2.0, 0.1), (0.3, 1.5))

EXERCISES = (
    Exercise(
        "05-1",
        "the penalty of a channel",
        kl,
        (
            (
                lambda mu, sigma: math.log1p((mu / sigma) ** 2),
                "the KL divergence has a factor of one half",
            ),
            (
                lambda mu, sigma: (mu / sigma) ** 2 / 2,
                "this is the KL to N(0, sigma^2); the prior fits its variance to each channel",
            ),
            (
                lambda mu, sigma: 0.5 * math.log1p(mu**2 / sigma),
                "both are squared: sigma is a standard deviation",
            ),
        ),
        "put the best tau into KL[N(mu, sigma^2) || N(0, tau)]",
        _CASES,
        difficulty=3,
        importance=5,
        minutes=10,
    ),
    Exercise(
        "05-2",
        "the prior that fits best",
        tau,
        (
            (
                lambda mu, sigma: sigma**2,
                "a channel with a mean is farther from 0 than its noise alone",
            ),
            (lambda mu, sigma: mu**2, "the noise belongs to the second moment too"),
            (
                lambda mu, sigma: math.hypot(mu, sigma),
                "tau is a variance, not a standard deviation",
            ),
        ),
        "set the derivative of the KL divergence by tau to 0",
        _CASES,
        difficulty=3,
    ),
    Exercise(
        "05-3",
        "what the Dirac step leaves out",
        dirac_error,
        (
            (
                lambda mu, sigma: mu**2 + sigma**2,
                "this is E[h^2] itself; the Dirac step gives mu^2 of it",
            ),
            (lambda mu, sigma: 0.0, "the square of a mean is not the mean of the square"),
            (lambda mu, sigma: sigma, "halve sigma: the error falls to a quarter, not to a half"),
        ),
        "the next layer sees h^2 with h ~ N(mu, sigma^2), and the Dirac step puts mu in its place",
        _CASES,
        difficulty=3,
        minutes=10,
    ),
)
