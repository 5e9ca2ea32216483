"""Builds the wheels that are published, for x86-64 and AArch64, on any Linux machine: `make wheels`.

    python wheels.py [--output FOLDER] [--machines x86_64,aarch64] [--interpreters cp311,cp312] [--twice] [--quick]

The compiler is the one in the PyPI package ziglang: Clang with the headers of every version of glibc, so that what it
links runs from glibc 2.17 on, and on another processor than this one. Two kinds of wheels, because a call by Python's
stable ABI costs 0.1 us more, and in Python 3.11 0.3 us:

    cp311          for Python 3.11, built by a Python 3.11
    cp312-abi3     for all later ones, built by the oldest Python from 3.12 on that is found here
    cp313t, ...    for each free-threaded Python that is found here

Each is checked by auditwheel and abi3audit, and must stay below 1 MB. --twice builds everything a second time, with an
empty cache of the compiler, and compares the bytes. --quick compresses as usual, which is 4 % larger and 20 s faster.
"""

import argparse
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import zopfli.zopfli as zopfli
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
GLIBC = "2.17"
MACHINES = ("x86_64", "aarch64")
MOST_BYTES = 1_000_000
# Tables for unwinding are a twentieth of the wheel, and nothing here throws. Frame pointers, which this compiler keeps
# unless it is told not to, cost a register. Loops over any number of columns that are written out several times are a
# twentieth, too, and gain nothing, since each turn of them is long; those of a constant length have to be.
# One table of symbols is enough.
LEAN = "-fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer -mllvm -unroll-runtime=false"
LEAN_LINK = "-shared -s -Wl,--hash-style=gnu"
ASK = """
import json, sys, sysconfig
print(json.dumps([*sys.version_info[:2], bool(sysconfig.get_config_var("Py_GIL_DISABLED"))]))
"""


@dataclass(frozen=True, order=True)
class Interpreter:
    version: tuple[int, int]
    free_threaded: bool
    path: str

    @property
    def tag(self) -> str:
        return "cp{}{}".format(*self.version) + ("t" if self.free_threaded else "")


@dataclass(frozen=True)
class Target:
    """A wheel to build."""

    interpreter: Interpreter
    limited: str  # the least version of the stable ABI, or nothing
    machine: str

    @property
    def extension_suffix(self) -> str:
        tag = self.interpreter.tag.removeprefix("cp")
        return ".abi3.so" if self.limited else f".cpython-{tag}-{self.machine}-linux-gnu.so"


def interpreters() -> list[Interpreter]:
    """Every CPython from 3.11 on along PATH and among those of pyenv, one of each kind."""
    folders = [*os.environ["PATH"].split(os.pathsep), *Path.home().glob(".pyenv/versions/*/bin")]
    paths = [path for folder in folders for path in Path(folder).glob("python3.[1-9]*") if "-" not in path.name]
    found: dict[tuple, Interpreter] = {}
    for path in [Path(sys.executable), *sorted(paths)]:
        run = subprocess.run([path, "-c", ASK], capture_output=True, text=True)
        if run.returncode == 0:
            *version, free = json.loads(run.stdout)
            found.setdefault((*version, free), Interpreter(tuple(version), free, str(path)))
    return sorted(one for one in found.values() if one.version >= (3, 11))


def targets(machines: list[str]) -> list[Target]:
    chosen = []
    usual = [one for one in interpreters() if not one.free_threaded]
    if old := [one for one in usual if one.version == (3, 11)]:
        chosen.append((old[0], ""))
    if later := [one for one in usual if one.version >= (3, 12)]:
        chosen.append((later[0], "3.12"))
    chosen += [(one, "") for one in interpreters() if one.free_threaded]
    return [Target(interpreter, limited, machine) for interpreter, limited in chosen for machine in machines]


def environment_of(interpreter: Interpreter, folder: Path) -> Path:
    """The Python of a virtual environment with what the build needs, as pyproject.toml names it, and the compiler."""
    home = folder / f"venv-{interpreter.tag}"
    python = home / "bin" / "python"
    if not python.exists():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        needed = [*project["build-system"]["requires"], *project["project"]["optional-dependencies"]["wheels"]]
        subprocess.run([interpreter.path, "-m", "venv", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)
    return python


def tag_of(target: Target) -> str:
    return f"manylinux_{GLIBC.replace('.', '_')}_{target.machine}"


def build(target: Target, python: Path, output: Path, quick: bool = False, cache: Path | None = None) -> Path:
    """From a copy of the sources, so that objects of other machines are not taken for this one's."""
    zig = f"{python} -m ziglang"
    compiler = f"{zig} cc -target {target.machine}-linux-gnu.{GLIBC}"
    environment = os.environ | {
        "CC": compiler,
        "LDSHARED": f"{compiler} {LEAN_LINK}",
        "CFLAGS": LEAN,
        "AR": f"{zig} ar",
        "FASTNORM_LIMITED_API": target.limited,
        **({"ZIG_GLOBAL_CACHE_DIR": str(cache)} if cache else {}),
        "SETUPTOOLS_EXT_SUFFIX": target.extension_suffix,
        "SOURCE_DATE_EPOCH": "315532800",  # 1980, where the times of a zip file begin
        "_PYTHON_HOST_PLATFORM": f"linux-{target.machine}",
    }
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "source"), Path(folder, "wheel")
        ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "output", "results", "__pycache__")
        shutil.copytree(ROOT, source, ignore=ignored)
        command = [python, "-W", "ignore", "setup.py", "--quiet", "bdist_wheel"]
        command += [f"--plat-name={tag_of(target)}", f"--dist-dir={made}"]
        run = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"{' '.join(map(str, command))}\n{run.stdout}{run.stderr}")
        (wheel,) = made.glob("*.whl")
        if not quick:
            recompress(wheel)
        return Path(shutil.move(wheel, output / wheel.name))


def recompress(wheel: Path) -> None:
    """The same files in the same order, by a compressor that takes its time: what comes out is plain deflate.

    The format is written here because zipfile compresses with zlib only.
    """
    local, central = bytearray(), bytearray()
    with zipfile.ZipFile(wheel) as old:
        for entry in old.infolist():
            data, name = old.read(entry), entry.filename.encode()
            packed = zopfli.compress(data)[2:-4]  # without the frame of zlib
            method, packed = (8, packed) if len(packed) < len(data) else (0, data)
            # version, flags, method, time, date (1980-01-01), checksum, both sizes, lengths of name and extra
            fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, entry.CRC, len(packed), len(data), len(name), 0)
            central += b"PK\1\2" + struct.pack("<H", 3 << 8 | 20) + fields
            central += struct.pack("<HHHII", 0, 0, 0, entry.external_attr, len(local)) + name
            local += b"PK\3\4" + fields + name + packed
        count = len(old.infolist())
    wheel.write_bytes(
        local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(central), len(local), 0)
    )
    with zipfile.ZipFile(wheel) as new:
        if bad := new.testzip():
            raise SystemExit(f"{wheel.name}: {bad} cannot be read again")


def audit(wheel: Path, target: Target, python: Path) -> list[str]:
    """What is wrong with it."""
    faults = []
    if wheel.stat().st_size > MOST_BYTES:
        faults.append(f"larger than {MOST_BYTES:,} bytes")
    shown = subprocess.run([python, "-m", "auditwheel", "show", wheel], capture_output=True, text=True)
    if f'the following platform tag: "{tag_of(target)}"' not in " ".join(shown.stdout.split()):
        faults.append(shown.stdout + shown.stderr)
    if "abi3" in wheel.name:
        checked = subprocess.run([python, "-m", "abi3audit", "--strict", wheel], capture_output=True, text=True)
        if checked.returncode:
            faults.append(checked.stdout + checked.stderr)
    return faults


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--machines", default=",".join(MACHINES))
    parser.add_argument("--quick", action="store_true", help="compress as usual")
    parser.add_argument("--interpreters", default="", help="such as cp311,cp312: only wheels built by these")
    parser.add_argument("--twice", action="store_true", help="build all of them again and compare the bytes")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    console, faults = Console(highlight=False), []
    table = Table("wheel", "bytes", "built by", "SHA-256", "audits", title="Wheels", box=None)
    for target in targets(arguments.machines.split(",")):
        if arguments.interpreters and target.interpreter.tag not in arguments.interpreters.split(","):
            continue
        console.print(f"building {target.interpreter.tag} {target.machine}")
        python = environment_of(target.interpreter, ROOT / "build" / "wheels")
        wheel = build(target, python, arguments.output, arguments.quick)
        wrong = audit(wheel, target, python)
        if arguments.twice:
            with tempfile.TemporaryDirectory() as again:
                second = build(target, python, Path(again), arguments.quick, cache=Path(again, "cache"))
                if digest(second) != digest(wheel):
                    wrong.append("a second build has other bytes")
        faults += [f"{wheel.name}: {fault}" for fault in wrong]
        size = f"{wheel.stat().st_size:,}"
        table.add_row(wheel.name, size, target.interpreter.tag, digest(wheel)[:16], "FAILED" if wrong else "passed")
    console.print(table)
    if faults:
        raise SystemExit("\n".join(faults))


if __name__ == "__main__":
    main()
