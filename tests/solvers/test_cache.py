"""Where machine code is kept: set for the moment only, private where nothing can be kept, gone with the process."""

import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config

from qnnsym.solvers.cache import numba_cache

ROOT = Path(__file__).resolve().parents[2]


def test_numba_is_set_for_the_moment_only(tmp_path):
    before = config.CACHE_DIR
    folder = tmp_path / "deep" / "cache"
    with numba_cache(folder) as note:
        assert Path(config.CACHE_DIR) == folder and folder.is_dir() and note == ""
        with numba_cache(str(tmp_path / "other")):
            assert Path(config.CACHE_DIR) == tmp_path / "other"
        assert Path(config.CACHE_DIR) == folder
    assert before == config.CACHE_DIR


def test_an_error_inside_restores_the_setting(tmp_path):
    before = config.CACHE_DIR
    with pytest.raises(ZeroDivisionError), numba_cache(tmp_path):
        _ = 1 / 0
    assert before == config.CACHE_DIR


def test_a_folder_that_cannot_be_written_is_said_and_replaced(tmp_path):
    (tmp_path / "file").write_text("")
    blocked = tmp_path / "file" / "cache"
    with numba_cache(blocked) as note:
        used = Path(config.CACHE_DIR)
    assert str(blocked) in note and note.endswith("compiled anew in every process.")
    assert used != blocked and used.is_dir() and used.stat().st_mode & 0o077 == 0
    with numba_cache(None) as note:
        assert note.startswith("No folder can be written") and Path(config.CACHE_DIR) == used


def test_what_cannot_be_kept_goes_away_with_the_process(tmp_path):
    code = """
import os
from numba.core import config
from qnnsym.solvers.cache import numba_cache
with numba_cache(None):
    open(os.path.join(config.CACHE_DIR, "left.nbi"), "w").close()
    if os.fork() == 0:
        raise SystemExit  # a child ends first and leaves its parent's folder alone
    os.wait()
    assert os.path.isfile(os.path.join(config.CACHE_DIR, "left.nbi"))
    print(config.CACHE_DIR)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).parent == tmp_path and list(tmp_path.iterdir()) == []
