"""Models: what they refuse, and where they say their physics lives."""

from types import SimpleNamespace

import pytest
import sympy as sp

from qnnsym.derivation.model import Model
from qnnsym.errors import InputError

SPACE = SimpleNamespace(room="somewhere.else")
x = sp.Symbol("x")


@pytest.mark.parametrize("name", ["a", "Quartic_2", "x" * 64])
def test_names_of_folders_are_accepted(name):
    assert Model(name, x, SPACE).name == name


@pytest.mark.parametrize("name", ["", "2d", "a b", "a/b", "..", "x" * 65, "café", "a\n", "-a", None, 3])
def test_names_that_cannot_name_a_folder_are_refused(name):
    with pytest.raises(InputError, match="cannot name a folder; use letters, digits and underscores"):
        Model(name, x, SPACE)


def test_a_model_needs_a_hamiltonian():
    with pytest.raises(InputError, match=r"The model m has no Hamiltonian; give hamiltonian=\.\.\."):
        Model("m", None, SPACE)


def test_a_plain_expression_needs_a_phase_space():
    with pytest.raises(InputError, match="The Hamiltonian of m is x and no phase space is given; give space="):
        Model("m", x)


def test_the_room_is_named_by_the_hamiltonian_before_the_space():
    assert Model("m", x, SPACE).room_name == "somewhere.else"
    assert Model("m", SimpleNamespace(room="its.own"), SPACE).room_name == "its.own"
    assert Model("m", SimpleNamespace(room="its.own")).room_name == "its.own"


def test_changed_models_are_checked_and_the_old_one_stays():
    model = Model("m", x, SPACE, options={"rtol": 1e-8}, values={"m": 1})
    changed = model.changed(hbar=2, name="n")
    assert (changed.name, changed.hbar, changed.options, changed.values) == ("n", 2, {"rtol": 1e-8}, {"m": 1})
    assert (model.name, model.hbar) == ("m", 1)
    with pytest.raises(InputError, match="cannot name a folder"):
        model.changed(name="not a name")


def test_models_do_not_share_their_defaults():
    first, second = Model("a", x, SPACE), Model("b", x, SPACE)
    assert first.values == {} and first.values is not second.values
    with pytest.raises(AttributeError):
        first.name = "other"


@pytest.mark.parametrize("wrong", ({"checks": ["energy"]}, {"checks": "energy"}, {"options": [1]}, {"references": 5}))
def test_fields_of_a_wrong_kind_are_said(wrong):
    from qnnsym.phase_space import PhaseSpace

    space = PhaseSpace("x", "p")
    with pytest.raises(InputError, match=f"{next(iter(wrong))} of the model one"):
        Model(name="one", hamiltonian=space.p[0] ** 2, space=space, **wrong)
