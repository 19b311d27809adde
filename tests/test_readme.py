"""The README's blocks hold nothing but commands that exist and programs that print what they say."""

import re
import subprocess
import sys

import pytest
from typer.main import get_command

from qnnsym.cli import app
from tests.readme import blocks, commands, programs


def test_every_line_of_a_block_is_a_command_or_a_program():
    for section, block in blocks():
        if "\n".join(block) not in programs():
            assert all(not line.strip() or line.split()[0] in ("qnnsym", "make", "pip") for line in block), section


def test_every_command_exists_with_its_options():
    known = get_command(app).commands
    assert len(commands()) >= 10
    for command in commands():
        _, verb, *rest = command.split()
        options = {o for p in known[verb].params for o in p.opts}
        assert {word for word in rest if word.startswith("--")} <= options, command


@pytest.mark.parametrize("program", programs())
def test_a_program_prints_what_it_says(program, tmp_path):
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    said = re.search(r"# exact: (.*)", program)
    assert run.stdout.splitlines()[-1] == said.group(1) if said else run.stdout
