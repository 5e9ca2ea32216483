"""The functions of fastnorm's C interface for ctypes and whatever takes functions of ctypes, such as Numba."""

import ctypes
import re
from pathlib import Path

import fastnorm
from fastnorm import _core

HEADER = Path(fastnorm.get_include(), "fastnorm", "c_api.h")
TYPES = {"ptrdiff_t": ctypes.c_ssize_t, "double": ctypes.c_double}


def functions() -> dict:
    """Every function of the installed table by its name; pointers are addresses, such as array.ctypes.data gives."""
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = get_pointer(_core.c_api, b"fastnorm._core.c_api")
    _, size = (ctypes.c_size_t * 2).from_address(address)
    entries = (ctypes.c_void_p * (size // ctypes.sizeof(ctypes.c_void_p))).from_address(address)[2:]
    declared = re.findall(r"int \(\*(\w+)\)\((.*?)\);", HEADER.read_text(), re.DOTALL)
    made = {}
    for entry, (name, arguments) in zip(entries, declared, strict=True):
        kinds = [
            ctypes.c_void_p if "*" in argument else TYPES[argument.split()[0]] for argument in arguments.split(",")
        ]
        made[name] = ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(entry)
    return made
