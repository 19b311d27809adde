"""How times are taken: competitors in turn (A B A B ...), ratios within each turn, processes started afresh.

It is processor time that counts, so that a busy machine, which puts a thread aside now and then, does not punish
whoever runs longer at a time. On an idle machine it is the time on the clock: nothing here waits.
"""

from __future__ import annotations

import gc
import operator
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMPARISONS = {"<": operator.lt, "<=": operator.le, ">=": operator.ge, "=": operator.eq}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Arguments:
        name: what is measured.
        figure: the number that the bar is about.
        bar: a comparison and a limit, as in ("<=", 1.3); None where nothing is promised.
        unit: of figure and limit: "s", "ms", "" for a ratio or a plain number.
        ours, theirs: seconds behind a ratio.
        competitor: what `theirs` is the time of.
        spread: lower and upper quartile of the figure.
        error: achieved error, and what it is relative to.
    """

    name: str
    figure: float
    bar: tuple[str, float] | None = None
    unit: str = ""
    ours: float | None = None
    theirs: float | None = None
    competitor: str = ""
    spread: tuple[float, float] | None = None
    error: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.bar is None:
            return None
        sign, limit = self.bar
        return COMPARISONS[sign](self.figure, limit)


@dataclass(frozen=True)
class Times:
    """Seconds of several functions, one per turn: series[name][turn]."""

    series: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.series[name])

    def ratio(self, above: str, below: str) -> tuple[float, tuple[float, float]]:
        """(median, quartiles) of above/below turn by turn, so that a slow spell touches both."""
        return middle([a / b for a, b in zip(self.series[above], self.series[below], strict=True)])

    def excess(self, above: str, below: str) -> tuple[float, tuple[float, float]]:
        """(median, quartiles) of above - below turn by turn, in seconds."""
        return middle([a - b for a, b in zip(self.series[above], self.series[below], strict=True)])


def middle(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """(median, (lower quartile, upper quartile))."""
    if len(values) < 2:
        return values[0], (values[0], values[0])
    low, half, high = statistics.quantiles(values, n=4, method="inclusive")
    return half, (low, high)


def interleaved(
    functions: Mapping[str, Callable[[], Any]],
    turns: int,
    calls: int | Mapping[str, int] = 1,
    clock: Callable[[], float] = time.thread_time,
) -> Times:
    """Time each function `turns` times in turn; the first, untimed turn warms up.

    Arguments:
        calls: how often each function does its work when called once; times are divided by it.
        clock: `time.process_time` where a function works in other threads.
    """
    repeated = dict.fromkeys(functions, calls) if isinstance(calls, int) else calls
    series: dict[str, list[float]] = {name: [] for name in functions}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(turns + 1):
            for name, function in functions.items():
                start = clock()
                function()
                elapsed = (clock() - start) / repeated[name]
                if turn:
                    series[name].append(elapsed)
    finally:
        if collecting:
            gc.enable()
    return Times(series)


def best_of(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """(shortest time in seconds, last result)."""
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.thread_time()
        result = function()
        best = min(best, time.thread_time() - start)
    return best, result


def process(arguments: Sequence[str | Path], folder: Path) -> tuple[float, str]:
    """(processor time, standard output) of a fresh process in `folder`; an error in it is an error here."""
    start = _children()
    done = subprocess.run(
        [str(a) for a in arguments], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    elapsed = _children() - start
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed: {done.stderr.strip()[-2000:]}")
    return elapsed, done.stdout


def python(code: str, folder: Path, *arguments: str | Path) -> tuple[float, str]:
    """(processor time, standard output) of `python -c code arguments` in a fresh process."""
    return process([sys.executable, "-c", code, *arguments], folder)


def _children() -> float:
    """Seconds that finished processes started from here have used, their own and the system's for them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": ""}


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder, the current one for the time being: caches and workspaces made here are forgotten."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="qnnsym-bench-") as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)
