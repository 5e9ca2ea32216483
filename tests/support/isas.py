"""The instruction sets that this machine can run, and a way to pick one."""

from contextlib import contextmanager

from fastnorm import _core

ISAS = _core.isas()


@contextmanager
def using(isa):
    """Run the kernels of `isa` inside the block."""
    previous = _core.use_isa(isa)
    try:
        yield
    finally:
        _core.use_isa(previous)
