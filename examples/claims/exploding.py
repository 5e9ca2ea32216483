"""Training of a deep ReLU network whose weights begin too large."""

import numpy as np

import fastnorm
from claims import SEEDS, STYLES, Finding, chosen, draw_band, finish, is_larger, scientific, spread
from layers import BatchNorm, Linear, Network, ReLU
from training import Digits, History, descend, softmax_cross_entropy, train

CLAIM = "In a badly scaled ReLU network gradients explode; clipping them, or BatchNorm, makes it trainable."
DEPTH, WIDTH, TOO_LARGE = 20, 64, 1.5
# Gradients of 1e4 want rates as small as the others want large: with fewer rates the plain network only looks hopeless.
RATES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
OPTIONS = {"epochs": 15, "batch": 64}
MAX_NORM = 1.0
TRAINED = 0.5  # test accuracy from which on a network counts as trained
RUNS = 3 * len(RATES) * len(SEEDS)


def build(seed: int, norm) -> Network:
    rng = np.random.default_rng(seed)
    layers = []
    for n_in in [64] + [WIDTH] * (DEPTH - 1):
        layers.append(Linear(rng, n_in, WIDTH, gain=TOO_LARGE * 2**0.5, bias=norm is None))
        if norm is not None:
            layers.append(BatchNorm(norm, WIDTH))
        layers.append(ReLU())
    return Network([*layers, Linear(rng, WIDTH, 10)])


def descend_clipped(params, grads, rate: float) -> None:
    """Gradients whose norm is above the bound are scaled to it (Pascanu, Mikolov and Bengio 2013).

    Where the norm is infinite or NaN they are left as they are, and there is no step to take.
    """
    if np.isfinite(fastnorm.clip_by_global_norm(grads, MAX_NORM)):
        descend(params, grads, rate)


def first_norm(network: Network, digits: Digits) -> float:
    """The norm of all gradients together, before any training."""
    x, labels = digits.train.x[:64], digits.train.labels[:64]
    return fastnorm.global_norm(network.backward(softmax_cross_entropy(network.forward(x, True), labels)[1]))


def largest_finite(tried: dict[float, list[History]]) -> float:
    """The largest rate at which no run ended in infinity or NaN; 0 if there is none."""
    return max((rate for rate, runs in tried.items() if np.isfinite([run.loss[-1] for run in runs]).all()), default=0)


def verdict_on(best: dict[str, list[History]], finite: dict[str, float]) -> str:
    """best: the runs at the best rate, finite: the largest rate without infinity or NaN, of each kind."""
    tests = {name: [run.test[-1] for run in runs] for name, runs in best.items()}
    plain, clipped, normed = tests.values()
    trained = [np.mean(values) >= TRAINED for values in (clipped, normed)]
    verdict = {
        (True, True): "It shows.",
        (True, False): "It shows for clipping, not for BatchNorm.",
        (False, True): "It shows for BatchNorm, not for clipping.",
        (False, False): "It does not show.",
    }[tuple(trained)]
    more = "more than" if is_larger(clipped, plain) else "less than"
    finite_plain, finite_clipped, _ = finite.values()
    return (
        f"{verdict} A network counts as trained if it gets {TRAINED:.0%} of the test digits right. Each at its best "
        f"rate, after {OPTIONS['epochs']} epochs, the plain one gets {np.mean(plain):.0%}; the clipped one "
        f"{np.mean(clipped):.0%}, {more} two standard errors above that; the one with BatchNorm {np.mean(normed):.0%}. "
        f"The largest rate at which no run ended in infinity or NaN is {finite_plain:g} without clipping and "
        f"{finite_clipped:g} with it; {max(RATES):g} is the largest tried. The norm of all gradients is that before "
        f"any training: geometric mean, and range over the seeds."
    )


def measure(digits: Digits, advance) -> Finding:
    kinds = {
        "plain": (None, descend),
        f"clipped to {MAX_NORM:g}": (None, descend_clipped),
        "with BatchNorm": (fastnorm, descend),
    }
    rows, best, finite = [], {}, {}
    for name, (norm, step) in kinds.items():
        tried = {}
        for rate in RATES:
            tried[rate] = []
            for seed in SEEDS:
                tried[rate].append(train(build(seed, norm), digits, rate=rate, seed=seed, step=step, **OPTIONS))
                advance()
        # the digits for validation choose the rate
        rate = max(tried, key=lambda rate: np.mean([run.validation[-1] for run in tried[rate]]))
        best[name], finite[name] = tried[rate], largest_finite(tried)
        norms = [first_norm(build(seed, norm), digits) for seed in SEEDS]
        test = [run.test[-1] for run in tried[rate]]
        rows.append(
            [name, scientific(norms), f"{finite[name]:g}", chosen(rate, RATES), spread(test, percent=True)],
        )
    header = ["", "norm of the first gradient", "largest rate without infinity or NaN", "best rate", "test accuracy"]
    finding = Finding(header, rows, verdict_on(best, finite))
    axes = finding.figure.subplots()
    for (name, runs), style in zip(best.items(), STYLES, strict=True):
        draw_band(axes, np.arange(1, OPTIONS["epochs"] + 1), [run.test for run in runs], name, style)
    finish(axes, xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
    return finding
