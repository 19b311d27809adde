"""The observables that are not Weyl symbols, and the room's lazy names."""

import subprocess
import sys

import pytest

import qnnsym.phase_space as room
from qnnsym.phase_space import observables


def test_observables_have_their_result_names():
    assert set(observables.ALL) == {"energy", "purity", "negativity", "norm"}
    for name, observable in observables.ALL.items():
        assert getattr(observables, name) is observable
        assert str(observable) == name and observable.description.endswith(".")


def test_the_room_imports_nothing_heavy():
    heavy = ("sympy", "numba", "scipy", "flint")
    code = f"import sys, qnnsym.phase_space; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_names():
    assert room.PhaseSpace.__name__ == "PhaseSpace"
    assert "star" in dir(room)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = room.nothing
