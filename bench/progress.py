"""Progress of a run on stderr: a bar on a terminal, a line now and then elsewhere."""

import os
import time

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

SECONDS_BETWEEN_LINES = 5


class Progress:
    """A pytest plugin. It draws between cases only: a thread that draws would be measured too."""

    def __init__(self, total: int):
        # A copy of the descriptor, which pytest points elsewhere while a test runs.
        self.console = Console(file=os.fdopen(os.dup(2), "w"))
        self.total = total
        self.done = 0
        self.last_line = self.start = time.monotonic()
        self.bar = Bar(
            TextColumn("{task.description:58s}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total)

    def pytest_runtest_logstart(self, nodeid):
        if not self.bar.live.is_started:
            self.bar.start()
        self._show(nodeid)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and "bench[" in report.nodeid:
            self.done += 1
            self._show(report.nodeid)

    def pytest_sessionfinish(self):
        self.bar.stop()
        self.console.file.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report):
        """No dots from pytest between the lines of the bar; failures it tells as ever."""
        quiet = report.skipped or (report.passed and report.when == "call")
        return (report.outcome, "", "") if quiet else None

    def _show(self, nodeid: str) -> None:
        name = nodeid.partition("[")[2].rstrip("]").replace("-float", " float", 1)
        self.bar.update(self.task, description=name[:58], completed=self.done)
        self.bar.refresh()
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line > SECONDS_BETWEEN_LINES:
            self.last_line = now
            self.console.print(f"{self.done:4d} of {self.total} cases, {now - self.start:3.0f} s: {name}")
            self.console.file.flush()
