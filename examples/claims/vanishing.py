"""Gradients by layer in a deep sigmoid network."""

import numpy as np

import fastnorm
from claims import SEEDS, STYLES, Finding, draw_band, finish, scientific
from layers import BatchNorm, Linear, Network, Sigmoid
from training import Digits, softmax_cross_entropy

CLAIM = "In a deep sigmoid network the gradients of the first layers vanish; BatchNorm prevents that."
DEPTH, WIDTH = 20, 64
RUNS = 2 * len(SEEDS)


def build(seed: int, norm) -> Network:
    rng = np.random.default_rng(seed)
    layers = []
    for n_in in [64] + [WIDTH] * (DEPTH - 1):
        layers.append(Linear(rng, n_in, WIDTH, gain=1, bias=norm is None))  # by Glorot and Bengio
        if norm is not None:
            layers.append(BatchNorm(norm, WIDTH))
        layers.append(Sigmoid())
    return Network([*layers, Linear(rng, WIDTH, 10, gain=1)])


def gradient_norms(network: Network, digits: Digits) -> list[float]:
    """The norm of the gradient of each hidden layer's weights, before any training."""
    x, labels = digits.train.x[:256], digits.train.labels[:256]
    network.backward(softmax_cross_entropy(network.forward(x, training=True), labels)[1])
    linear = [layer for layer in network.layers if isinstance(layer, Linear)]
    return [fastnorm.global_norm(layer.grads[0]) for layer in linear[:-1]]


def measure(digits: Digits, advance) -> Finding:
    norms = {}
    for name, norm in (("without", None), ("with BatchNorm", fastnorm)):
        norms[name] = []
        for seed in SEEDS:
            norms[name].append(gradient_norms(build(seed, norm), digits))
            advance()
    norms = {name: np.array(runs) for name, runs in norms.items()}
    shown = [1, 5, 10, 15, 20]
    rows = [[f"layer {i}", *(scientific(runs[:, i - 1]) for runs in norms.values())] for i in shown]
    ratios = {name: runs[:, 0] / runs[:, -1] for name, runs in norms.items()}
    rows.append(["first / last", *map(scientific, ratios.values())])
    off, on = (np.exp(np.log(ratio).mean()) for ratio in ratios.values())
    verdict = (
        ("It shows. " if off < 1e-3 < on else "It does not show. ")
        + f"From the last hidden layer to the first the gradient changes by a factor of {off:.1g} without, of {on:.1f} "
        f"with BatchNorm. This is before any training: geometric means, and ranges over the seeds."
    )
    finding = Finding(["norm of the gradient", *norms], rows, verdict)
    axes = finding.figure.subplots()
    for (name, runs), style in zip(norms.items(), STYLES, strict=False):
        draw_band(axes, np.arange(1, DEPTH + 1), runs, name, style)
    finish(
        axes,
        yscale="log",
        xlabel="hidden layer",
        ylabel="norm of the gradient of its weights",
        xticks=[1, 5, 10, 15, 20],
    )
    return finding
