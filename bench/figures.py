"""From the JSON file of a run to the figures that table, picture and Markdown show."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fused import FUSED, HALVES
from names import ADD, FASTNORM, NUMPY, OUT, STEPS
from operations import OPERATIONS
from shapes import CLASSES

# What fastnorm aims at for a plain call with a fresh result: class, operation (None: all but those
# named), most that the geometric mean may be in multiples of the limit, most that any case may be.
LIMIT_GOALS = (
    ("tiny", None, 1.5, 2.5),
    ("narrow", None, 2.5, 1.25 * 2.5),
    ("small", None, 1.8, 1.25 * 1.8),
    ("mid", None, 1.4, 1.25 * 1.4),
    ("large", None, 1.1, 1.25 * 1.1),
    ("large", "batch_norm", 1.0, 1.25 * 1.0),
)
# Least geometric mean of the speed-up over an implementation; over the best peer also in each case.
NUMPY_GOAL, BEST_PEER_GOAL, PEER_GOALS = 20.0, 3.0, {"PyTorch": 6.0}
# Likewise of what one pass does for several, over the same steps one after the other, in each case.
FUSED_GOALS = {STEPS: 1.5, "PyTorch": 4.0}


def geometric_mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else math.nan


@dataclass(frozen=True)
class Row:
    """One case: best and median seconds of every implementation, and the traffic limit."""

    operation: str
    shape: str
    dtype: str
    size_class: str
    moved: int
    limit: float
    best: dict[str, float]
    median: dict[str, float]

    @property
    def yardstick(self) -> float:
        """What a time is a multiple of: the limit, but for tiny arrays one ``np.add(x, x)``.

        A tiny array moves in less time than it takes to call a function.
        """
        return self.best[ADD] if self.size_class == "tiny" else self.limit

    @property
    def peers(self) -> list[str]:
        return [name for name in self.best if name not in (FASTNORM, OUT, NUMPY, ADD, STEPS)]

    @property
    def best_peer(self) -> str | None:
        return min(self.peers, key=self.best.__getitem__, default=None)

    @property
    def gigabytes_per_second(self) -> float:
        return self.moved / self.best[FASTNORM] / 1e9

    def multiple(self, name: str = FASTNORM) -> float:
        return self.best[name] / self.yardstick

    def speedup(self, over: str) -> float:
        return self.best[over] / self.best[FASTNORM]

    def meets(self, goals: dict[str, float]) -> list[bool | None]:
        """Speed-ups over others; None where the other was not measured."""
        return [self.speedup(name) >= goal if name in self.best else None for name, goal in goals.items()]


@dataclass(frozen=True)
class Run:
    """All rows of a run, by class from tiny to large, those of what one pass does for several, and a description of
    the machine."""

    rows: list[Row]
    fused: list[Row]
    machine: dict

    @property
    def peers(self) -> list[str]:
        return list(dict.fromkeys(peer for row in self.rows for peer in row.peers))

    @property
    def operations(self) -> list[str]:
        return list(dict.fromkeys(row.operation for row in self.rows))

    @property
    def dtypes(self) -> list[str]:
        return sorted({row.dtype for row in self.rows})

    def select(self, **fields: str | None) -> list[Row]:
        """The rows with these values; None stands for any."""
        wanted = {name: value for name, value in fields.items() if value is not None}
        return [r for r in self.rows if all(getattr(r, n) == v for n, v in wanted.items())]

    @property
    def description(self) -> list[str]:
        """Two lines for footers: the machine, the versions."""
        machine, threads = self.machine, self.machine["threads"]
        cpu = machine.get("cpu", {})
        processor = cpu.get("brand_raw") or machine.get("processor") or machine["machine"]
        parts = [processor, f"{machine['system']} {machine['machine']}"]
        if isa := machine.get("fastnorm", {}).get("isa in use"):
            parts.append(f"{isa} kernels")
        parts += [f"{threads} thread{'s' * (threads > 1)}", f"measured {machine['measured']}"]
        versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
        return [" · ".join(parts), versions]


def disturbance(run: Run) -> str | None:
    """A warning if other processes took the processor from this run; times then read too long."""
    had = run.machine.get("processors_had", 1)
    if had >= 0.9:
        return None
    return f"This run had a processor for {had:.0%} of its time: repeat it on an idle machine."


def read(path: Path) -> Run:
    """Rows in the order of a table: by class and operation, then by size as they ran."""
    content = json.loads(path.read_text())
    fused, plain = [], []
    for entry in content["benchmarks"]:
        (fused if entry["extra_info"]["family"] == "fused" else plain).append(_row(entry))

    plain.sort(key=lambda row: (list(CLASSES).index(row.size_class), list(OPERATIONS).index(row.operation)))
    fused.sort(key=lambda row: (list(FUSED).index(row.operation), row.dtype))
    return Run(plain, fused, content["machine_info"])


def _row(entry: dict) -> Row:
    info, stats = entry["extra_info"], entry["stats"]
    times = {FASTNORM: {"best": stats["min"], "median": stats["median"]}, **info["others"]}
    return Row(
        **{name: info[name] for name in ("operation", "shape", "dtype", "size_class", "moved", "limit")},
        best={name: time["best"] for name, time in times.items()},
        median={name: time["median"] for name, time in times.items()},
    )


@dataclass(frozen=True)
class Verdict:
    """A goal beside what was measured; ``figure`` is compared, ``worst`` names the weakest case."""

    what: str
    goal: str
    measured: str
    met: bool
    worst: str


def verdicts(run: Run) -> list[Verdict]:
    found = [_limit_verdict(run, *goal) for goal in LIMIT_GOALS]
    goals = {NUMPY: NUMPY_GOAL, **PEER_GOALS}
    for name, least in goals.items():
        found.append(_speed_verdict(run.rows, f"speed-up over {name}", least, lambda row, name=name: name))
    found.append(
        _speed_verdict(run.rows, "speed-up over the best peer", BEST_PEER_GOAL, lambda row: row.best_peer, floor=1.0)
    )
    # Apart, because NumPy's conversions of halves take so long that they would hide the rest.
    for what, halves in (("fused", False), ("half precision", True)):
        rows = [row for row in run.fused if (row.dtype in HALVES) == halves]
        for name, least in FUSED_GOALS.items():
            found.append(_speed_verdict(rows, f"{what}, over {name}", least, lambda row, name=name: name))
    return [verdict for verdict in found if verdict is not None]


def _limit_verdict(run: Run, key: str, operation: str | None, goal: float, most: float):
    own = {name for k, name, *_ in LIMIT_GOALS if k == key and name}  # have a goal of their own
    rows = [r for r in run.select(size_class=key, operation=operation) if operation or r.operation not in own]
    if not rows:
        return None
    mean, worst = geometric_mean(row.multiple() for row in rows), max(rows, key=Row.multiple)
    return Verdict(
        what=f"x {'np.add' if key == 'tiny' else 'limit'}, {operation or key}",
        goal=f"{goal:.2f}, none over {most:.2f}",
        measured=f"{mean:.2f}",
        met=mean <= goal and worst.multiple() <= most,
        worst=f"{worst.multiple():.2f}  {describe(worst)}",
    )


def _speed_verdict(
    among: list[Row],
    what: str,
    least: float,
    rival: Callable[[Row], str | None],
    floor: float = 0.0,
):
    """``floor`` is the speed-up that every single case must exceed."""
    rows = [row for row in among if rival(row) in row.best]
    if not rows:
        return None

    def speedup(row: Row) -> float:
        return row.speedup(rival(row))

    mean, worst = geometric_mean(map(speedup, rows)), min(rows, key=speedup)
    slower = sum(speedup(row) <= floor for row in rows)
    return Verdict(
        what=what,
        goal=f"{least:g}" + (", none under 1" if floor else ""),
        measured=f"{mean:.1f}" + (f", {slower} of {len(rows)} under 1" if floor else ""),
        met=mean >= least and not slower,
        worst=f"{speedup(worst):.2f}  {describe(worst)}",
    )


def describe(row: Row) -> str:
    return f"{row.operation} {row.shape} {row.dtype}"


def duration(seconds: float) -> str:
    """A time with three digits and a unit."""
    units = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
    unit = next((unit for unit, size in units.items() if seconds >= size), "µs")
    value = seconds / units[unit]
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
