"""Tests that need a process of their own: for the environment, for forks, for an end that may hang or crash."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

DEADLINE = 300
"""Seconds until a process counts as hung: far more than any of them takes, on whatever machine."""

TESTS = Path(__file__).resolve().parent.parent
VARIABLES = ("FASTNORM_NUM_THREADS", "OMP_NUM_THREADS", "PYTHONWARNINGS")


def run(function, *arguments, **environment):
    """Call a module-level function of a test file in a fresh Python; the `subprocess.CompletedProcess`."""
    module = Path(function.__code__.co_filename).stem
    code = f"from {module} import {function.__name__} as function; function(*{arguments!r})"
    return run_code(code, **environment)


def run_code(code, *arguments, emulator=(), **environment):
    """Run a script in a fresh Python, where warnings are errors. At the deadline it dies with all its children.

    `emulator` is a command that runs programs of another processor.
    """
    clean = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    with subprocess.Popen(
        [*emulator, sys.executable, "-P", "-W", "error", "-c", code, *arguments],
        env=clean | {"PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=DEADLINE)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def in_silence(result):
    """What a process printed that must have ended well, without a word of complaint."""
    assert result.returncode == 0 and result.stderr == "", f"status {result.returncode}: {result.stderr}"
    return result.stdout


def check(function, *arguments, **environment):
    return in_silence(run(function, *arguments, **environment))


def in_child(function, *arguments):
    """Call a function in a fork of this process; whether it returned. A child that hangs is killed."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(DEADLINE // 2)
            function(*arguments)
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
