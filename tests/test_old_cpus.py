"""On processors of other years the package imports, picks kernels that they can run, and computes the same bits.

The processors are emulated (Debian: qemu-user-static): an instruction that they lack is a crash. NumPy's own wheels
need x86-64-v2, which Nehalem is the first to have.
"""

import platform
import shutil

import pytest

import fastnorm
from fastnorm import _core
from support import processes
from support.arrays import DTYPES
from support.hashes import arguments_for, hash_of
from support.operations import OPERATIONS

EMULATOR = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the processors are x86-64"),
    pytest.mark.skipif(EMULATOR is None, reason="no qemu-x86_64 (Debian: qemu-user-static)"),
]


def print_hashes():
    """The kernels in use, and a hash for each operation, dtype and shape: small ones, as emulators take their time."""
    best = _core.isas()[-1]
    print(_core.use_isa(best))
    for op in OPERATIONS:
        for dtype in DTYPES:
            for shape in [(7, 33), (40, 129), (300, 16)]:
                with fastnorm.threads(2):
                    print(op, dtype.__name__, shape, hash_of(op(arguments_for(op, shape, dtype))))


def print_on(cpu):
    """What `print_hashes` prints on another processor. The emulator may say what it cannot emulate; Python no word."""
    result = processes.run(print_hashes, emulator=[EMULATOR, "-cpu", cpu])
    lines = result.stderr.splitlines(keepends=True)
    result.stderr = "".join(line for line in lines if not line.startswith("qemu-x86_64"))
    return processes.in_silence(result).splitlines()


@pytest.mark.parametrize("cpu, isa", [("Nehalem", "baseline"), ("Haswell", "avx2")])
def test_emulated(cpu, isa):
    in_use, *hashes = print_on(cpu)
    assert in_use == isa
    assert hashes == processes.check(print_hashes).splitlines()[1:]
