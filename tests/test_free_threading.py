"""The modules say that they need no GIL, so that a Python without one leaves it off when they are imported."""

import ctypes
import importlib
import sys
import sysconfig

import pytest

from support import processes

MODULES = ("_arguments", "_batchnorm", "_core", "_layernorm")
SLOT, NOT_USED = 4, 1
"""Py_mod_gil and Py_MOD_GIL_NOT_USED of CPython 3.13 and later."""


class Slot(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("value", ctypes.c_void_p)]


class Definition(ctypes.Structure):
    """PyModuleDef: the name stands after a PyModuleDef_Base of an object, a function, an index and a pointer."""

    _fields_ = [
        ("base", ctypes.c_char * (object.__basicsize__ + 3 * ctypes.sizeof(ctypes.c_void_p))),
        ("name", ctypes.c_char_p),
        ("doc", ctypes.c_char_p),
        ("size", ctypes.c_ssize_t),
        ("methods", ctypes.c_void_p),
        ("slots", ctypes.POINTER(Slot)),
    ]


def slots_of(module):
    definition = ctypes.pythonapi.PyModule_GetDef
    definition.argtypes, definition.restype = [ctypes.py_object], ctypes.POINTER(Definition)
    slots, found, i = definition(module).contents.slots, {}, 0
    while slots[i].id:
        found[slots[i].id] = slots[i].value
        i += 1
    return found


@pytest.mark.parametrize("name", MODULES)
def test_modules_declare_that_they_need_no_gil(name):
    if sys.version_info < (3, 13):
        pytest.skip("CPython before 3.13 has no such slot")
    assert slots_of(importlib.import_module(f"fastnorm.{name}"))[SLOT] == NOT_USED


def import_without_gil():
    import fastnorm  # noqa: F401 - what the test is about

    assert not sys._is_gil_enabled()


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL anyway")
def test_the_gil_stays_off():
    processes.check(import_without_gil)
