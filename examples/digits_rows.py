"""The digits as sequences of 8 rows: a recurrent network with and without LayerNorm.

    python examples/digits_rows.py            train, print the tables, draw output/digits_rows.png
    python examples/digits_rows.py --check    compare the gradients with central differences

Each of the 8 steps calls layer_norm once forward and layer_norm_backward once on the way back,
on an array of only 32 x 32 numbers: what counts here is how little a call costs.

Eight steps are few: at its own best rate the plain network learns as well. What LayerNorm changes
here is that higher rates, at which the plain network fails, still work.
"""

import numpy as np

from experiment import Experiment, main

STEPS, ROW = 8, 8  # a picture is 8 rows of 8 pixels
WIDTH = 32
RATES = (0.1, 0.2, 0.5, 1.0, 2.0)
SEEDS = (0, 1, 2)
OPTIONS = {"epochs": 30, "batch": 32}


class RowNetwork:
    """h[t] = tanh(LayerNorm(x[t] @ w_x + h[t-1] @ w_h)); the last h gives the logits.

    One gamma and one beta serve all steps (Ba, Kiros and Hinton 2016, equation 4).
    `norm=None` leaves LayerNorm out and keeps beta as the bias.
    """

    def __init__(self, seed: int, norm=None, dtype=np.float32) -> None:
        rng = np.random.default_rng(seed)  # the same seed gives the same weights with and without
        self.norm = norm
        self.w_x = rng.standard_normal((ROW, WIDTH)).astype(dtype) / dtype(ROW**0.5)
        # An orthogonal matrix keeps the length of what it carries from step to step.
        self.w_h = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(dtype)
        self.gamma = np.ones(WIDTH, dtype)
        self.beta = np.zeros(WIDTH, dtype)
        self.w_out = rng.standard_normal((WIDTH, 10)).astype(dtype) / dtype(WIDTH**0.5)
        self.b_out = np.zeros(10, dtype)
        self.params = [self.w_x, self.w_h, self.beta, self.w_out, self.b_out]
        if norm is not None:
            self.params.append(self.gamma)

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.rows = x.reshape(-1, STEPS, ROW)
        self.h = [np.zeros((len(x), WIDTH), x.dtype)]  # h[t] goes into step t
        self.kept = []  # what the backward of each LayerNorm needs
        for t in range(STEPS):
            a = self.rows[:, t] @ self.w_x + self.h[t] @ self.w_h
            if self.norm is None:
                z = a + self.beta
            elif training:
                z, mean, rstd = self.norm.layer_norm(a, self.gamma, self.beta, return_stats=True)
                self.kept.append((a, mean, rstd))
            else:
                z = self.norm.layer_norm(a, self.gamma, self.beta)
            self.h.append(np.tanh(z))
        return self.h[-1] @ self.w_out + self.b_out

    def backward(self, dlogits: np.ndarray) -> list[np.ndarray]:
        """Backward through time: steps in reverse, adding up the gradients of what they share."""
        dw_x, dw_h = np.zeros_like(self.w_x), np.zeros_like(self.w_h)
        dgamma, dbeta = np.zeros_like(self.gamma), np.zeros_like(self.beta)
        dh = dlogits @ self.w_out.T
        for t in reversed(range(STEPS)):
            da = dh * (1 - self.h[t + 1] ** 2)
            if self.norm is None:
                dbeta += da.sum(axis=0)
            else:
                a, mean, rstd = self.kept[t]
                # Nobody needs the gradient of z any more: that of a may take its place.
                da, dgamma_t, dbeta_t = self.norm.layer_norm_backward(da, a, mean, rstd, self.gamma, out=da)
                dgamma += dgamma_t
                dbeta += dbeta_t
            dw_x += self.rows[:, t].T @ da
            dw_h += self.h[t].T @ da
            dh = da @ self.w_h.T
        grads = [dw_x, dw_h, dbeta, self.h[-1].T @ dlogits, dlogits.sum(axis=0)]
        return grads if self.norm is None else [*grads, dgamma]


EXPERIMENT = Experiment(
    name="digits_rows",
    title=f"Digits as {STEPS} rows, one recurrent layer of {WIDTH} tanhs, plain SGD",
    norm_name="LayerNorm",
    build=RowNetwork,
    rates=RATES,
    seeds=SEEDS,
    options=OPTIONS,
)

if __name__ == "__main__":
    main(EXPERIMENT)
