"""Where machine code is kept: set for the moment only, private where nothing can be kept, gone with the process."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from numba.core import config

from qnnsym.solvers import problem
from qnnsym.solvers.cache import edition, numba_cache

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
from qnnsym.solvers import problem
from qnnsym.solvers.cache import edition, numba_cache
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


CALLER = """
from numba import njit
from called import value
@njit("float64()", cache=True)
def twice():
    return 2 * value()
"""
CALLED = """
from numba import njit
@njit("float64()", cache=True)
def value():
    return {}
"""
CALL = """
import sys
from pathlib import Path
from qnnsym.solvers import problem
from qnnsym.solvers.cache import edition, numba_cache
here = Path.cwd()
sys.path.insert(0, str(here / "modules"))
with numba_cache(here / "cache" / edition(here / "modules")):
    from caller import twice
print(twice())
"""


def test_a_change_in_one_compiled_module_reaches_those_that_call_it(tmp_path):
    """Numba looks at a function's own file only, so the machine code of changed sources has to lie elsewhere."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "caller.py").write_text(CALLER)
    for value in (1.5, 2.5):
        (tmp_path / "modules" / "called.py").write_text(CALLED.format(value))
        found = subprocess.run(
            [sys.executable, "-B", "-c", CALL], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert float(found.stdout) == 2 * value


def test_the_driver_is_kept_by_its_edition(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(problem, "numba_cache", lambda folder: kept.append(folder) or nullcontext())
    problem.driver.__wrapped__(tmp_path, "tables")  # compiles nothing
    assert kept == [tmp_path / f"driver-{edition(Path(problem.__file__).parent)}"]
