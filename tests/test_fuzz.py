"""A short run of the fuzzer, which `make fuzz` runs for longer; and that it sees what breaks a promise."""

import functools
import os
import signal
import sys
import warnings
from dataclasses import fields

import numpy as np
import pytest

import fastnorm
import fuzz.__main__
from fuzz.check import OTHERS, Broken, check, check_numbers
from fuzz.families import FAMILIES, JUDGE, Lists
from fuzz.family_grammar import FamilyDraw, ListDraw
from fuzz.grammar import Draw
from fuzz.promise import refusal
from fuzz.rounds import Dice, Fuzzer
from fuzz.script import script
from support import processes
from support.operations import BY_NAME, OPERATIONS, Operation

ROUNDS = 700


def run_rounds():
    warnings.simplefilter("error")
    fuzzer = Fuzzer(seed=20150211)
    for number in range(ROUNDS):
        fuzzer.round(number)
    for name in (*(op.name for op in (*OPERATIONS, *FAMILIES)), "set_num_threads", "set_cache_limit"):
        # else the calls would show nothing
        assert fuzzer.calls[name, "accepted"] > 10 and fuzzer.calls[name, "refused"] > 10, fuzzer.calls


def test_a_short_run():
    # If this fails, so does the same round in: cd tests && python -m fuzz --seed 20150211, which prints the call.
    processes.check(run_rounds)


# ---- it sees what breaks a promise


def good(name="batch_norm"):
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((4, 3)).astype(np.float32) for _ in range(2))
    return BY_NAME[name], BY_NAME[name].draw(x, -1, rng, dy, 1e-5)


def test_what_is_right_passes():
    for op in OPERATIONS:
        op, arguments = good(op.name)
        assert check(op, arguments)
        assert not check(op, arguments | {"axis": 2})
        check_numbers(op, arguments)


def breaking(name, change):
    """The operation, but `change(arguments, results)` has the last word."""
    op, _ = good(name)

    def function(**arguments):
        return change(arguments, op.function(**arguments))

    return function


def writes_to(name):
    def change(arguments, results):
        arguments[name][-1] = 7
        return results

    return change


def moves_last_bit_of(place):
    def change(arguments, results):
        results[place].reshape(-1)[-1] = np.nextafter(results[place].flat[-1], np.inf, dtype=results[place].dtype)
        return results

    return change


WRONG_ANSWERS = {
    "writes_to_x": (writes_to("x"), "memory of x"),
    "writes_to_gamma": (writes_to("gamma"), "memory of gamma"),
    "running_mean_is_wrong": (writes_to("running_mean"), "running_mean has other bits"),
    "y_is_off_by_a_bit": (moves_last_bit_of(0), "y has other bits"),
    "mean_is_off_by_a_bit": (moves_last_bit_of(1), "mean has other bits"),
    "returns_a_list": (lambda arguments, results: list(results), "results are"),
    "returns_an_input": (lambda arguments, results: (arguments["x"], *results[1:]), "y has other bits|no new"),
    "returns_another_dtype": (lambda arguments, results: (results[0].astype("f8"), *results[1:]), "y is"),
    "returns_a_view": (lambda arguments, results: (results[0][:], *results[1:]), "no new plain array"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_a_wrong_answer_is_seen(change, message):
    op, arguments = good()
    with pytest.raises(Broken, match=message):
        check(op, arguments, breaking("batch_norm", change))


def test_a_write_between_the_elements_of_out_is_seen():
    op, arguments = good()
    memory = np.zeros((4, 6), np.float32)

    def change(arguments, results):
        memory[0, 1] = 1
        return results

    assert check(op, arguments | {"out": memory[:, ::2]})
    with pytest.raises(Broken, match="memory of out"):
        check(op, arguments | {"out": memory[:, ::2]}, breaking("batch_norm", change))


def raises(exception):
    def function(**arguments):
        raise exception

    return function


def test_exceptions_are_judged():
    op, arguments = good()
    with pytest.raises(Broken, match="refused: ValueError"):
        check(op, arguments, raises(ValueError()))
    for exception in (OverflowError(), KeyError(), RuntimeWarning()):
        with pytest.raises(Broken, match="no docstring names"):
            check(op, arguments | {"eps": -1}, raises(exception))
    with pytest.raises(Broken, match="accepted in spite of: eps"):
        check(op, arguments | {"eps": -1}, lambda eps, **others: op.function(**others))


def test_a_refusal_that_has_changed_something_is_seen():
    op, arguments = good()

    def function(**arguments):
        arguments["out"][0, 0] = 1
        raise ValueError

    with pytest.raises(Broken, match="a refused call has changed the memory of out"):
        check(op, arguments | {"eps": -1, "out": np.zeros((4, 3), np.float32)}, function)


def test_overlap_that_is_not_looked_after_is_seen():
    # In place on rows that are shifted by one: row after row, what is read has been written already.
    op, arguments = good("batch_norm_inference")
    memory = np.zeros((5, 3), np.float32)
    memory[:-1] = arguments["x"]

    def row_by_row(x, out, **others):
        for i in range(len(x)):
            out[i] = op.function(x[i : i + 1], **others)[0]
        return out

    overlapping = arguments | {"x": memory[:-1], "out": memory[1:]}
    assert check(op, overlapping)
    with pytest.raises(Broken, match="y has other bits"):
        check(op, overlapping, row_by_row)


def test_inaccuracy_is_seen():
    op, arguments = good("layer_norm")

    class Inaccurate(Operation):
        function = staticmethod(lambda x, **others: op.function(x + np.float32(1e-4) * x**2, **others))

    with pytest.raises(Broken, match="inaccurate"):
        check_numbers(Inaccurate(**{field.name: getattr(op, field.name) for field in fields(op)}), arguments)


def test_every_public_operation_is_drawn():
    others = {
        "dropout_key",
        "get_include",
        "get_num_threads",
        "set_num_threads",
        "threads",
        "set_cache_limit",
        "empty_cache",
    }
    functions = {name for name in fastnorm.__all__ if callable(getattr(fastnorm, name))}
    assert {op.name for op in (*OPERATIONS, *FAMILIES)} >= functions - others - {"show_config", "reference"}


FAMILY = {op.name: op for op in FAMILIES}


def test_a_wrong_answer_of_a_family_is_seen():
    x, grad = np.ones(5, np.float16), np.zeros(5, np.float16)
    op, penalty = FAMILY["silu"], FAMILY["l1_penalty"]
    assert check(op, {"x": x}, judge=JUDGE)
    assert not check(op, {"x": x, "out": x[:3]}, judge=JUDGE)
    with pytest.raises(Broken, match="result 0 0 has other bits"):
        check(op, {"x": x}, lambda x: np.nextafter(op.function(x), np.float16(9)), judge=JUDGE)
    with pytest.raises(Broken, match="refused: TypeError"):
        check(op, {"x": x}, raises(TypeError()), judge=JUDGE)
    with pytest.raises(Broken, match="accepted in spite of: approximate"):
        check(FAMILY["gelu"], {"x": x, "approximate": "erf"}, lambda **arguments: x, judge=JUDGE)
    arguments = {"w": [x], "strength": 1, "grad": [grad]}
    assert check(penalty, arguments, judge=JUDGE) and not grad.any()
    with pytest.raises(Broken, match=r"grad 0 has other bits"):
        check(penalty, arguments, lambda w, strength, grad: penalty.function(w, strength), judge=JUDGE)
    with pytest.raises(Broken, match=r"result 0 0 has other bits"):
        check(penalty, arguments, lambda **arguments: penalty.function(**arguments) + 1, judge=JUDGE)
    with pytest.raises(Broken, match=r"memory of arrays\[0\]"):
        check(FAMILY["global_norm"], {"arrays": [x]}, writes_to_its_list, judge=JUDGE)


def writes_to_its_list(arrays):
    arrays[0][1] = 7
    return 5**0.5


class Careless:
    """A library that takes any number of threads for one, and any limit."""

    get_num_threads = staticmethod(lambda: 1)
    set_num_threads = set_cache_limit = empty_cache = show_config = staticmethod(lambda *arguments: None)
    threads = fastnorm.threads


@pytest.mark.parametrize("name", OTHERS)
def test_careless_functions_are_seen(name):
    with pytest.raises(Broken):
        OTHERS[name](Careless, 2.5)


def fuzz_a_library_that_dies():
    layer_norm = fastnorm.layer_norm

    @functools.wraps(layer_norm)
    def deadly(*args, **kwargs):
        if len(kwargs) > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return layer_norm(*args, **kwargs)

    fastnorm.layer_norm = deadly
    sys.argv = ["fuzz", "--seconds", "60", "--seed", "3"]
    assert fuzz.__main__.main() == 1


def test_the_call_that_a_process_died_of_is_printed():
    report = processes.check(fuzz_a_library_that_dies)
    assert "of seed 3: status -9" in report and "print(fastnorm.layer_norm(" in report


# ---- its own parts


@pytest.mark.parametrize("op", OPERATIONS, ids=str)
def test_all_ways_to_be_wrong_are_drawn(op):
    reasons, seed = set(), 0
    expected = {None, "axis", "out", *op.shapes, *op.numbers, "an unknown argument", "an argument is missing"}
    while not expected <= reasons:
        assert seed < 3000, f"never drawn: {expected - reasons}"
        draw, seed = Draw(Dice(seed)), seed + 1
        if draw.op is op:
            with np.errstate(all="ignore"):
                good = draw.good()
                reasons |= {refusal(op, draw.mutated(good)) for _ in range(12)}


@pytest.mark.parametrize("op", FAMILIES, ids=lambda op: op.name)
def test_all_ways_to_be_wrong_are_drawn_of_families(op):
    of_lists = isinstance(op, Lists)
    names = {op.read, op.written} - {None} if of_lists else {*op.arrays, *(set(op.others) & {"axis", "groups", "key"})}
    expected, reasons, seed = {None, *names, *op.numbers} - {"high"}, set(), 0
    while not expected <= reasons:
        assert seed < 1000, f"never drawn: {expected - reasons}"
        draw, seed = (ListDraw if of_lists else FamilyDraw)(Dice(seed), op), seed + 1
        with np.errstate(all="ignore"):
            good = draw.good()
            reasons |= {JUDGE.refusal(op, draw.mutated(good)) for _ in range(12)}


def test_the_code_of_a_call_makes_the_same_call():
    for seed in range(200):
        with np.errstate(all="ignore"):
            draw = Draw(Dice(seed))
            arguments = draw.mutated(draw.good())
        seen = {}
        code = script(draw.op.name, arguments).replace(f"fastnorm.{draw.op.name}(", "seen.update(")
        exec(code, {"seen": seen})
        assert seen.keys() == arguments.keys()
        for name, value in arguments.items():
            a = seen[name]
            assert type(a) is type(value)
            if isinstance(value, np.ndarray):
                assert (a.shape, a.dtype, a.flags.writeable) == (value.shape, value.dtype, value.flags.writeable)
                assert a.dtype.hasobject or (a.strides == value.strides and a.tobytes() == value.tobytes())
