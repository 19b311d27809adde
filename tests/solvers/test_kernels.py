"""Generated modules as compiled functions: what is missing is refused, what is cached is not compiled again."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qnnsym.errors import KernelRefused
from qnnsym.solvers.kernels import load_kernels

ROOT = Path(__file__).resolve().parents[2]
TEXT = """
from numba import njit

SIGNATURE = "void(float64, float64[::1], float64[::1], float64[::1], int64[::1], float64[::1], float64[::1])"


@njit(cache=True, error_model="numpy")
def rhs(t, state, ext, par, dims, work, rates):
    rates[0] = par[0] * state[0]


field = rhs
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "generated" / "kernels.py"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def call(kernel, value=3.0):
    rates, none = np.zeros(1), np.zeros(0)
    kernel(0.0, np.array([value]), none, np.array([2.0]), np.zeros(0, np.int64), none, rates)
    return rates[0]


def test_functions_are_found_by_name(module, tmp_path):
    kernels = load_kernels(module, ["rhs", "field"], "abc", ("g",), tmp_path / "cache")
    assert list(kernels) == ["rhs", "field"] and len(kernels) == 2 and "rhs" in kernels
    assert (kernels.signature, kernels.parameters, kernels.path, kernels.notes) == ("abc", ("g",), module, ())
    assert call(kernels["rhs"]) == call(kernels["field"]) == 6.0
    with pytest.raises(KeyError):
        _ = kernels["potential"]


def test_a_kernel_is_compiled_when_it_is_first_asked_for(module, tmp_path):
    kernels = load_kernels(module, ["rhs"], "late", (), tmp_path / "cache")
    assert "rhs" in kernels and not any((tmp_path / "cache").rglob("*.nbc"))
    assert kernels["rhs"] is kernels["rhs"] and len(kernels["rhs"].signatures) == 1


def test_nothing_is_written_beside_the_generated_file(module, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    _ = load_kernels(module, ["rhs"], "beside", (), tmp_path / "cache")["rhs"]
    assert [p.name for p in module.parent.iterdir()] == ["kernels.py"]
    assert any((tmp_path / "cache").rglob("*.nbc")) and sys.dont_write_bytecode is False


def test_a_function_that_is_missing_is_refused_by_name(module, tmp_path):
    with pytest.raises(KernelRefused, match=r"kernels\.py lacks .* kinetic, potential .*qnnsym generate"):
        load_kernels(module, ["rhs", "kinetic", "potential"], "missing", (), tmp_path / "cache")


def test_without_a_place_for_the_cache_a_note_says_so(module, tmp_path):
    (tmp_path / "file").write_text("")
    kernels = load_kernels(module, ["rhs"], "blocked", (), tmp_path / "file" / "cache")
    assert call(kernels["rhs"]) == 6.0
    (note,) = kernels.notes
    assert "compiled anew in every process" in note and "file/cache" in note
    assert len(load_kernels(module, ["rhs"], "nowhere").notes) == 1


def test_the_second_process_compiles_nothing(module, tmp_path):
    code = f"""
import json
from qnnsym.solvers.kernels import load_kernels
kernel = load_kernels({str(module)!r}, ["rhs"], "again", (), {str(tmp_path / "cache")!r})["rhs"]
stats = kernel.stats
print(json.dumps([sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""

    def process():
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(run.stdout)

    assert process() == [0, 1]
    assert process() == [1, 0]
    # Another text under the same name is compiled, never mistaken for the old one.
    module.write_text(TEXT.replace("par[0] *", "par[0] +"))
    assert process() == [0, 1]


def test_two_texts_of_one_process_do_not_mix(module, tmp_path):
    first = load_kernels(module, ["rhs"], "first", (), tmp_path / "cache")
    other = module.parent.parent / "other" / "kernels.py"
    other.parent.mkdir()
    other.write_text(TEXT.replace("par[0] *", "par[0] +"))
    second = load_kernels(other, ["rhs"], "second", (), tmp_path / "cache")
    assert call(first["rhs"]) == 6.0 and call(second["rhs"]) == 5.0
