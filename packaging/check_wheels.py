"""Runs the short test suite on built wheels, not on the source tree: `make wheels-test`.

    python check_wheels.py [--wheels FOLDER] [--only native,emulated,aarch64] [--interpreters cp311,cp313]

    native      the x86-64 wheel in a fresh virtual environment of every CPython that is found here
    emulated    the same wheel on processors of other years: Nehalem, which has no AVX, and Haswell, which has AVX2
    aarch64     the AArch64 wheel, emulated, on Debian's Python for that processor and NumPy's own wheel, both unpacked
                in build/: the system stays as it is

Everywhere the package is imported, the kernels are those expected, and results have the bits of tests/hashes.json,
which are those of every other processor. What is emulated takes fifty times as long and gets fewer tests.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from wheels import ROOT, Interpreter, interpreters

WORK = ROOT / "build" / "wheels-test"
SHORT = "batchnorm clipping dispatch layernorm running_statistics validation"
EMULATED = "layernorm batchnorm clipping"
# Arrays beyond the caches, oracles of exact fractions and examples by the hundred are for processors that are there.
QUICK = (
    "-k",
    "not large and not million and not hypothesis and not anything and not memory",
)
# These start Python anew, which an emulator does not see, or are compared with oracles that take minutes there.
BITS = ["test_hashes.py", "-k", "in_this_process or every_operation"]
NEEDED = ["pytest", "hypothesis", "threadpoolctl", "pytest-run-parallel", "rich"]
DEBIAN = "libc6 libexpat1 libffi8 libgcc-s1 libstdc++6 zlib1g libbz2-1.0 liblzma5 libssl3 libsqlite3-0"
PROCESSORS = {"Nehalem": "baseline", "Haswell": "avx2"}
LOOK = """
import sys, fastnorm
from fastnorm import _core
assert "wheels-test" in fastnorm.__file__, fastnorm.__file__
assert _core.isas()[-1] == sys.argv[1], f"kernels are {_core.isas()[-1]}, expected {sys.argv[1]}"
"""


class Missing(Exception):
    """Something that this machine lacks."""


def run(command: list, **environment: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        list(map(str, command)), cwd=WORK / "suite", env=clean | environment, capture_output=True, text=True
    )


def must(command: list, **environment: str) -> str:
    result = run(command, **environment)
    if result.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def suite(python: list, names: str, *options: str, **environment: str) -> str:
    """The last line of pytest. Nothing of the source tree but the tests is in reach."""
    paths = [f"tests/test_{name}.py" for name in names.split()]
    out = must([*python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *paths], **environment)
    return out.strip().splitlines()[-1].strip("= ")


def bits(python: list, **environment: str) -> str:
    options = ["-q", "-p", "no:cacheprovider", f"tests/{BITS[0]}", *BITS[1:]]
    return must([*python, "-P", "-m", "pytest", *options], **environment).strip().splitlines()[-1].strip("= ")


def wheel_for(folder: Path, tag: str, machine: str) -> Path:
    """The one that pip would choose for a Python, by its tag."""
    usual = re.fullmatch(r"cp3(\d+)", tag)
    kinds = [f"{tag}-{tag}", *(["cp312-abi3"] if usual and int(usual[1]) >= 12 else [])]
    for kind in kinds:
        for wheel in sorted(folder.glob(f"*-{kind}-*_{machine}.whl")):
            return wheel
    raise Missing(f"no wheel in {folder} for {tag} on {machine}; make wheels builds it")


def chosen(tags: list[str]) -> list[Interpreter]:
    return [one for one in interpreters() if tags == [""] or one.tag in tags]


def environment_with(wheel: Path, interpreter: Interpreter) -> Path:
    home = WORK / f"venv-{interpreter.tag}"
    shutil.rmtree(home, ignore_errors=True)
    must([interpreter.path, "-m", "venv", home])
    python = home / "bin" / "python"
    must([python, "-m", "pip", "install", "--quiet", wheel, *NEEDED])
    return python


def emulator(machine: str) -> str:
    for name in (f"qemu-{machine}-static", f"qemu-{machine}"):
        if found := shutil.which(name):
            return found
    raise Missing(f"no qemu-{machine}-static (Debian: qemu-user-static)")


def debian_python(folder: Path) -> tuple[Path, str]:
    """Debian's Python for AArch64, unpacked, and its tag. apt keeps its lists in the folder, too."""
    for tool, package in {"apt-get": "apt", "dpkg-deb": "dpkg"}.items():
        if not shutil.which(tool):
            raise Missing(f"no {tool} (Debian: {package})")
    root, packages = folder / "root", folder / "packages"
    if not (found := sorted(root.glob("usr/bin/python3.*[0-9]"))):
        for made in (root, packages, folder / "lists" / "partial", folder / "cache"):
            made.mkdir(parents=True, exist_ok=True)
        options = {
            "Dir::State::lists": folder / "lists",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "1",
        }
        settings = [f"-o{name}={value}" for name, value in options.items()]
        if run(["apt-get", "-qq", *settings, "update"]).returncode:
            raise Missing("apt-get update finds no packages for arm64")
        shown = must(["apt-cache", *settings, "depends", "python3-minimal"])
        version = re.search(r"python(3\.\d+)-minimal", shown)[1]
        of_python = [
            f"{name.format(version)}" for name in ("python{}-minimal", "libpython{}-minimal", "libpython{}-stdlib")
        ]
        subprocess.run(
            ["apt-get", "-qq", *settings, "download", *of_python, *DEBIAN.split()],
            cwd=packages,
            check=True,
            capture_output=True,
        )
        for package in packages.glob("*.deb"):
            must(["dpkg-deb", "-x", package, root])
        found = sorted(root.glob("usr/bin/python3.*[0-9]"))
    return found[0], "cp" + found[0].name.removeprefix("python").replace(".", "")


def check_native(wheels: Path, tags: list[str]) -> list[tuple[str, str, str]]:
    rows = []
    for interpreter in chosen(tags):
        wheel = wheel_for(wheels, interpreter.tag, platform.machine())
        python = environment_with(wheel, interpreter)
        rows.append((wheel.name, f"Python {interpreter.tag}", f"{suite([python], SHORT)}; bits {bits([python])}"))
    return rows


def check_emulated(wheels: Path, tags: list[str]) -> list[tuple[str, str, str]]:
    if platform.machine() != "x86_64":
        raise Missing("these processors are x86-64")
    qemu, rows = emulator("x86_64"), []
    interpreter = chosen(tags)[0]
    wheel = wheel_for(wheels, interpreter.tag, "x86_64")
    python = environment_with(wheel, interpreter)
    for processor, isa in PROCESSORS.items():
        command = [qemu, "-cpu", processor, python]
        must([*command, "-P", "-c", LOOK, isa])
        rows.append((wheel.name, processor, f"{isa}; {suite(command, EMULATED, *QUICK)}; bits {bits(command)}"))
    return rows


def check_aarch64(wheels: Path, tags: list[str]) -> list[tuple[str, str, str]]:
    qemu, folder = emulator("aarch64"), WORK / "aarch64"
    python, tag = debian_python(folder)
    wheel, site = wheel_for(wheels, tag, "aarch64"), folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    version = python.name.removeprefix("python")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", site, "--python-version", version]
    command += ["--only-binary=:all:", *(f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28))]
    command += ["--platform=manylinux2014_aarch64"]
    must([*command, wheel, *NEEDED])
    command = [qemu, "-L", folder / "root", python]
    must([*command, "-P", "-c", LOOK, "neon"], PYTHONPATH=str(site))
    result = suite(command, EMULATED, *QUICK, PYTHONPATH=str(site))
    return [(wheel.name, f"AArch64, Python {version}", f"neon; {result}; bits {bits(command, PYTHONPATH=str(site))}")]


CHECKS = {"native": check_native, "emulated": check_emulated, "aarch64": check_aarch64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist")
    parser.add_argument("--only", default=",".join(CHECKS))
    parser.add_argument("--interpreters", default="", help="such as cp311,cp313: only on these")
    arguments = parser.parse_args()
    shutil.rmtree(WORK / "suite", ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
    shutil.copytree(ROOT / "tests", WORK / "suite" / "tests", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", WORK / "suite")
    console = Console(highlight=False, soft_wrap=True)
    table, missing = Table("wheel", "on", "result", box=None, title="Wheels, tested"), []
    for name in arguments.only.split(","):
        start = time.monotonic()
        try:
            for row in CHECKS[name](arguments.wheels.resolve(), arguments.interpreters.split(",")):
                console.print(*row)
                table.add_row(*row)
        except Missing as what:
            missing.append(f"{name}: left out: {what}")
        console.print(f"{name}: {time.monotonic() - start:.0f} s")
    console.print(table)
    if missing:
        raise SystemExit("\n".join(missing))


if __name__ == "__main__":
    main()
