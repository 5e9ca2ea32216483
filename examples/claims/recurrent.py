"""BatchNorm and LayerNorm in a recurrent network, on batches of two sizes."""

import numpy as np

import fastnorm
from claims import SEEDS, STYLES, Finding, chosen, draw_band, finish, is_larger, spread
from training import Digits, train

CLAIM = "In a recurrent network LayerNorm does better than BatchNorm, above all on small batches."
STEPS, ROW, WIDTH = 8, 8, 32  # a picture is 8 rows of 8 pixels
BATCHES = (4, 64)
RATES = {4: (0.02, 0.05, 0.1, 0.2), 64: (0.2, 0.5, 1.0, 2.0)}
EPOCHS = 10
RUNS = 3 * sum(map(len, RATES.values())) * len(SEEDS)


class Norm:
    """LayerNorm or BatchNorm of one step's (m, WIDTH) array; BatchNorm has running statistics for each step."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.running = [(np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32)) for _ in range(STEPS)]

    def forward(self, a, gamma, beta, step: int, training: bool):
        """y, and what backward needs."""
        if self.kind == "LayerNorm":
            y, mean, rstd = fastnorm.layer_norm(a, gamma, beta, return_stats=True)
            return y, (a, mean, rstd)
        running_mean, running_var = self.running[step]
        if not training:
            return fastnorm.batch_norm_inference(a, running_mean, running_var, gamma, beta), None
        y, mean, rstd = fastnorm.batch_norm(
            a, gamma, beta, running_mean=running_mean, running_var=running_var, return_stats=True
        )
        return y, (a, mean, rstd)

    def backward(self, dy, kept, gamma):
        a, mean, rstd = kept
        function = fastnorm.layer_norm_backward if self.kind == "LayerNorm" else fastnorm.batch_norm_backward
        return function(dy, a, mean, rstd, gamma, out=dy)


class RowNetwork:
    """h[t] = tanh(norm(x[t] @ w_x + h[t-1] @ w_h)); the last h gives the logits. kind None: no norm."""

    def __init__(self, seed: int, kind: str | None) -> None:
        rng = np.random.default_rng(seed)
        self.norm = Norm(kind) if kind else None
        self.w_x = rng.standard_normal((ROW, WIDTH), np.float32) / np.float32(ROW**0.5)
        self.w_h = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
        self.gamma, self.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
        self.w_out = rng.standard_normal((WIDTH, 10), np.float32) / np.float32(WIDTH**0.5)
        self.b_out = np.zeros(10, np.float32)
        self.params = [self.w_x, self.w_h, self.gamma, self.beta, self.w_out, self.b_out]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.rows = x.reshape(-1, STEPS, ROW)
        self.h, self.kept = [np.zeros((len(x), WIDTH), x.dtype)], []
        for t in range(STEPS):
            z, kept = self.rows[:, t] @ self.w_x + self.h[t] @ self.w_h, None
            if self.norm:
                z, kept = self.norm.forward(z, self.gamma, self.beta, t, training)
            else:
                z += self.beta
            self.kept.append(kept)
            self.h.append(np.tanh(z))
        return self.h[-1] @ self.w_out + self.b_out

    def backward(self, dlogits: np.ndarray) -> list[np.ndarray]:
        dw_x, dw_h, dgamma, dbeta = (np.zeros_like(param) for param in self.params[:4])
        dh = dlogits @ self.w_out.T
        for t in reversed(range(STEPS)):
            da = dh * (1 - self.h[t + 1] ** 2)
            if self.norm:
                da, more_gamma, more_beta = self.norm.backward(da, self.kept[t], self.gamma)
                dgamma += more_gamma
                dbeta += more_beta
            else:
                dbeta += da.sum(axis=0)
            dw_x += self.rows[:, t].T @ da
            dw_h += self.h[t].T @ da
            dh = da @ self.w_h.T
        return [dw_x, dw_h, dgamma, dbeta, self.h[-1].T @ dlogits, dlogits.sum(axis=0)]


def best_runs(kind: str | None, batch: int, digits: Digits, advance):
    """The best rate by the digits for validation, and its runs."""
    tried = {}
    for rate in RATES[batch]:
        tried[rate] = []
        for seed in SEEDS:
            network = RowNetwork(seed, kind)
            tried[rate].append(train(network, digits, rate=rate, seed=seed, epochs=EPOCHS, batch=batch))
            advance()
    return max(tried.items(), key=lambda item: np.mean([run.validation[-1] for run in item[1]]))


def compared(layer: list[float], other: list[float], name: str) -> str:
    if is_larger(layer, other):
        return f"better than {name}"
    if is_larger(other, layer):
        return f"worse than {name}"
    return f"within two standard errors of {name}"


def verdict_on(final: dict[tuple[str, int], list[float]]) -> str:
    better = {batch: is_larger(final["LayerNorm", batch], final["BatchNorm", batch]) for batch in BATCHES}
    verdict = ["It does not show.", "It shows in part.", "It shows."][sum(better.values())]
    for batch in BATCHES:
        with_batch, without = (
            compared(final["LayerNorm", batch], final[name, batch], name) for name in ("BatchNorm", "no norm")
        )
        verdict += f" On batches of {batch} LayerNorm is {with_batch}, and {without}."
    return verdict


def measure(digits: Digits, advance) -> Finding:
    rows, final, curves = [], {}, {}
    for batch in BATCHES:
        for kind in (None, "BatchNorm", "LayerNorm"):
            rate, runs = best_runs(kind, batch, digits, advance)
            name = kind or "no norm"
            final[name, batch] = [run.test[-1] for run in runs]
            curves[name, batch] = [run.test for run in runs]
            rows.append(
                [f"batches of {batch}", name, chosen(rate, RATES[batch]), spread(final[name, batch], percent=True)]
            )
    finding = Finding(["", "", "best rate", "test accuracy"], rows, verdict_on(final))
    for axes, batch in zip(finding.figure.subplots(1, 2, sharey=True), BATCHES, strict=True):
        for name, style in zip(("no norm", "BatchNorm", "LayerNorm"), STYLES, strict=True):
            draw_band(axes, np.arange(1, EPOCHS + 1), curves[name, batch], name, style)
        finish(axes, title=f"batches of {batch}", xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
    return finding
