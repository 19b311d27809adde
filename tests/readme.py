"""The README as data: its blocks, its commands, its programs; `python -m tests.readme` runs all commands."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks() -> Iterator[tuple[str, list[str]]]:
    """(section, lines) of every indented block."""
    section, block = "", []
    for line in [*README.read_text().splitlines(), ""]:
        if line.startswith("## "):
            section = line[3:]
        if line.startswith("    ") or (block and not line.strip() and block[-1].strip()):
            block.append(line[4:])
        elif block:
            yield section, block
            block = []


def commands() -> list[str]:
    """Every `qnnsym` line, in order."""
    return [line.split("  #")[0].strip() for _, block in blocks() for line in block if line.startswith("qnnsym ")]


def programs() -> list[str]:
    """The programs."""
    return ["\n".join(block) for _, block in blocks() if block[0].startswith("from ")]


def main() -> int:
    """Run every command, one after the other, as a reader would."""
    with tempfile.TemporaryDirectory() as folder:
        for command in commands():
            print(command, flush=True)
            arguments = re.sub(r"^qnnsym", f'"{sys.executable}" -m qnnsym', command)
            run = subprocess.run(arguments, shell=True, cwd=folder, env={**os.environ, "NO_COLOR": "1"})
            if run.returncode:
                print(f"The README's command fails with {run.returncode}: {command}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
