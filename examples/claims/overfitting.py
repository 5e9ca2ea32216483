"""Dropout in a network that is too large for its data."""

import numpy as np

from claims import SEEDS, STYLES, Finding, draw_band, finish, is_larger, spread
from layers import Dropout, Linear, Network, ReLU
from training import Digits, Part, accuracy, softmax_cross_entropy, train

CLAIM = "Dropout narrows the gap between training and test digits of a network that is too large."
WIDTH, TRAINED_ON, P = 512, 200, 0.5
OPTIONS = {"epochs": 120, "batch": 50, "rate": 0.1}
LABELS = {0.0: "right labels", 0.2: "a fifth of the labels drawn anew"}
CASES = [(wrong, p) for wrong in LABELS for p in (0.0, P)]
RUNS = len(CASES) * len(SEEDS)


def build(seed: int, p: float) -> Network:
    rng = np.random.default_rng(seed)
    layers = [
        Linear(rng, 64, WIDTH),
        ReLU(),
        Dropout(p, seed),
        Linear(rng, WIDTH, WIDTH),
        ReLU(),
        Dropout(p, seed + 1000),
    ]
    return Network([*layers, Linear(rng, WIDTH, 10)])


def loss(network: Network, part: Part) -> float:
    return softmax_cross_entropy(network.forward(part.x, training=False), part.labels)[0]


def some(digits: Digits, wrong: float) -> Digits:
    """A few of the digits for training, a share of them with labels drawn anew."""
    labels = digits.train.labels[:TRAINED_ON].copy()
    count = int(wrong * TRAINED_ON)
    labels[:count] = np.random.default_rng(0).integers(10, size=count)
    return Digits(Part(digits.train.x[:TRAINED_ON], labels), digits.validation, digits.test)


def moved(before: list[float], after: list[float], names: tuple[str, str]) -> str:
    if is_larger(after, before):
        return names[0]
    return names[1] if is_larger(before, after) else "stays within two standard errors"


def verdict_on(gaps: dict[tuple[float, float], list[float]], tests: dict[tuple[float, float], list[float]]) -> str:
    """gaps: test loss less training loss, tests: test accuracy, by share of wrong labels and p."""
    narrower = [is_larger(gaps[wrong, 0.0], gaps[wrong, P]) for wrong in LABELS]
    verdict = ["It does not show.", "It shows in part.", "It shows."][sum(narrower)]
    for wrong, label in LABELS.items():
        gap = moved(gaps[wrong, 0.0], gaps[wrong, P], ("widens", "narrows"))
        test = moved(tests[wrong, 0.0], tests[wrong, P], ("rises", "falls"))
        verdict += (
            f" With {label} the gap between test and training loss {gap}, from {np.mean(gaps[wrong, 0.0]):.3f} to "
            f"{np.mean(gaps[wrong, P]):.3f}; the test accuracy {test}."
        )
    return verdict


def measure(digits: Digits, advance) -> Finding:
    rows, gaps, tests, curves = [], {}, {}, {}
    for wrong, p in CASES:
        few = some(digits, wrong)
        networks = [build(seed, p) for seed in SEEDS]
        runs = []
        for seed, network in zip(SEEDS, networks, strict=True):
            runs.append(train(network, few, seed=seed, **OPTIONS))
            advance()
        trained = [accuracy(network, few.train) for network in networks]
        tests[wrong, p] = [run.test[-1] for run in runs]
        gaps[wrong, p] = [loss(network, few.test) - loss(network, few.train) for network in networks]
        curves[wrong, p] = [run.test for run in runs]
        accuracies = (spread(values, percent=True) for values in (trained, tests[wrong, p]))
        rows.append([LABELS[wrong], f"{p:g}", *accuracies, spread(gaps[wrong, p], 3)])
    header = ["labels", "p", "training accuracy", "test accuracy", "test loss less training loss"]
    finding = Finding(header, rows, verdict_on(gaps, tests))
    for axes, (wrong, label) in zip(finding.figure.subplots(1, 2, sharey=True), LABELS.items(), strict=True):
        for p, style in zip((0.0, P), STYLES, strict=False):
            epochs = np.arange(1, OPTIONS["epochs"] + 1)
            draw_band(axes, epochs, curves[wrong, p], f"p = {p:g}", {**style, "marker": ""})
        finish(axes, title=label, xlabel="epoch", ylabel="test accuracy", ylim=(0.5, 1))
    return finding
