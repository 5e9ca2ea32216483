"""One call, held to its promise: refused with nothing changed, or answered right with nothing else changed."""

import inspect
from types import SimpleNamespace

import numpy as np

from fuzz.layouts import owner
from fuzz.promise import DOCUMENTED, array_of, index_of, native_dtype, parameter_dtype, parameters_of, refusal
from support.arrays import same_bits
from support.errors import HAS_WIDER, LIMIT, truth, units, worst
from support.isas import using


class Broken(AssertionError):
    """The library did not do what it promises."""


def check(op, arguments, function=None, positional=(), compare=True, judge=None):
    """Make the call; whether it was accepted. `compare`: with the bits that plain copies give on the baseline."""
    function, judge = function or op.function, judge or OF_THE_TABLE
    reason = judge.refusal(op, arguments)
    before = Before(judge.arrays(arguments), judge.written(op, arguments) if reason is None else ())
    expected = judge.answer(op, arguments) if compare and reason is None else None
    try:
        results = function(
            *[arguments[name] for name in positional],
            **{name: value for name, value in arguments.items() if name not in positional},
        )
    except DOCUMENTED as e:
        if reason is None:
            raise Broken(f"refused: {type(e).__name__}: {e}") from e
        before.compare("a refused call")
        return False
    except Exception as e:
        raise Broken(f"an exception that no docstring names: {type(e).__name__}: {e}") from e
    if reason is not None:
        raise Broken(f"accepted in spite of: {reason}")
    named = judge.results(op, arguments, results)
    if expected is not None:
        compare_bits(named, expected)
    before.put_back()
    before.compare("a call")
    return True


class Before:
    """What lay in memory before a call, the gaps between elements included."""

    def __init__(self, arrays, written):
        self._owners = {id(whole): (name, whole) for name, a in arrays.items() for whole in (owner(a),)}
        self._bytes = {key: whole.tobytes("A") for key, (_, whole) in self._owners.items()}
        self._written = [(arrays[name], np.array(arrays[name])) for name in written if name in arrays]

    def put_back(self):
        """Undo what a call may do."""
        for a, old in self._written:
            a[...] = old

    def compare(self, who):
        for key, (name, whole) in self._owners.items():
            if whole.tobytes("A") != self._bytes[key]:
                raise Broken(f"{who} has changed the memory of {name} where it may not")


def look_at(op, arguments, results):
    """The results by name, of the right number, types and shapes."""
    x = array_of(arguments["x"])
    out = arguments.get("out")
    several = "return_stats" not in parameters_of(op.function) or arguments.get("return_stats", False)
    names = op.outputs if several else op.outputs[:1]
    if len(names) == 1:
        results = (results,)
    if type(results) is not tuple or len(results) != len(names):
        raise Broken(f"results are {type(results)}, expected {names}")
    named = dict(zip(names, results, strict=True))
    for name, a in named.items():
        if a is None and name == "dgamma" and arguments.get("gamma") is None:
            continue
        if a is out and name == names[0] and out is not None:
            continue
        dtype = np.float64 if name in ("mean", "rstd") else native_dtype(x)
        if name in ("dgamma", "dbeta"):
            dtype = parameter_dtype(x)
        if out is not None and name == names[0] or type(a) is not np.ndarray or a.dtype != dtype:
            raise Broken(f"{name} is {type(a)} of {getattr(a, 'dtype', None)}")
        if not (a.flags.carray and a.base is None) or name == names[0] and a.shape != x.shape:
            raise Broken(f"{name} is no new plain array: {a.shape}, {a.flags}")
    return named | {name: arguments.get(name) for name in op.updated}


def answer_of_plain_copies(op, arguments):
    """All results by name, from the baseline kernels, for contiguous copies in the dtypes that matter."""
    arguments = {name: value for name, value in arguments.items() if name != "out"}
    x = array_of(arguments["x"])
    for name in op.shapes:
        if arguments.get(name) is not None:
            a = array_of(arguments[name])
            if name in op.updated:
                own = a.dtype.newbyteorder("=")
            else:
                own = native_dtype(x) if name in op.data else parameter_dtype(x) if name in op.optional else np.float64
            arguments[name] = np.array(np.asarray(a), own, order="C", subok=False)
    arguments["axis"] = index_of(arguments.get("axis", -1))
    for name in set(op.numbers) & arguments.keys():
        arguments[name] = float(arguments[name])
    with using("baseline"):
        results = op.function(**arguments)
    results = results if isinstance(results, tuple) else (results,)
    named = dict(zip(op.outputs, results, strict=False))
    return named | {name: arguments.get(name) for name in op.updated}


OF_THE_TABLE = SimpleNamespace(
    refusal=refusal,
    arrays=lambda arguments: {
        name: a for name, a in arguments.items() if isinstance(a, np.ndarray) and not a.dtype.hasobject
    },
    written=lambda op, arguments: ("out", *op.updated),
    answer=answer_of_plain_copies,
    results=look_at,
)
"""How calls of operations of the table are judged; for others see `families.py`."""


def compare_bits(named, expected):
    for name, a in named.items():
        b = expected[name]
        if a is None or b is None:
            if a is not b:
                raise Broken(f"{name} is {a}, expected {b}")
        elif a.tobytes() != b.tobytes() or a.shape != b.shape:
            native = np.asarray(a).astype(a.dtype.newbyteorder("="), copy=False)
            if not same_bits(native, b):
                raise Broken(f"{name} has other bits than from plain copies on the baseline: {a!r}, expected {b!r}")


def check_numbers(op, arguments):
    """Arguments as training has them: the answer is that of the reference.

    Of two elements or three, beta may take away what gamma * xhat gives: what is left has the rounding errors of both.
    """
    if not HAS_WIDER[arguments["x"].dtype]:
        return
    true, results = truth(op, arguments), op(arguments)
    unit = units(op, arguments, true)
    if arguments.get("beta") is not None:
        eps, largest = np.finfo(arguments["x"].dtype).eps, np.max(np.abs(arguments["beta"]), initial=0)
        unit["y"] = np.maximum(unit["y"], eps * largest)
    errors = {name: worst(results[name], true[name], unit[name]) for name in unit}
    if max(errors.values(), default=0) > LIMIT:
        raise Broken(f"inaccurate: errors in eps: {errors}")


# ---- functions that are no operations


def check_number_of_threads(fastnorm, n):
    """Whether set_num_threads(n) and threads(n) were accepted; the number is put back."""
    right = is_integer(n) and 1 <= n.__index__() <= 2**31 - 1
    before = fastnorm.get_num_threads()

    def set_for_process():
        fastnorm.set_num_threads(n)
        return fastnorm.get_num_threads()

    def set_for_block():
        with fastnorm.threads(n):
            return fastnorm.get_num_threads()

    for call in (set_for_block, set_for_process):
        try:
            if simple_call(call, right) and call() != n.__index__():
                raise Broken(f"{call.__name__}: the number of threads is not {n!r}")
        finally:
            fastnorm.set_num_threads(before)
        if fastnorm.get_num_threads() != before:
            raise Broken(f"{call.__name__}({n!r}) has left {fastnorm.get_num_threads()} threads")
    return right


def check_cache_limit(fastnorm, limit):
    right = is_integer(limit) and limit.__index__() >= 0
    try:
        return simple_call(lambda: fastnorm.set_cache_limit(limit), right)
    finally:
        fastnorm.set_cache_limit(2**20)


def check_without_arguments(fastnorm, value):
    for function in (fastnorm.get_num_threads, fastnorm.empty_cache, fastnorm.show_config):
        simple_call(lambda function=function: function(value), False)
    fastnorm.empty_cache()
    return False


OTHERS = {
    "set_num_threads": check_number_of_threads,
    "set_cache_limit": check_cache_limit,
    "empty_cache": check_without_arguments,
}


def simple_call(call, right):
    try:
        call()
    except DOCUMENTED as e:
        if right:
            raise Broken(f"refused: {e!r}") from e
        return False
    except Exception as e:
        raise Broken(f"an exception that no docstring names: {e!r}") from e
    if not right:
        raise Broken("accepted")
    return True


def is_integer(value):
    if isinstance(value, bool) or inspect.isclass(value):
        return False
    return index_of(value) is not None
