"""Calls every public function with arguments drawn at random, and checks that it does what its docstring says.

    cd tests && ../.venv/bin/python -m fuzz --seconds 60        or: make fuzz SECONDS=60

A call with a wrong argument has to raise what is documented and change nothing. Any other has to be accepted, to give
the bits that contiguous copies of its arguments give on the baseline kernels (compared for three calls in ten), and to
change nothing but `out` and the running statistics. Numbers as training has them are compared with the reference. What
is wrong and what is right is judged by `promise.py`. The calls are made in a child, so that a crash has a report too;
where one breaks a promise, it is printed as code that can be pasted.
"""

import argparse
import multiprocessing
import random
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from fuzz.rounds import Fuzzer

fork = multiprocessing.get_context("fork")  # none of the parent's state can be lost: it has called nothing


def run_rounds(seed, seconds, number, counts):
    """What the child does. `number` always holds the round that is under way."""
    warnings.simplefilter("error")
    fuzzer, end = Fuzzer(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        fuzzer.round(number.value)
        number.value += 1
    counts.put(fuzzer.calls)


def run_one_round(seed, number, file):
    """Once more, with the code of each call in the file before it is made."""
    warnings.simplefilter("error")
    Fuzzer(seed, Path(file).write_text).round(number)


def finished(function, *arguments):
    """The exit code of a child; below 0 the signal that it died of."""
    child = fork.Process(target=function, args=arguments)
    child.start()
    child.join()
    return child.exitcode


def last_call(seed, number):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "call.py"
        status = finished(run_one_round, seed, number, file)
        return status, file.read_text() if file.exists() else "# no call: the grammar itself failed"


def print_counts(calls, rounds, seconds):
    table = Table("function", "accepted", "refused")
    for name in sorted({name for name, _ in calls}):
        table.add_row(name, *(f"{calls[name, how]:,}" for how in ("accepted", "refused")))
    console = Console()
    console.print(table)
    console.print(f"{calls.total():,} calls in {rounds:,} rounds survived, {calls.total() / seconds:,.0f} a second")


def main():
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--round", type=int, help="this round alone, as a report names it")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    number, counts = fork.Value("q", options.round or 0, lock=False), fork.SimpleQueue()
    if options.round is None and finished(run_rounds, options.seed, options.seconds, number, counts) == 0:
        print_counts(counts.get(), number.value, options.seconds)
        return 0
    status, call = last_call(options.seed, number.value)
    print(f"round {number.value} of seed {options.seed}: status {status}. Its last call:\n\n{call}")
    return 1 if options.round is None else abs(status)


if __name__ == "__main__":
    sys.exit(main())
