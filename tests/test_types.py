"""Types: stubs say what the compiled functions are, and a type checker makes of calls what they give."""

import inspect
import os
import pkgutil
import pydoc
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import fastnorm
from fastnorm import reference

SAMPLES = Path(__file__).parent / "typed"
RUN = sorted(path.name for path in SAMPLES.glob("*.py") if path.name != "wrong.py")
FUNCTIONS = [name for name in fastnorm.__all__ if callable(getattr(fastnorm, name))]
INSTALLED = Path(fastnorm.__file__).parent


def run(tool, *arguments):
    """Where the source tree is out of sight: as a user has it, from the wheel alone and without our settings."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LD_PRELOAD")}
    command = [sys.executable, "-m", tool, *arguments]
    return subprocess.run(command, cwd=SAMPLES, env=environment, capture_output=True, text=True)


def test_mypy_strict_finds_in_the_samples_what_it_should(tmp_path):
    result = run("mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", ".")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", RUN)
def test_the_samples_run(name):
    runpy.run_path(str(SAMPLES / name))


def test_every_public_name_has_a_type(tmp_path):
    # of a name that no stub has, mypy knows only that it is Any
    names = [f"{module.__name__}.{name}" for module in (fastnorm, reference) for name in module.__all__]
    lines = ["import fastnorm.reference", *(f"reveal_type({name})" for name in names)]
    result = run("mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", "-c", "\n".join(lines))
    assert result.returncode == 0, result.stdout + result.stderr
    revealed = [line for line in result.stdout.splitlines() if "Revealed type" in line]
    assert len(revealed) == len(names)
    assert [line for line in revealed if line.endswith('"Any"')] == []


@pytest.mark.unsanitized("the extension is imported by a checker without sanitizers")
def test_stubs_and_modules_agree(tmp_path):
    # Parameters, their kinds and defaults, of whatever a stub names. Left out: what modules have beyond their stubs,
    # such as the helpers of the reference, and a class that has to be one of threadpoolctl's.
    settings, allowed = tmp_path / "mypy.ini", tmp_path / "allowed"
    settings.write_text("[mypy]\n[mypy-threadpoolctl.*]\nignore_missing_imports = True\n")
    allowed.write_text("fastnorm\\._threadpoolctl\\..*\n")
    options = [f"--mypy-config-file={settings}", f"--allowlist={allowed}", "--ignore-missing-stub", "--concise"]
    result = run("mypy.stubtest", "fastnorm", *options)
    assert result.returncode == 0, result.stdout + result.stderr


# Python that has its types beside it, and what Cython adds, which has no names.
OWN_TYPES = {"_c_api", "_common", "_cython", "_finish", "_lists", "_special", "_threadpoolctl", "_version"}


def test_types_are_installed():
    assert (INSTALLED / "py.typed").is_file()
    for package in (fastnorm, reference):
        folder = Path(package.__file__).parent
        for module in pkgutil.iter_modules(package.__path__):
            own_types = module.ispkg or module.name in OWN_TYPES
            assert own_types or (folder / f"{module.name}.pyi").is_file(), f"no stub of {module.name}"


@pytest.mark.parametrize("module", [fastnorm, reference], ids=["fastnorm", "reference"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_and_signature(module, name):
    if not hasattr(module, name):
        return
    function = getattr(module, name)
    signature = inspect.signature(function)
    assert not any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in signature.parameters.values())
    shown = pydoc.render_doc(function, renderer=pydoc.plaintext)
    assert f"{name}{signature}" in shown
    assert next(line for line in inspect.getdoc(function).splitlines() if line.endswith((".", ":", "``"))) in shown
