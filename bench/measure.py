"""Times fastnorm and everything it is compared with, in turns, in one process.

Machines are shared and their clocks drift, so only ratios within one run mean something. Every
round therefore times every contestant once, and the traffic limit is probed all along the way.
Rounds are many and short: another process that takes the processor spoils some, not all.
"""

import gc
import inspect
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

import fastnorm
import peers
from fastnorm import reference
from fused import Fused
from limit import Limit
from names import ADD, FASTNORM, NUMPY, OUT, STEPS
from operations import Case

ROUNDS, FEWEST_ROUNDS = 40, 3
SLICE = 0.001  # seconds of calls of one contestant in a round, or one call if that takes longer
PROBES = 9  # of the limit, spread over the rounds
WARM = 0.02  # seconds; faster calls get one untimed call before each round


class Budget:
    """Spreads the seconds of a whole run over its cases, by weight and by what is left."""

    def __init__(self, seconds: float, cases: list[Case]):
        self.seconds = seconds
        self.end: float | None = None  # set by the first case: loading peers is not counted
        self.weight_left = sum(map(self.weight, cases))

    @staticmethod
    def weight(case: Case) -> float:
        """Large arrays need longer for the same number of rounds."""
        return 1 + case.nbytes / 2**24

    def share(self, case: Case) -> float:
        """Seconds for the next case. A lower bound keeps a late case from getting nothing."""
        if self.end is None:
            self.end = time.monotonic() + self.seconds
        weight = self.weight(case)
        left = max(self.end - time.monotonic(), 0.0)
        share = left * weight / max(self.weight_left, weight)
        self.weight_left -= weight
        return max(share, 0.1)


def repeat(call: Callable[[], object], times: int) -> None:
    for _ in itertools.repeat(None, times):
        call()


def seconds(call: Callable[[], object], times: int) -> float:
    """Mean seconds of one call."""
    start = time.perf_counter()
    repeat(call, times)
    return (time.perf_counter() - start) / times


@dataclass
class Contestant:
    """One implementation of a case: how often a round calls it, and what its rounds took."""

    call: Callable[[], object]
    estimate: float = 0.0
    inner: int = 1
    times: list[float] = field(default_factory=list)

    def __post_init__(self):
        self.estimate = seconds(self.call, 1)
        if self.estimate < 0.05:  # the first call of something fast says little
            self.estimate = min(seconds(self.call, 3), self.estimate)

    def warm_up(self) -> None:
        """Brings its data back into the cache that the contestants before it have filled."""
        if self.estimate < WARM:
            self.call()

    def time_round(self) -> None:
        self.warm_up()
        self.times.append(seconds(self.call, self.inner))

    def summary(self) -> dict[str, float]:
        return {"best": min(self.times), "median": statistics.median(self.times)}


def contestants(case: Case, others: list) -> dict[str, Contestant]:
    """fastnorm first, then everyone else who can do this case."""
    found = _fused_calls(case, others) if isinstance(case.operation, Fused) else _calls(case, others)
    return {label: Contestant(call) for label, call in found.items()}


def _fused_calls(case: Case, others: list) -> dict[str, Callable[[], object]]:
    fused, arrays = case.operation, case.arrays()
    calls = {FASTNORM: fused.ours(arrays), STEPS: fused.steps(arrays)}
    for peer in others:
        if peer.label == peers.PyTorch.label and (call := fused.peer(peer, arrays)):
            calls[peer.label] = call
    return calls


def _calls(case: Case, others: list) -> dict[str, Callable[[], object]]:
    name, arrays = case.operation.name, case.arrays()
    # axis=-1 is the default everywhere; a keyword costs a tiny call noticeable time.
    ours, numpys = getattr(fastnorm, name), getattr(reference, name)
    takes = inspect.signature(ours).parameters
    where = {"axis": arrays.axis} if arrays.axis != -1 and "axis" in takes else {}
    # What works in place has no other way to be called.
    out = {"out": np.ones_like(arrays.x)} if "out" in takes else {}
    calls = {
        FASTNORM: case.operation.call(ours, arrays, **where),
        OUT: case.operation.call(ours, arrays, **where, **out),
        NUMPY: case.operation.call(numpys, arrays, **where),
    }
    if case.size_class == "tiny":
        calls[ADD] = partial(np.add, arrays.x, arrays.x)
    for peer in others:
        call = peers.prepare(peer, name, arrays)
        if call is not None:
            calls[peer.label] = call
    return calls


def plan(everyone: dict[str, Contestant], share: float) -> tuple[int, set[str]]:
    """Number of rounds in ``share`` seconds, and who is so slow as to sit out most of them.

    Fills in everyone's calls per round: equal time for all, one call at least.
    """
    slow = {label for label, one in everyone.items() if one.estimate > share / 20}
    slow.discard(FASTNORM)
    left = share - FEWEST_ROUNDS * sum(everyone[label].estimate for label in slow)
    fast = [one for label, one in everyone.items() if label not in slow]
    for one in fast:
        one.inner = max(1, int(SLICE / one.estimate))
    round_time = sum(one.inner * one.estimate for one in fast)
    return max(FEWEST_ROUNDS, min(ROUNDS, int(left / round_time))), slow


def measure(benchmark, case: Case, others: list, limit: Limit, share: float) -> None:
    """Runs one case under pytest-benchmark, which keeps fastnorm's times; the rest of the figures
    go to ``extra_info``."""
    start = time.perf_counter()
    everyone = contestants(case, others)
    preparing = time.perf_counter() - start
    rounds, slow = plan(everyone, max(share - preparing, share / 2))
    ours = everyone.pop(FASTNORM)
    operation = case.operation
    limits: list[float] = []
    number = itertools.count()
    few = {0, rounds // 2, rounds - 1}
    probed = set(range(0, rounds, -(-rounds // PROBES)))

    def one_round_of_the_others() -> None:
        this = next(number)
        # One iteration of the benchmark is a loop of our own, see below.
        benchmark.stats.iterations = ours.inner
        if this in probed:
            limits.append(limit.seconds(case.nbytes, operation.sweep, operation.reads, operation.writes))
        for label, one in everyone.items():
            if this in few or label not in slow:
                one.time_round()
        ours.warm_up()

    gc.collect()
    gc.disable()
    try:
        # With a setup function pytest-benchmark allows one iteration a round only, so the loop
        # over calls is inside the target.
        benchmark.pedantic(repeat, args=(ours.call, ours.inner), setup=one_round_of_the_others, rounds=rounds)
    finally:
        gc.enable()
    benchmark.extra_info.update(
        operation=operation.name,
        family=operation.family,
        shape=case.shape.label,
        dtype=case.dtype,
        size_class=case.size_class,
        nbytes=case.nbytes,
        moved=case.moved,
        limit=min(limits),
        others={label: one.summary() for label, one in everyone.items()},
    )
