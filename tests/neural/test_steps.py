"""The derivation of neural models: its steps, their proofs, and the slips that the proofs catch."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from qnnsym import Model
from qnnsym.errors import InputError, ObligationFailed
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.steps import derive, plain
from tests.neural.mutations import KINDS, caught_by, models, outcomes, wrong_equations

u, a, b = sp.symbols("u a b")
NET = Network(2, 1)


def model(hamiltonian, **changes):
    return Model("network", hamiltonian, **changes)


def titles(derivation):
    return [step.title for step, _ in derivation.steps]


STEPS = [
    "Index form", "Activity", "Costate", "Weights", "Momenta", "Conservation of H",
    "Conservation of phase-space volume", "Action along a characteristic", "Tangent equations",
]  # fmt: skip


@pytest.mark.parametrize(
    "activation",
    ["tanh", "logistic", "softplus", "linear", "relu", a * sp.tanh(b * u) + u**3, ["tanh", "relu"]],
    ids=str,
)
def test_every_step_is_proved_for_every_activation(activation):
    derivation = derive(model(NeuralHamiltonian(Network(2, 1, activation), 1.0, 2.0, QuadraticCost())))
    assert titles(derivation) == STEPS
    assert all(proof.holds for _, proof in derivation.steps)
    assert {"Hamiltonian", "drive", "activity", "costate", "weights", "momenta"} == set(derivation.latex)


def test_masks_and_an_infinite_inertia_are_proved():
    mask, moves = np.ones((2, 4)), np.ones((2, 4))
    mask[0, 0] = moves[1, 3] = 0
    h = NeuralHamiltonian(Network(2, 1, mask=mask), 1.0, sp.oo, QuadraticCost(), dynamical=moves)
    derivation = derive(model(h, options={"kinetic": "minus"}))
    assert titles(derivation) == STEPS
    (momenta,) = (step for step, _ in derivation.steps if step.title == "Momenta")
    assert momenta.assumption == "Static weights have no conjugate momentum."
    assert derivation.results["equations"].kinetic == -1


def test_a_users_cost_adds_a_step_of_its_own():
    cost = (NET.y[0] - sp.cos(NET.t)) ** 4 / 4 + b * NET.W[0, 1] ** 2 * NET.x[0]
    derivation = derive(model(NeuralHamiltonian(NET, 1.0, 2.0, cost)))
    assert titles(derivation) == [*STEPS[:5], "Cost of the user", *STEPS[5:]]
    (proof,) = (proof for step, proof in derivation.steps if step.title == "Cost of the user")
    assert proof.detail.startswith("2 formulas at 4 random points")


def test_a_cost_without_forces_adds_no_step():
    derivation = derive(model(NeuralHamiltonian(NET, 1.0, 2.0, NET.x[0] ** 2 + sp.cos(NET.t))))
    assert titles(derivation) == STEPS and derivation.equations["rhs"].entries == ()


def test_equations_of_the_derivation_are_those_that_were_proved():
    h = NeuralHamiltonian(NET, 1.0, 2.0, QuadraticCost())
    derivation = derive(model(h))
    eqs = derivation.results["equations"]
    assert derivation.equations == {"rhs": eqs.equations, "rhs_jvp": eqs.tangent}
    assert derivation.line == eqs.line
    assert eqs.equations == h.characteristic_equations().equations


def test_an_order_or_another_hamiltonian_is_refused():
    with pytest.raises(InputError, match=r"order=2 was given; characteristic equations are exact\. Leave --order out"):
        derive(model(NeuralHamiltonian(NET, 1.0, 2.0)), order=2)
    other = model(type("Other", (), {"room": "qnnsym.neural", "__repr__": lambda self: "other"})())
    with pytest.raises(InputError, match="The Hamiltonian of network is other; give a NeuralHamiltonian"):
        derive(other)
    with pytest.raises(InputError, match="The reading 'causal' gives a meaning to delayed variables"):
        derive(model(NeuralHamiltonian(NET, 1.0, 2.0), reading="causal"))


def test_a_wrong_force_of_a_users_cost_is_caught(monkeypatch):
    """The forces are proved as they stand in the equations, not as they are derived once more."""
    right = NeuralHamiltonian.cost_entries
    monkeypatch.setattr(NeuralHamiltonian, "cost_entries", lambda self: [(e, 2 * d) for e, d in right(self)])
    with pytest.raises(ObligationFailed, match=r"\(Cost of the user\): agreement in 50-digit arithmetic"):
        derive(model(NeuralHamiltonian(NET, 1.0, 2.0, NET.y[0] ** 2)))


@pytest.mark.parametrize("lost", ["equations", "tangent"])
def test_a_force_that_is_forgotten_altogether_is_caught(lost):
    """The only entry of a cost gone: what proves the entries still runs."""
    eqs = NeuralHamiltonian(NET, 1.0, 2.0, NET.y[0] ** 4).characteristic_equations()
    assert len(eqs.equations.entries) == 1 and caught_by(eqs) is None
    wrong, step = replace(eqs), "Tangent equations"
    wrong.__dict__["tangent"] = eqs.tangent.changed(entries=())
    if lost == "equations":
        wrong, step = replace(eqs, equations=eqs.equations.changed(entries=())), "Cost of the user"
    assert caught_by(wrong) == step


@pytest.mark.parametrize("function", ["logistic", "softplus", "relu", "step"])
def test_own_functions_are_rewritten_with_the_same_values(function):
    from qnnsym.equations.functions import ELEMENTARY, MPMATH

    for at in (-0.7, 0.0, 1.3):
        expression = plain(ELEMENTARY[function](sp.Symbol("v")))
        found = sp.lambdify(sp.Symbol("v"), expression, "mpmath")(at)
        assert float(found) == pytest.approx(float(MPMATH[function](at)), abs=1e-14)
        assert not expression.atoms(ELEMENTARY[function])


# A sample of what `python -m tests.neural.mutations` makes: (every n-th slip in the rates, tangents, Hamiltonian).
SAMPLE = {"equations": 40, "tangent": 250, "Hamiltonian": 15}


@pytest.mark.parametrize("name", list(models()))
@pytest.mark.parametrize("kind", list(KINDS))
def test_slips_of_the_pen_are_caught(kind, name):
    found = outcomes(kind, models()[name], SAMPLE[kind])
    assert found
    escaped = [what for what, by in found if by is None]
    assert len(escaped) <= 0.05 * len(found), escaped


@pytest.mark.parametrize("name", list(models()))
def test_without_a_slip_nothing_is_caught(name):
    """The slips above are caught for what they are: the same equations without one are proved."""
    assert caught_by(models()[name]) is None


def test_transposing_the_recurrent_block_and_flipping_signs_are_among_the_slips():
    eqs = models()["tanh, quadratic cost"]
    slips = [what for what, _ in wrong_equations(eqs)]
    for part in ("transposed", "sign of", "dropped", "power of", "twice", " for ", "negated", "offset", "last term"):
        assert any(part in what for what in slips), part
    assert len(slips) > 100 and len(set(slips)) > 0.9 * len(slips)
