"""The layers that the examples build their networks from, around fastnorm where it has them."""

import numpy as np

import fastnorm


class Linear:
    """y = x @ weight + bias; no bias where a BatchNorm follows, whose beta does the same."""

    def __init__(self, rng, n_in: int, n_out: int, *, gain=2**0.5, bias=True, dtype=np.float32) -> None:
        # A gain of sqrt(2), by He et al., keeps the variance of the activations through ReLU layers.
        self.weight = rng.standard_normal((n_in, n_out)).astype(dtype) * dtype(gain / n_in**0.5)
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

    def __init__(self, norm, c: int, dtype=np.float32) -> None:
        self.norm = norm
        self.gamma = np.ones(c, dtype)
        self.beta = np.zeros(c, dtype)
        self.params = [self.gamma, self.beta]
        self.running_mean = np.zeros(c, dtype)
        self.running_var = np.ones(c, dtype)

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        if not training:
            return self.norm.batch_norm_inference(x, self.running_mean, self.running_var, self.gamma, self.beta)
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
        dx, dgamma, dbeta = self.norm.batch_norm_backward(dy, self.x, self.mean, self.rstd, self.gamma, out=dy)
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


class Sigmoid:
    params: list[np.ndarray] = []
    grads: list[np.ndarray] = []

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.y = 0.5 + 0.5 * np.tanh(0.5 * x)  # 1 / (1 + exp(-x)), but never overflows
        return self.y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * self.y * (1 - self.y)


class Dropout:
    """Each number dropped with probability p in training; the mask is drawn anew in backward."""

    params: list[np.ndarray] = []
    grads: list[np.ndarray] = []

    def __init__(self, p: float, seed: int) -> None:
        self.p = p
        self.key = [seed, 0]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        if not training:
            return x
        self.key[1] += 1  # another mask for each step
        return fastnorm.dropout(x, self.p, tuple(self.key))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return fastnorm.dropout_backward(dy, self.p, tuple(self.key))


class Network:
    """Layers one after the other."""

    def __init__(self, layers: list) -> None:
        self.layers = layers
        self.params = [param for layer in layers for param in layer.params]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy: np.ndarray) -> list[np.ndarray]:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return [grad for layer in self.layers for grad in layer.grads]
