"""The floating-point control register, as a caller may have set it: flush-to-zero, and the directions of rounding."""

import ctypes
import os
import platform
import shlex
import subprocess
from contextlib import contextmanager

SOURCE = """
#if defined(__SSE2__)
#include <xmmintrin.h>
unsigned long long get_control(void) { return _mm_getcsr() & ~0x3fu; }
void set_control(unsigned long long control) { _mm_setcsr((unsigned)control); }
#elif defined(__aarch64__)
unsigned long long get_control(void) { unsigned long long c; __asm__ volatile("mrs %0, fpcr" : "=r"(c)); return c; }
void set_control(unsigned long long control) { __asm__ volatile("msr fpcr, %0" : : "r"(control)); }
#endif
"""
X86 = {"flush": 0x8040, "up": 0x4000, "down": 0x2000, "to zero": 0x6000}
ARM = {"flush": 1 << 24, "up": 1 << 22, "down": 2 << 22, "to zero": 3 << 22}
CONTROLS = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}
MODES = tuple(X86)


def build(folder):
    """The path of a library that reads and writes the register, made in `folder`; None where that cannot be."""
    if platform.machine() not in CONTROLS:
        return None
    (folder / "control.c").write_text(SOURCE)
    command = [*shlex.split(os.environ.get("CC", "cc")), "-O1", "-shared", "-fPIC", "control.c", "-o", "control.so"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return str(folder / "control.so")


@contextmanager
def under(path, mode):
    """A block in one of `MODES`, by the library at `path`; what is called there must leave the register alone."""
    library = ctypes.CDLL(path)
    library.get_control.restype = ctypes.c_ulonglong
    library.set_control.argtypes = [ctypes.c_ulonglong]
    default = library.get_control()
    control = default | CONTROLS[platform.machine()][mode]
    library.set_control(control)
    try:
        yield
        after = library.get_control()
    finally:
        library.set_control(default)
    assert after == control, f"a call changed the caller's control register: {control:#x} became {after:#x}"
