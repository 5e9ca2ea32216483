"""Prints how right fastnorm and plain NumPy are on data that are hard to normalize.

    python accuracy.py [--markdown FILE.md]

The data are float32. Every result is compared with `fastnorm.reference` in float64 on the same input; the figure is the
worst error of the array in eps of float32 (1.2e-7) times the largest true result, for gradients the larger of that and
the size of their terms. 8e6 eps are an error as large as the result. "NumPy" is `fastnorm.reference` in float32, the
usual few lines.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import fastnorm
from fastnorm import reference

ROWS, FEATURES, MANY_ROWS = 256, 1024, 300_000
EPS = np.finfo(np.float32).eps


def _sorted(rng, shape):
    return np.sort(rng.standard_normal(shape), axis=None).reshape(shape)


def _outlier(rng, shape):
    a = rng.standard_normal(shape)
    a[:1] = 1e6
    return a


def _plain(rng, shape):
    return rng.standard_normal(shape)


DATA = {
    "plain: N(0, 1)": _plain,
    "mean 1000 deviations away": lambda rng, shape: 1e3 + rng.standard_normal(shape),
    "mean 1e6 deviations away": lambda rng, shape: 1e6 + rng.standard_normal(shape),
    "first row 1e6, the others N(0, 1)": _outlier,
    "sorted: every partial sum drifts": _sorted,
    "Cauchy tails": lambda rng, shape: rng.standard_cauchy(shape),
    "huge: 1e25 * N(0, 1)": lambda rng, shape: 1e25 * rng.standard_normal(shape),
}
SHAPES = {
    "layer_norm": (ROWS, FEATURES),
    "layer_norm_backward": (ROWS, FEATURES),
    "batch_norm": (MANY_ROWS, 8),
    "batch_norm_backward": (MANY_ROWS, 8),
}


def _forward(name, x, gamma, beta):
    """Results of fastnorm and of NumPy, the truth and the size of an error of 1."""
    truth = getattr(reference, name)(x, gamma, beta, dtype=np.float64)
    results = (getattr(module, name)(x, gamma, beta) for module in (fastnorm, reference))
    return [*([y] for y in results), [truth], [np.abs(truth).max()]]


def _backward(name, x, dy, gamma):
    """The same of a backward: dx, dgamma and dbeta."""
    forward = getattr(reference, name.removesuffix("_backward"))
    wide = x.astype(np.float64)
    _, mean, rstd = forward(wide, return_stats=True, dtype=np.float64)
    results = [getattr(module, name)(dy, x, mean, rstd, gamma) for module in (fastnorm, reference)]
    truth = getattr(reference, name)(dy.astype(np.float64), wide, mean, rstd, gamma, dtype=np.float64)
    rows = name.startswith("layer")
    mean, rstd = (a[:, None] if rows else a for a in (mean, rstd))
    terms = dy * (wide - mean) * rstd
    sizes = [
        np.abs(rstd * gamma * dy).max(),
        *(np.sqrt(np.square(t, dtype=np.float64).sum(axis=0)).max() for t in (terms, dy)),
    ]
    return [*results, truth, [max(size, np.abs(t).max()) for size, t in zip(sizes, truth, strict=True)]]


def worst(results, truth, sizes):
    """The largest error in eps; infinite where a result is no number."""
    found = 0.0
    for result, true, size in zip(results, truth, sizes, strict=True):
        error = np.abs(result.astype(np.float64) - true).max() / size / EPS
        found = max(found, np.inf if np.isnan(error) else error)
    return found


@np.errstate(all="ignore")
def errors(name, draw):
    """Worst errors of fastnorm and of NumPy."""
    rng, shape = np.random.default_rng(0), SHAPES[name]
    x = draw(rng, shape).astype(np.float32)
    gamma, beta = (rng.standard_normal(shape[1]).astype(np.float32) for _ in range(2))
    if name.endswith("_backward"):
        ours, numpys, truth, sizes = _backward(name, x, rng.standard_normal(shape).astype(np.float32), gamma)
    else:
        ours, numpys, truth, sizes = _forward(name, x, gamma, beta)
    return worst(ours, truth, sizes), worst(numpys, truth, sizes)


def text(error):
    if not np.isfinite(error):
        return "nan"
    return f"{error:.2f}" if error < 10 else f"{error:.0f}" if error < 1e4 else f"{error:.0e}".replace("e+0", "e")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--markdown", type=Path, help="also write the table as Markdown")
    arguments = parser.parse_args()
    table = Table(title="Worst error in eps of float32: fastnorm / NumPy", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("data")
    for name, shape in SHAPES.items():
        table.add_column(f"{name}\n{'x'.join(map(str, shape))}", justify="right", no_wrap=True)
    lines = [
        "| data | " + " | ".join(f"`{name}` {'x'.join(map(str, s))}" for name, s in SHAPES.items()) + " |",
        "| --- |" + " ---: |" * len(SHAPES),
    ]
    for label, draw in DATA.items():
        cells = [" / ".join(map(text, errors(name, draw))) for name in SHAPES]
        table.add_row(label, *cells)
        lines.append("| " + " | ".join([label, *cells]) + " |")
    Console(width=max(Console().width, 120)).print(table)
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
