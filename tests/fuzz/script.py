"""A call as Python code that does it again, from the bytes in memory."""

import base64
import inspect
import zlib

import numpy as np

from fuzz.layouts import owner

_IMPORTS = """\
import base64, zlib
from fractions import Fraction
import numpy as np
from numpy import inf, nan, ndarray, dtype
from ml_dtypes import bfloat16
import fastnorm
"""


def script(name, arguments, positional=(), isa=None):
    """Code for `fastnorm.<name>(**arguments)`, some by place, with all arrays where they lie now."""
    lines, memories = [_IMPORTS], {}
    if isa is not None:
        lines.append(f"fastnorm._core.use_isa({isa!r})")
    for key, value in arguments.items():
        if isinstance(value, np.ndarray):
            lines += _array(key, value, memories)
        elif isinstance(value, list | tuple) and any(isinstance(item, np.ndarray) for item in value):
            for i, item in enumerate(value):
                array = isinstance(item, np.ndarray)
                lines += _array(f"{key}_{i}", item, memories) if array else [f"{key}_{i} = {_plain(item)}"]
            lines.append(f"{key} = {type(value).__name__}(({''.join(f'{key}_{i}, ' for i in range(len(value)))}))")
        else:
            lines.append(f"{key} = {_plain(value)}")
    call = ", ".join([*positional, *(f"{key}={key}" for key in arguments if key not in positional)])
    lines.append(f"print(fastnorm.{name}({call}))")
    return "\n".join(lines) + "\n"


def _array(key, a, memories):
    if a.dtype.hasobject:
        yield f"{key} = np.ones({a.shape}, object)"
        return
    whole = owner(a)
    if id(whole) not in memories:
        memories[id(whole)] = f"memory{len(memories)}"
        packed = base64.b85encode(zlib.compress(whole.tobytes("A"))).decode()
        yield f"{memories[id(whole)]} = bytearray(zlib.decompress(base64.b85decode({packed!r})))"
    start = a.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    start = start if a.size else 0
    yield f"{key} = np.ndarray({a.shape}, {a.dtype!r}, {memories[id(whole)]}, {start}, {a.strides})"
    if isinstance(a, np.ma.MaskedArray):
        yield f"{key} = np.ma.masked_array({key}, copy=False)"
    elif type(a) is not np.ndarray:
        yield f"{key} = {key}.view(np.{type(a).__name__})"
    if not a.flags.writeable:
        yield f"{key}.flags.writeable = False"


def _plain(value):
    if isinstance(value, type):
        return ("np." if value.__module__ == "numpy" else "") + value.__name__
    if inspect.isbuiltin(value):
        return value.__name__
    if isinstance(value, np.random.Generator):
        return "np.random.default_rng(0)"
    if isinstance(value, memoryview):
        return f"memoryview({bytes(value)!r})"
    return repr(value)
