"""Draws arguments for the operations of `families.py`, right and wrong ones."""

import numpy as np

from fuzz import layouts
from fuzz.families import FAMILIES, HALVES, SHAPES, Lists
from fuzz.grammar import (
    FLAGS,
    FLOATS,
    INDICES,
    NO_ARRAYS,
    NUMBERS,
    RIGHT_DTYPES,
    WRONG_DTYPES,
    Draw,
    other_shape,
    shape,
)
from fuzz.promise import parameters_of

KEYS = ((1, 2), (0, 0), [2**64 - 1, 2**64 - 1], (np.uint64(7), True))
WRONG_KEYS = (
    None,
    1,
    (),
    (1,),
    (1, 2, 3),
    (1, -1),
    (2**64, 0),
    (1.0, 2),
    ("1", 2),
    "12",
    {1, 2},
    (None, None),
    (np.ones(2), 1),
)
NAMES = ("none", "tanh", "erf", "", None, 1, b"tanh", np.str_("tanh"), ["tanh"])


class FamilyDraw(Draw):
    """Right arguments of a family, and wrong ones; what an array may be is drawn as for the table."""

    def __init__(self, r, op):
        self.r, self.op = r, op
        self.shape = shape(r)
        while len(self.shape) < op.dimensions:
            self.shape = (*self.shape, r.randint(1, 9))
        self.axis = r.randrange(len(self.shape)) if "axis" in op.others else len(self.shape) - 1
        divisors = [n for n in range(1, self.shape[-1] + 1) if self.shape[-1] % n == 0]
        self.groups = r.choice(divisors or [1])
        self.dtype = r.choice((*FLOATS, *HALVES))
        self.dims = {name: SHAPES[kind](self.shape, self.axis, self.groups) for name, kind in op.parts.items()}
        self.dims |= dict.fromkeys((op.lead, *op.like, "out"), self.shape)
        self.has_out = "out" in parameters_of(op.function)

    def good(self):
        arguments = {name: self.right(name) for name in self.op.arrays}
        arguments |= {name: 0.1 for name in self.op.numbers} | {name: self.right_other(name) for name in self.op.others}
        if self.has_out and self.r.random() < 0.5:
            arguments["out"] = self.right("out")
        return arguments

    def right_other(self, name):
        if name == "key":
            generator = not self.op.name.endswith("_backward") and self.r.random() < 0.1
            return np.random.default_rng(0) if generator else self.r.choice(KEYS)
        return {"axis": self.axis, "groups": self.groups, "approximate": self.r.choice(NAMES[:2])}.get(name, False)

    def right(self, name):
        r = self.r
        if name in self.op.optional and r.random() < 0.1:
            return None
        others = [*RIGHT_DTYPES, HALVES[1]] if r.random() < 0.2 else FLOATS
        dtype = self.dtype if name in (self.op.lead, "out") else r.choice(others)
        a = layouts.empty(r, self.dims[name], dtype)
        layouts.fill(r, a)
        return a

    def mutated(self, arguments):
        r, op = self.r, self.op
        arguments = dict(arguments)
        arrays = (*op.arrays, "out") if self.has_out else op.arrays
        for _ in range(r.choice((0, 1, 1, 1, 2, 2, 3))):
            how = r.random()
            if how < 0.15 and self.has_out:
                self.put_together(arguments)
            elif how < 0.65 or not (op.numbers or op.others):
                name = r.choice(arrays)
                arguments[name] = self.any_array(name, arguments.get(name))
            elif how < 0.97:
                name = r.choice((*op.numbers, *op.others))
                arguments[name] = self.any_other(name)
            elif how < 0.985:
                arguments.pop(r.choice(list(arguments)), None)
            else:
                arguments[r.choice(("axes", "dtype", "x_"))] = None
        return arguments

    def any_other(self, name):
        r = self.r
        if name in self.op.numbers:
            return r.choice(NUMBERS)
        if r.random() < 0.3:
            return self.right_other(name)
        choices = {"axis": INDICES, "groups": INDICES, "approximate": NAMES, "key": WRONG_KEYS}
        return r.choice(choices.get(name, FLAGS))

    def put_together(self, arguments):
        """`out` and an array that is read in one memory."""
        names = [self.r.choice((self.op.lead, *self.op.like)), "out"]
        together(self, arguments, names, [(self.shape, self.dtype)] * 2)


def together(draw, arguments, names, plans):
    arrays = layouts.together(draw.r, plans)
    for a in arrays:
        layouts.fill(draw.r, a)
    arguments |= zip(names, arrays, strict=True)


class ListDraw:
    """Lists of arrays, or one array, right and wrong."""

    def __init__(self, r, op):
        self.r, self.op = r, op
        self.alone = r.random() < 0.3
        count = 1 if self.alone else r.choice((0, 1, 2, 2, 3, 4))
        self.plans = [(shape(r), r.choice((*FLOATS, *HALVES))) for _ in range(count)]

    def new(self):
        arrays = [layouts.empty(self.r, *plan) for plan in self.plans]
        for a in arrays:
            layouts.fill(self.r, a)
        return arrays[0] if self.alone else arrays if self.r.random() < 0.8 else tuple(arrays)

    def good(self):
        arguments = {self.op.read: self.new()} | {name: 0.5 for name in self.op.numbers}
        if self.op.written not in (None, self.op.read) and self.r.random() < 0.7:
            arguments[self.op.written] = self.new()
        return arguments

    def mutated(self, arguments):
        r, op = self.r, self.op
        arguments = dict(arguments)
        for _ in range(r.choice((0, 1, 1, 1, 2))):
            how = r.random()
            if how < 0.2:
                self.put_together(arguments)
            elif how < 0.6:
                name = op.read if op.written is None or r.random() < 0.5 else op.written
                arguments[name] = self.any_list(arguments.get(name))
            elif how < 0.95 and op.numbers:
                arguments[r.choice(op.numbers)] = r.choice(NUMBERS)
            elif how < 0.97 and arguments:
                arguments.pop(r.choice(list(arguments)))
            else:
                arguments[r.choice(("axis", "dtype", "x_"))] = None
        return arguments

    def any_list(self, before):
        """Another one, the same with another array in it, or none at all."""
        r = self.r
        if r.random() < 0.2:
            return r.choice(NO_ARRAYS)
        value = self.new() if before is None or r.random() < 0.3 else before
        if isinstance(value, list | tuple) and len(value):
            value, i = list(value), r.randrange(len(value))
            value[i] = self.any_item(
                value[i], self.plans[min(i, len(self.plans) - 1)] if self.plans else ((2,), FLOATS[0])
            )
            if r.random() < 0.1:
                value.pop()
        return value

    def any_item(self, before, plan):
        r = self.r
        how = r.random()
        if how < 0.2:
            return r.choice(NO_ARRAYS)
        if how < 0.3 and isinstance(before, np.ndarray) and before.dtype.kind in "fib":
            return before.tolist()
        dims = plan[0] if r.random() < 0.7 else other_shape(r, plan[0])
        dtype = r.choice(WRONG_DTYPES if how < 0.4 else RIGHT_DTYPES if how < 0.7 else (*FLOATS, *HALVES))
        if dtype.kind not in "fiub" and dtype not in HALVES or dtype.char == "g":
            return np.ones(dims, dtype)
        a = layouts.empty(r, dims, dtype)
        layouts.fill(r, a)
        return Draw.dressed(self, a)

    def put_together(self, arguments):
        """All arrays, of what is read and written, in one memory; or what is written where what is read lies."""
        r, op = self.r, self.op
        names = [
            name for name in dict.fromkeys((op.read, op.written)) if name and (name == op.read or r.random() < 0.8)
        ]
        if len(names) == 2 and r.random() < 0.3:
            arguments[op.written] = arguments.get(op.read)
            return
        arrays = layouts.together(r, self.plans * len(names)) if self.plans else []
        for a in arrays:
            layouts.fill(r, a)
        for i, name in enumerate(names):
            mine = arrays[i * len(self.plans) : (i + 1) * len(self.plans)]
            arguments[name] = mine[0] if self.alone else mine


def drawn(r):
    op = r.choice(FAMILIES)
    return ListDraw(r, op) if isinstance(op, Lists) else FamilyDraw(r, op)
