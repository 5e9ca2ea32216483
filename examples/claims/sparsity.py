"""L1 and L2 penalties on a linear classifier: how large its weights are, and how many are exactly 0."""

import numpy as np

import fastnorm
from claims import SEEDS, STYLES, Finding, is_larger, spread
from layers import Linear, Network
from training import Digits, descend, train

CLAIM = "An L1 penalty makes weights exactly zero, an L2 penalty only small."
STRENGTH_L1, STRENGTH_L2 = 0.002, 0.01
# All digits at once: the noise of small batches moves weights away from 0 that a penalty has put there.
OPTIONS = {"epochs": 500, "batch": 1197, "rate": 0.5}


def with_l2(params, grads, rate: float) -> None:
    fastnorm.l2_penalty(params[0], STRENGTH_L2, grads[0])
    descend(params, grads, rate)


def with_l1(params, grads, rate: float) -> None:
    """The penalty's gradient, sign(w), which never comes to rest at 0."""
    fastnorm.l1_penalty(params[0], STRENGTH_L1, grads[0])
    descend(params, grads, rate)


def with_soft_threshold(params, grads, rate: float) -> None:
    """The proximal step (Daubechies, Defrise and De Mol 2004) in place of that gradient."""
    descend(params, grads, rate)
    fastnorm.soft_threshold(params[0], rate * STRENGTH_L1, out=params[0])


KINDS = {
    "no penalty": descend,
    "L2": with_l2,
    "L1, by its gradient": with_l1,
    "L1, by its proximal step": with_soft_threshold,
}
RUNS = len(KINDS) * len(SEEDS)


def measure(digits: Digits, advance) -> Finding:
    rows, zeros, small, weights = [], {}, {}, {}
    for name, step in KINDS.items():
        networks = [Network([Linear(np.random.default_rng(seed), 64, 10, gain=1)]) for seed in SEEDS]
        test = []
        for seed, network in zip(SEEDS, networks, strict=True):
            test.append(train(network, digits, seed=seed, step=step, **OPTIONS).test[-1])
            advance()
        weights[name] = np.array([network.params[0] for network in networks])
        zeros[name] = (weights[name] == 0).mean(axis=(1, 2))
        small[name] = (np.abs(weights[name]) < 0.01).mean(axis=(1, 2))
        rows.append([name, *(spread(shares, percent=True) for shares in (zeros[name], small[name], test))])
    exact, by_l2 = zeros["L1, by its proximal step"], zeros["L2"]
    verdict = (
        f"{'It shows' if is_larger(exact, by_l2) else 'It does not show'} with the proximal step of L1, which makes "
        f"{np.mean(exact):.0%} of the weights exactly zero; L2 makes {np.mean(by_l2):.0%} so, and the gradient of L1 "
        f"{np.mean(zeros['L1, by its gradient']):.0%}, though it makes {np.mean(small['L1, by its gradient']):.0%} "
        f"less than 0.01 in size; the proximal step {np.mean(small['L1, by its proximal step']):.0%}."
    )
    finding = Finding(["", "weights exactly 0", "weights of less than 0.01 in size", "test accuracy"], rows, verdict)
    bins = np.linspace(-0.5, 0.5, 51)
    for axes, name in zip(finding.figure.subplots(1, 4, sharey=True), KINDS, strict=True):
        axes.hist(weights[name].ravel(), bins, color=STYLES[1]["color"])
        axes.set(title=name, xlabel="weight", yscale="log")
        axes.title.set_fontsize(10)
        axes.spines[["top", "right"]].set_visible(False)
    return finding
