"""Rounds of calls: each draws one set of arguments and calls with mutations of it. A round has a seed of its own."""

import inspect
import random
from collections import Counter

import numpy as np

import fastnorm
from fuzz import families, family_grammar, grammar
from fuzz.check import OTHERS, check, check_numbers
from fuzz.promise import parameters_of
from fuzz.script import script
from support.isas import ISAS, using

CALLS = 12
"""Calls of a round."""


class Dice(random.Random):
    """The same in a third of the time, as uneven as a float's last bits."""

    def choice(self, sequence):
        return sequence[int(self.random() * len(sequence))]

    def randrange(self, end):
        return int(self.random() * end)

    def randint(self, first, last):
        return first + int(self.random() * (last + 1 - first))


class Fuzzer:
    """Counts what it calls: {(function, "accepted" or "refused"): calls}."""

    def __init__(self, seed, tell=None):
        """`tell` is called with the code of every call before it is made."""
        self.seed = seed
        self.calls = Counter()
        self._tell = tell

    def round(self, number):
        r = Dice(f"{self.seed}/{number}")
        with np.errstate(all="ignore"):  # casts of huge numbers overflow
            how = r.random()
            if how < 0.04:
                self._others(r)
            elif how < 0.5:
                self._family(r)
            else:
                self._operation(r)

    def _operation(self, r):
        draw = grammar.Draw(r)
        op, isa = draw.op, r.choice(ISAS)
        with using(isa):
            if r.random() < 0.03:
                arguments = draw.numbers()
                self._do(op.name, arguments, (), isa, check_numbers, op, arguments)
            good = draw.good()
            for _ in range(CALLS):
                arguments = draw.mutated(good)
                positional = _by_place(r, op, arguments)
                compare = r.random() < 0.3
                self._do(op.name, arguments, positional, isa, check, op, arguments, op.function, positional, compare)

    def _family(self, r):
        draw, isa = family_grammar.drawn(r), r.choice(ISAS)
        with using(isa):
            good = draw.good()
            for _ in range(CALLS):
                arguments = draw.mutated(good)
                positional, compare = _by_place(r, draw.op, arguments), r.random() < 0.3
                call = (check, draw.op, arguments, draw.op.function, positional, compare, families.JUDGE)
                self._do(draw.op.name, arguments, positional, isa, *call)

    def _others(self, r):
        name = r.choice(list(OTHERS))
        for _ in range(CALLS):
            value = grammar.any_index(r)
            self._do(name, {"value": value}, ("value",), None, OTHERS[name], fastnorm, value)

    def _do(self, name, arguments, positional, isa, call, *its_arguments):
        if self._tell:
            self._tell(script(name, arguments, positional, isa))
        accepted = call(*its_arguments)
        self.calls[name, "accepted" if accepted else "refused"] += 1


def _by_place(r, op, arguments):
    """Names of the first arguments, which are given by place."""
    names = []
    for name, parameter in parameters_of(op.function).items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY or name not in arguments or r.random() < 0.2:
            break
        names.append(name)
    return names
