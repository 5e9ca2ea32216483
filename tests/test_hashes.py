"""The bits of results are pinned from release to release, on every ISA and for every number of threads."""

import contextlib
import json

import pytest

import fastnorm
from fastnorm import _core
from support import control, processes
from support.hashes import COMMAND, FILE, cases, hashes
from support.isas import ISAS

THREADS = (1, 2, 3, 7)


def pinned():
    return json.loads(FILE.read_text())


def assert_pinned(found, what):
    expected = pinned()
    changed = [name for name in found if found[name] != expected[name]]
    assert not changed, (
        f"{what}: not the bits of tests/hashes.json: {'; '.join(changed)}. If every ISA has the same new bits and they "
        f"are meant, write the file anew ({COMMAND}) and tell users in CHANGELOG.md that results have changed."
    )


def test_every_operation_is_pinned():
    assert pinned().keys() == cases().keys(), f"write tests/hashes.json anew: {COMMAND}"


def check_hashes(isa, library):
    """In a fresh process and then a warm one, on any number of threads; flushing to zero where a library is given."""
    assert _core.use_isa(isa) == isa
    cases()  # made before anything is flushed to zero
    for n in THREADS:
        with fastnorm.threads(n), control.under(library, "flush") if library else contextlib.nullcontext():
            found = hashes()
        assert_pinned(found, f"{isa}, {n} threads")


@pytest.mark.parametrize("flush", [False, True], ids=["", "flush_to_zero"])
@pytest.mark.parametrize("isa", ISAS)
def test_the_bits_are_those_of_the_last_release(isa, flush, request):
    # The environment chooses here, as it would for users.
    better = " ".join(name.upper() for name in ISAS[ISAS.index(isa) + 1 :])
    library = request.getfixturevalue("control_library") if flush else None
    processes.check(check_hashes, isa, library, FASTNORM_DISABLE_CPU_FEATURES=better)


def test_the_bits_in_this_process(isa):
    assert_pinned(hashes(), isa)
