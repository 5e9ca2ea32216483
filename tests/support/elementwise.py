"""The table of elementwise operations: every number of the result comes from one number of each input."""

from dataclasses import dataclass, field

import numpy as np

import fastnorm
from fastnorm import reference

LIMIT = 4
"""The promise: ulp of the result forward, eps of ``|dy|`` times the sizes of the derivative's terms backward."""

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


@dataclass(frozen=True)
class Elementwise:
    """An activation, or its gradient: what it takes and with which options."""

    name: str
    data: tuple[str, ...]
    options: dict = field(default_factory=dict)

    def __str__(self):
        return "-".join([self.name, *map(str, self.options.values())])

    def draw(self, shape, dtype, rng):
        """Inputs by name; y, of a forward call, is within what the activation gives."""
        drawn = {name: (3 * rng.standard_normal(shape)).astype(dtype) for name in self.data}
        if self.name == "sigmoid_backward":
            drawn["y"] = fastnorm.sigmoid(drawn["y"])
        if self.name == "tanh_backward":
            drawn["y"] = fastnorm.tanh(drawn["y"])
        return drawn

    def __call__(self, arguments, **more):
        return getattr(fastnorm, self.name)(**arguments, **self.options, **more)

    def truth(self, arguments):
        dtype = next(iter(arguments.values())).dtype
        return getattr(reference, self.name)(**arguments, **self.options, dtype=WIDER[dtype])

    def unit(self, arguments, true):
        """What one eps of the error is, for each number."""
        info = np.finfo(next(iter(arguments.values())).dtype)
        if "dy" not in arguments:
            return np.maximum(np.spacing(np.abs(true).astype(info.dtype)), info.smallest_subnormal)
        size = np.abs(true)
        if "x" in arguments:  # f = x s(x), f' = s + x s': the second is what is left
            wide = WIDER[info.dtype]
            x, forward = arguments["x"].astype(wide), getattr(reference, self.name.removesuffix("_backward"))
            gate = np.divide(forward(x, **self.options), x, out=np.full_like(x, 0.5), where=x != 0)
            dy = arguments["dy"].astype(wide)
            size = np.abs(dy * gate) + np.abs(true - dy * gate)
        elif self.name == "tanh_backward":
            size = np.abs(arguments["dy"]) * (1 + arguments["y"].astype(size.dtype) ** 2)
        return np.maximum(info.eps * size, info.smallest_subnormal)


_OPTIONS = {"leaky_relu": ({"slope": 0.2},), "gelu": ({"approximate": "none"}, {"approximate": "tanh"})}
_FROM_X = ("gelu", "silu")

OPERATIONS = tuple(
    Elementwise(name + suffix, data, options)
    for name in ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu")
    for options in _OPTIONS.get(name, ({},))
    for suffix, data in (("", ("x",)), ("_backward", ("dy", "x" if name in _FROM_X else "y")))
)
