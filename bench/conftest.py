"""Options, shared fixtures, progress, and what the JSON file records about the machine."""

import os
import time
from pathlib import Path

import pytest

import fastnorm
import peers
from fused import Fused
from limit import Limit
from machine import settings
from measure import Budget
from operations import OPERATIONS, Case, Operation, quick_cases
from progress import Progress
from shapes import CLASSES

SECONDS, QUICK_SECONDS, FUSED_SECONDS, SECONDS_PER_PEER = 60.0, 20.0, 90.0, 10.0


def pytest_addoption(parser):
    group = parser.getgroup("fastnorm")
    group.addoption("--threads", type=int, help="threads of everyone (default: fastnorm's own)")
    group.addoption("--operations", default="", help=f"comma-separated: {', '.join(OPERATIONS)}")
    group.addoption("--classes", default="", help=f"comma-separated: {', '.join(CLASSES)}")
    group.addoption("--full", action="store_true", help="every operation, in as much more time")
    group.addoption("--fused", choices=("none", "also", "only"), help="options in one pass, half precision")
    group.addoption("--quick", action="store_true", help="the smallest shape of each class only")
    group.addoption("--no-peers", action="store_true", help="leave out other libraries")
    group.addoption("--seconds", type=float, help="time for all cases together")


def _chosen(config, option: str, known, otherwise) -> set[str]:
    names = set(filter(None, config.getoption(option).split(",")))
    if unknown := names - set(known):
        raise pytest.UsageError(f"{option}: unknown {sorted(unknown)}, choose from {list(known)}")
    return names or set(otherwise)


def _refuse_source_tree() -> None:
    """What is measured must be what users install, so never the package next to this folder."""
    package, tree = Path(fastnorm.__file__).resolve().parent, Path(__file__).resolve().parents[1]
    if package.parent == tree:
        raise pytest.UsageError(
            f"fastnorm is imported from the source tree ({package}), not from an installed wheel;"
            " use `make bench`, or run from the bench folder after `pip install ..`"
        )


def _processor_seconds() -> float:
    """Used so far by this process and those it has waited for, such as the compiler."""
    return sum(os.times()[:4])


def pytest_configure(config):
    _refuse_source_tree()
    threads = config.getoption("--threads")
    if threads is None:
        threads = getattr(fastnorm, "get_num_threads", lambda: 1)()
    if threads < 1:
        raise pytest.UsageError(f"--threads: {threads} is less than 1")
    getattr(fastnorm, "set_num_threads", lambda n: None)(threads)
    peers.limit_threads(threads)
    config.bench_threads = threads
    config.bench_start = _processor_seconds(), time.perf_counter()
    config.bench_peers = []  # loaded by the fixture, where pytest swallows what they print


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leaves out what the options leave out, and gives the rest its time."""
    always = [name for name, operation in OPERATIONS.items() if operation.always]
    operations = _chosen(config, "--operations", OPERATIONS, OPERATIONS if config.getoption("--full") else always)
    functions = _chosen(config, "--operations", OPERATIONS, OPERATIONS)
    fused = _fused(config)
    classes = _chosen(config, "--classes", CLASSES, CLASSES)
    cases = {item: case for item in items if (case := _case(item))}

    def is_chosen(operation: Operation) -> bool:
        if isinstance(operation, Fused):
            return fused != "none" and operation.function in functions
        return fused != "only" and operation.name in operations

    chosen = [c for c in cases.values() if is_chosen(c.operation) and c.size_class in classes]
    if config.getoption("--quick"):
        chosen = quick_cases(chosen)
    kept = set(map(id, chosen))
    dropped = [item for item, case in cases.items() if id(case) not in kept]
    items[:] = [item for item in items if item not in set(dropped)]
    config.hook.pytest_deselected(items=dropped)
    quick, others = config.getoption("--quick"), SECONDS_PER_PEER * len(_installed_peers(config))
    seconds = ((QUICK_SECONDS if quick else SECONDS) + others) * max(1, len(operations) / len(always))
    seconds = seconds * (fused != "only") + (QUICK_SECONDS if quick else FUSED_SECONDS) * (fused != "none")
    config.bench_budget = Budget(config.getoption("--seconds") or seconds, chosen)
    config.pluginmanager.register(Progress(len(chosen)), "bench-progress")


def _fused(config) -> str:
    return config.getoption("--fused") or ("also" if config.getoption("--full") else "none")


def _installed_peers(config) -> list[type]:
    if config.getoption("--no-peers"):
        return []
    return [peer for peer in peers.installed() if peer is peers.PyTorch or _fused(config) != "only"]


def _case(item) -> Case | None:
    """The case that a benchmark runs; None for the tests of the benchmarks themselves."""
    return item.callspec.params.get("case") if hasattr(item, "callspec") else None


@pytest.fixture(scope="session")
def limit(pytestconfig) -> Limit:
    return Limit(pytestconfig.bench_threads)


@pytest.fixture(scope="session")
def others(pytestconfig) -> list:
    installed, threads = _installed_peers(pytestconfig), pytestconfig.bench_threads
    if installed and hasattr(os, "sched_setaffinity"):
        # Libraries with thread pools of their own obey this, whatever else they ignore. The last
        # processors, because interrupts tend to go to the first.
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[-threads:]))
    pytestconfig.bench_peers = peers.load(installed, threads)
    return pytestconfig.bench_peers


@pytest.fixture
def share(pytestconfig, case) -> float:
    return pytestconfig.bench_budget.share(case)


def pytest_benchmark_update_machine_info(config, machine_info):
    """What the figures depend on. The host's name is nobody's business."""
    machine_info.pop("node", None)
    machine_info.update(settings(config.bench_threads, config.bench_peers))
    cpu, wall = config.bench_start
    busy = (_processor_seconds() - cpu) / (time.perf_counter() - wall)
    machine_info["processors_had"] = round(busy, 2)


def pytest_benchmark_update_json(output_json):
    """The case of each benchmark is in its extra_info in full; as a parameter it is only a repr."""
    for entry in output_json["benchmarks"]:
        entry["params"] = None
