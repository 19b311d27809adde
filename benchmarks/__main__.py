"""`python -m benchmarks [NAME...] [--markdown]`: run benchmarks and print a table; exit with 1 if a bar is missed."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from benchmarks import table
from benchmarks.measure import Row

# In the order in which they run: what starts processes first, while memory is small.
MODULES = (
    "start", "compile", "memory", "moyal", "hamilton", "elementary", "kernel", "driver", "delay", "learning",
    "ensemble", "heyoka", "split", "grid",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the named benchmarks, all when none is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what qnnsym promises.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(MODULES)}")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(MODULES))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; use {', '.join(MODULES)}")
    groups: list[tuple[str, list[Row]]] = []
    for name in given.names or MODULES:
        start = time.perf_counter()
        module = importlib.import_module(f"benchmarks.bench_{name}")
        groups.append((module.TITLE, module.rows()))
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print((table.markdown if given.markdown else table.text)(groups))
    missed = [r.name for _, rows in groups for r in rows if r.held is False]
    if missed:
        print(f"{len(missed)} missed: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
