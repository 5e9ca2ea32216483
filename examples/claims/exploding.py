"""Training of a deep ReLU network whose weights begin too large."""

import numpy as np

import fastnorm
from claims import SEEDS, STYLES, Finding, draw_band, finish, scientific, spread
from layers import BatchNorm, Linear, Network, ReLU
from training import Digits, descend, softmax_cross_entropy, train

CLAIM = "In a badly scaled ReLU network gradients explode; clipping them, or BatchNorm, makes it trainable."
DEPTH, WIDTH, TOO_LARGE = 20, 64, 1.5
RATES = (0.01, 0.03, 0.1)
OPTIONS = {"epochs": 15, "batch": 64}
MAX_NORM = 1.0
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


def measure(digits: Digits, advance) -> Finding:
    kinds = {
        "plain": (None, descend),
        f"clipped to {MAX_NORM:g}": (None, descend_clipped),
        "with BatchNorm": (fastnorm, descend),
    }
    rows, best = [], {}
    for name, (norm, step) in kinds.items():
        tried = {}
        for rate in RATES:
            tried[rate] = []
            for seed in SEEDS:
                tried[rate].append(train(build(seed, norm), digits, rate=rate, seed=seed, step=step, **OPTIONS))
                advance()
        # the digits for validation choose the rate
        rate = max(tried, key=lambda rate: np.mean([run.validation[-1] for run in tried[rate]]))
        best[name] = tried[rate]
        norms = [first_norm(build(seed, norm), digits) for seed in SEEDS]
        failed = sum(not np.isfinite(run.loss[-1]) for run in tried[rate])
        test = [run.test[-1] for run in tried[rate]]
        rows.append([name, scientific(norms), f"{rate:g}", f"{failed} of {len(SEEDS)}", spread(test, percent=True)])
    plain, clipped, normed = ([run.test[-1] for run in runs] for runs in best.values())
    verdict = (
        f"At the best of the rates {', '.join(map(str, RATES))} the plain network ends at {np.mean(plain):.0%} of the "
        f"test digits, the clipped one at {np.mean(clipped):.0%}, the one with BatchNorm at {np.mean(normed):.0%}. "
    )
    verdict += f"Clipping {'helps' if min(clipped) > max(plain) else 'does not help clearly'}; "
    verdict += f"BatchNorm {'helps' if min(normed) > max(plain) else 'does not help clearly'}."
    header = ["", "norm of the first gradient", "best rate", "ended in infinity or NaN", "test accuracy"]
    finding = Finding(header, rows, verdict)
    axes = finding.figure.subplots()
    for (name, runs), style in zip(best.items(), STYLES, strict=True):
        draw_band(axes, np.arange(1, OPTIONS["epochs"] + 1), [run.test for run in runs], name, style)
    finish(axes, xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
    return finding
