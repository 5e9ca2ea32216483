"""A deep network on handwritten digits, with and without BatchNorm, in plain NumPy.

    python examples/digits.py            train, print the tables, draw output/digits.png
    python examples/digits.py --check    compare the gradients with central differences

The class BatchNorm in layers.py is all that a NumPy training loop needs around fastnorm.
"""

import numpy as np

from experiment import Experiment, main
from layers import BatchNorm, Linear, Network, ReLU

HIDDEN, WIDTH = 10, 64
RATES = (0.05, 0.1, 0.2, 0.5, 1.0)
SEEDS = (0, 1, 2)
OPTIONS = {"epochs": 30, "batch": 64}


class DeepNetwork(Network):
    """64 pixels, HIDDEN layers of WIDTH, 10 logits; `norm=None` leaves BatchNorm out."""

    def __init__(self, seed: int, norm=None, dtype=np.float32) -> None:
        rng = np.random.default_rng(seed)  # the same seed gives the same weights with and without
        layers = []
        for n_in in [64] + [WIDTH] * (HIDDEN - 1):
            layers.append(Linear(rng, n_in, WIDTH, bias=norm is None, dtype=dtype))
            if norm is not None:
                layers.append(BatchNorm(norm, WIDTH, dtype))
            layers.append(ReLU())
        super().__init__([*layers, Linear(rng, WIDTH, 10, dtype=dtype)])


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
