"""Builds the extension modules. Everything else about the package is in pyproject.toml.

The kernels are compiled once for every ISA, each time with that ISA's vocabulary and flags; these objects are static
libraries, which setuptools can build with flags of their own. Only fastnorm._core is linked to them.
"""

import os
import re
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy

import Cython
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib

# The order of additions decides the bits of a result: nothing may contract, reassociate or estimate.
EXACT = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fno-trapping-math"]
# -g0: some Pythons ask for debug information in every extension, which is nine tenths of the wheel
HIDDEN = ["-fvisibility=hidden", "-fno-lto", "-g0"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion"] + (["-Werror"] if os.environ.get("FASTNORM_WERROR") else [])
# The last word at every compilation and when linking: sanitizers, as in `make asan`
EXTRA = os.environ.get("FASTNORM_EXTRA_FLAGS", "").split()

AVX2 = ["-mavx2", "-mfma", "-mf16c"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq"]
MACHINE = sysconfig.get_platform().rpartition("-")[2]  # that of the target: _PYTHON_HOST_PLATFORM may name another
ISAS = {"baseline": []}
if MACHINE in ("x86_64", "AMD64"):
    ISAS |= {"avx2": AVX2, "avx512": AVX512}
elif MACHINE in ("aarch64", "arm64"):
    ISAS |= {"neon": []}


def files(folder, *endings):
    """Whatever is put into a folder of sources is built."""
    return [f"{folder}/{name}" for name in sorted(os.listdir(folder)) if name.endswith(endings)]


HEADER_FOLDERS = ("csrc", "csrc/isa", "csrc/kernels", "csrc/simd", "fastnorm/include/fastnorm")
HEADERS = [path for folder in HEADER_FOLDERS for path in files(folder, ".h", ".inc")]


def library(name, sources, flags=()):
    options = {
        "sources": sources,
        "cflags": [*EXACT, *HIDDEN, *WARNINGS, *flags, *EXTRA],
        "include_dirs": ["csrc"],
        "obj_deps": {"": HEADERS},
    }
    return name, options


# Where Clang makes loops longer to no use, or for no processor that is sold any more: a tenth of the wheel. It is what
# makes the baseline's activations and dropout twice as fast. GCC does no such thing unless it is told to.
SHORT_LOOPS = ["-fno-unroll-loops"]
SHORT = {
    "baseline": lambda source: not re.search("activations|dropout", source),
    "avx2": lambda source: "batchnorm" in source,
    "avx512": lambda source: "batchnorm" in source,
}


def kernels(isa, flags):
    """The libraries of an ISA."""
    is_short = SHORT.get(isa) if MACHINE in ("x86_64", "AMD64") else None
    flags = ["-include", f"csrc/isa/{isa}.h", *flags]
    sources = files("csrc/kernels", ".c")
    if is_short is None:
        return [library(f"fastnorm_{isa}", sources, flags)]
    return [
        library(f"fastnorm_{isa}", [source for source in sources if not is_short(source)], flags),
        library(f"fastnorm_{isa}_short", list(filter(is_short, sources)), [*SHORT_LOOPS, *flags]),
    ]


LIBRARIES = [
    library("fastnorm_drivers", files("csrc", ".c")),
    *(one for isa, flags in ISAS.items() for one in kernels(isa, flags)),
]


class BuildLibraries(build_clib):
    """Builds all libraries at once, each in a folder of its own: one source has objects in several of them."""

    def build_libraries(self, libraries):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.build_one, libraries))

    def build_one(self, library):
        command = copy(self)
        command.build_temp = os.path.join(self.build_temp, library[0])
        # an archive keeps what it had: sources that have moved to another library since
        with suppress(FileNotFoundError):
            os.remove(os.path.join(self.build_clib, f"lib{library[0]}.a"))
        build_clib.build_libraries(command, [library])


MACROS = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")]
LIMITED = os.environ.get("FASTNORM_LIMITED_API", "")  # such as 3.12: one wheel for this Python and all later ones
LIMITED_MACROS = [("Py_LIMITED_API", "0x03{:02X}0000".format(int(LIMITED.split(".")[1])))] if LIMITED else []

# What Cython adds to every module, once for all of them: 3 KB less a module.
SHARED_MODULE = "fastnorm._cython"
SHARING = tuple(map(int, Cython.__version__.split(".")[:2])) >= (3, 3)  # earlier ones share memoryviews only
SHARE = {
    "shared_utility_qualified_name": SHARED_MODULE,
    "shared_utility_features_disabled": ["AutoPickle", "MemoryView"],  # none is used
}

EXTENSIONS = [
    Extension(
        name,
        sources,
        include_dirs=["csrc", numpy.get_include()],
        define_macros=[*MACROS, *LIMITED_MACROS],
        py_limited_api=bool(LIMITED),
        extra_compile_args=["-Os", *HIDDEN, *EXTRA],
        extra_link_args=["-pthread", "-lm", *EXTRA],
        depends=[*HEADERS, *files("csrc", ".c"), *files("csrc/kernels", ".c")],
    )
    for name, sources in [
        *((source.removesuffix(".pyx").replace("/", "."), [source]) for source in files("fastnorm", ".pyx")),
        *([(SHARED_MODULE, [])] if SHARING else []),
    ]
]

setup(
    options={"bdist_wheel": {"py_limited_api": "cp" + LIMITED.replace(".", "")}} if LIMITED else {},
    cmdclass={"build_clib": BuildLibraries},
    libraries=LIBRARIES,
    ext_modules=cythonize(
        EXTENSIONS,
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "embedsignature": True,
            "freethreading_compatible": True,
        },
        **(SHARE if SHARING else {}),
    ),
)
