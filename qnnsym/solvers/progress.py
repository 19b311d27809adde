"""A progress bar for whatever lasts longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

PATIENCE = 1.0


class Progress:
    """Shows how much of the work is done, once it has lasted over a second.

    Arguments:
        label: what is being done.
        show: True or False; None shows it when stderr is a terminal.
    """

    def __init__(self, label: str, show: bool | None = None) -> None:
        self.label = label
        self.show = sys.stderr.isatty() if show is None else show
        self.start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def update(self, fraction: float) -> None:
        """Say that this fraction of the work is done."""
        if not self.show or time.monotonic() - self.start < PATIENCE:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=1.0)
        self._bar.update(self._task, completed=min(1.0, fraction))

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
