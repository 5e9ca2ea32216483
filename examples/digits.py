"""A deep network on handwritten digits, with and without BatchNorm, in plain NumPy.

    python examples/digits.py            train, print the tables, draw output/digits.png
    python examples/digits.py --check    compare the gradients with central differences

The class BatchNorm below is all that a NumPy training loop needs around fastnorm.
"""

import numpy as np

from experiment import Experiment, main

HIDDEN, WIDTH = 10, 64
RATES = (0.05, 0.1, 0.2, 0.5, 1.0)
SEEDS = (0, 1, 2)
OPTIONS = {"epochs": 30, "batch": 64}


class Linear:
    """y = x @ weight + bias; no bias where a BatchNorm follows, whose beta does the same."""

    def __init__(self, rng, n_in: int, n_out: int, *, bias: bool, dtype) -> None:
        # He initialization: keeps the variance of the activations through ReLU layers.
        self.weight = rng.standard_normal((n_in, n_out)).astype(dtype) * dtype((2 / n_in) ** 0.5)
        self.bias = np.zeros(n_out, dtype) if bias else None
        self.params = [self.weight] if self.bias is None else [self.weight, self.bias]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.x = x
        return x @ self.weight if self.bias is None else x @ self.weight + self.bias

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.grads = [self.x.T @ dy] if self.bias is None else [self.x.T @ dy, dy.sum(axis=0)]
        return dy @ self.weight.T


class BatchNorm:
    """Batch statistics in training, running statistics afterwards.

    `norm` is the module that computes: fastnorm, or fastnorm.reference.
    """

    def __init__(self, norm, c: int, dtype) -> None:
        self.norm = norm
        self.gamma = np.ones(c, dtype)
        self.beta = np.zeros(c, dtype)
        self.params = [self.gamma, self.beta]
        self.running_mean = np.zeros(c, dtype)
        self.running_var = np.ones(c, dtype)

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        if not training:
            return self.norm.batch_norm_inference(
                x, self.running_mean, self.running_var, self.gamma, self.beta
            )
        self.x = x
        # The running statistics are updated in place; backward needs mean and rstd again.
        y, self.mean, self.rstd = self.norm.batch_norm(
            x,
            self.gamma,
            self.beta,
            running_mean=self.running_mean,
            running_var=self.running_var,
            return_stats=True,
        )
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        # Nobody needs dy after this layer, so dx may take its place.
        dx, dgamma, dbeta = self.norm.batch_norm_backward(
            dy, self.x, self.mean, self.rstd, self.gamma, out=dy
        )
        self.grads = [dgamma, dbeta]
        return dx


class ReLU:
    params: list[np.ndarray] = []
    grads: list[np.ndarray] = []

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * (self.y > 0)


class DeepNetwork:
    """64 pixels, HIDDEN layers of WIDTH, 10 logits; `norm=None` leaves BatchNorm out."""

    def __init__(self, seed: int, norm=None, dtype=np.float32) -> None:
        rng = np.random.default_rng(seed)  # the same seed gives the same weights with and without
        sizes = [64] + [WIDTH] * HIDDEN
        self.layers = []
        for n_in, n_out in zip(sizes, sizes[1:], strict=False):
            self.layers.append(Linear(rng, n_in, n_out, bias=norm is None, dtype=dtype))
            if norm is not None:
                self.layers.append(BatchNorm(norm, n_out, dtype))
            self.layers.append(ReLU())
        self.layers.append(Linear(rng, WIDTH, 10, bias=True, dtype=dtype))
        self.params = [param for layer in self.layers for param in layer.params]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy: np.ndarray) -> list[np.ndarray]:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return [grad for layer in self.layers for grad in layer.grads]


EXPERIMENT = Experiment(
    name="digits",
    title=f"Handwritten digits, {HIDDEN} hidden layers of {WIDTH} ReLUs, plain SGD",
    norm_name="BatchNorm",
    build=DeepNetwork,
    rates=RATES,
    seeds=SEEDS,
    options=OPTIONS,
)

if __name__ == "__main__":
    main(EXPERIMENT)
