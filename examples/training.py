"""What the examples share: the digits, the loss, the training loop and the search for a rate.

A network here is any object with

    params                    list of arrays, changed in place by the optimizer
    forward(x, training)      -> logits, shape (m, 10)
    backward(dlogits)         -> list of gradients, in the order of params
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

GOAL = 0.95  # the test accuracy that the runs race to


@dataclass
class Part:
    """Pictures of shape (m, 64) and their labels, 0 to 9."""

    x: np.ndarray
    labels: np.ndarray


@dataclass
class Digits:
    train: Part
    validation: Part  # chooses the learning rates
    test: Part  # is reported, and chooses nothing


def load() -> Digits:
    """The 1797 digits of scikit-learn, always split the same way: 1197, 240 and 360."""
    x, labels = load_digits(return_X_y=True)
    x, x_test, labels, labels_test = train_test_split(x, labels, test_size=360, stratify=labels, random_state=0)
    x, x_val, labels, labels_val = train_test_split(x, labels, test_size=240, stratify=labels, random_state=0)
    # One mean and one deviation for all pixels: enough to give the networks that have no
    # normalization a fair start, and it does not blow up the pixels that are nearly always blank.
    mean, std = x.mean(), x.std()

    def part(x: np.ndarray, labels: np.ndarray) -> Part:
        return Part(((x - mean) / std).astype(np.float32), labels)

    return Digits(part(x, labels), part(x_val, labels_val), part(x_test, labels_test))


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean loss of the batch, and its gradient with respect to the logits."""
    m = len(labels)
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    dlogits = np.exp(log_p)
    dlogits[np.arange(m), labels] -= 1
    return -float(log_p[np.arange(m), labels].mean()), dlogits / m


def accuracy(network, part: Part) -> float:
    return float((network.forward(part.x, training=False).argmax(axis=1) == part.labels).mean())


@dataclass
class History:
    """One training run; the lists hold one value per epoch."""

    loss: list[float]
    validation: list[float]
    test: list[float]
    seconds: float = 0.0

    def epochs_to_goal(self) -> float:
        return next((i for i, value in enumerate(self.test, 1) if value >= GOAL), np.inf)


def descend(params: list[np.ndarray], grads: list[np.ndarray], rate: float) -> None:
    """Plain stochastic gradient descent: one fixed rate, no momentum, no decay."""
    for param, grad in zip(params, grads, strict=True):
        param -= rate * grad


def train(
    network,
    digits: Digits,
    *,
    rate: float,
    epochs: int,
    batch: int,
    seed: int,
    step: Callable[[list[np.ndarray], list[np.ndarray], float], None] = descend,
) -> History:
    """Train on batches in an order drawn from `seed`; `step(params, grads, rate)` moves the parameters."""
    rng = np.random.default_rng(seed)
    history = History([], [], [])
    start = perf_counter()
    # A rate that is too high ends in inf and NaN. That is a result here, not a fault.
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(epochs):
            losses = []
            order = rng.permutation(len(digits.train.labels))
            for first in range(0, len(order) - batch + 1, batch):
                pick = order[first : first + batch]
                logits = network.forward(digits.train.x[pick], training=True)
                loss, dlogits = softmax_cross_entropy(logits, digits.train.labels[pick])
                step(network.params, network.backward(dlogits), rate)
                losses.append(loss)
            history.loss.append(float(np.mean(losses)))
            history.validation.append(accuracy(network, digits.validation))
            history.test.append(accuracy(network, digits.test))
    history.seconds = perf_counter() - start
    return history


@dataclass
class Result:
    """The runs of one network at one learning rate, one History per seed."""

    rate: float
    runs: list[History]

    def score(self) -> float:
        """Validation accuracy over all epochs and seeds: high for nets that learn fast and well."""
        return float(np.mean([run.validation for run in self.runs]))

    def epochs_to_goal(self) -> float:
        return float(np.median([run.epochs_to_goal() for run in self.runs]))

    def final_test(self) -> float:
        return float(np.mean([run.test[-1] for run in self.runs]))


def sweep(
    build: Callable[[int], object],
    digits: Digits,
    rates: Sequence[float],
    seeds: Sequence[int],
    done: Callable[[], None],
    **options: int,
) -> list[Result]:
    """Train `build(seed)` at every rate; `done` is called after each run."""
    results = []
    for rate in rates:
        runs = []
        for seed in seeds:
            runs.append(train(build(seed), digits, rate=rate, seed=seed, **options))
            done()
        results.append(Result(rate, runs))
    return results


class Stopwatch:
    """A module whose calls are counted and timed, as its caller sees them."""

    def __init__(self, module) -> None:
        self.module = module
        self.calls = 0
        self.seconds = 0.0

    def __getattr__(self, name: str):
        function = getattr(self.module, name)

        def timed(*args, **kwargs):
            start = perf_counter()
            result = function(*args, **kwargs)
            self.seconds += perf_counter() - start
            self.calls += 1
            return result

        setattr(self, name, timed)  # so that the next call comes straight here
        return timed


def gradient_error(network, part: Part, rng: np.random.Generator) -> float:
    """Largest error of `backward` against central differences, as a share of each gradient's size.

    The network has to be built in float64. A few entries of every parameter are tried.
    """

    def loss() -> float:
        return softmax_cross_entropy(network.forward(part.x, training=True), part.labels)[0]

    _, dlogits = softmax_cross_entropy(network.forward(part.x, training=True), part.labels)
    worst, step = 0.0, 1e-6
    for param, grad in zip(network.params, network.backward(dlogits), strict=True):
        for index in rng.integers(param.size, size=8):
            where = np.unravel_index(index, param.shape)
            kept = param[where]
            param[where] = kept + step
            above = loss()
            param[where] = kept - step
            below = loss()
            param[where] = kept
            difference = abs((above - below) / (2 * step) - grad[where])
            worst = max(worst, difference / np.abs(grad).max())
    return worst
