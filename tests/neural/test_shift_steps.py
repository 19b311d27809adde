"""Derivations of the readings: every step is proved, and wrong equations are caught."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from qnnsym import Model
from qnnsym.derivation.obligations import SymbolicZero
from qnnsym.derivation.step import Derivation
from qnnsym.equations.indexed import Equation
from qnnsym.errors import ObligationFailed
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.printing import shifted_latex
from qnnsym.neural.shift_steps import StackedEpochs, steps
from qnnsym.neural.shifts import DELAYED_W, NEXT_COSTATE, PAST_M, REMAINING
from qnnsym.neural.steps import derive

READINGS = ("causal", "variational", "frozen")
OWN = {
    "causal": ["Telescoping identity", "Jumps at t = n T", "Jump of H at t = n T", "Change of H", "Symplectic form"],
    "variational": ["Conservation of the stack's Hamiltonian"],
    "frozen": [],
}


def hamiltonian(masked=False, cost=True):
    mask, moves = np.ones((2, 3, 6))
    mask[0, 4] = moves[1, 3] = 0
    net = Network(3, 2, "tanh", mask if masked else None)
    energy = QuadraticCost(decay=0.1) if cost else net.y[0] ** 2 * net.W[0, 1]
    return NeuralHamiltonian(net, 1.0, 2.0, energy, delay=1.0, dynamical=moves if masked else None)


@pytest.mark.parametrize(
    "reading, masked, kinetic", [("causal", True, "minus"), ("variational", False, "plus"), ("frozen", True, "plus")]
)
def test_every_step_is_proved(reading, masked, kinetic):
    given = Model("net", hamiltonian(masked), reading=reading, state={}, options={"kinetic": kinetic})
    derivation = derive(given)
    titles = [step.title for step, proof in derivation.steps if proof.holds]
    expected = ["Shift operators", "Activity", "Costate", "Weights", "Momenta", "Volume of the stack"]
    assert titles == [*expected, *OWN[reading], "Tangent equations"]
    assert set(derivation.equations) == {"rhs", "rhs_jvp"} and derivation.latex["Hamiltonian"].startswith("H = ")


def test_a_users_cost_has_its_step():
    derivation = derive(Model("net", hamiltonian(cost=False), reading="frozen", state={}))
    assert "Cost of the user" in [step.title for step, _ in derivation.steps]


def entries(array, other, rhs):
    return {e: other[e.indices] for e in rhs.atoms(sp.Indexed) if e.base == array.base}


def without(array):
    return lambda rhs: rhs.xreplace({e: sp.S.Zero for e in rhs.atoms(sp.Indexed) if e.base == array.base})


WRONG = [
    (reading, number, change)
    for reading in READINGS
    for number in range(4)
    for change in ("sign", "half", "one time", "no delay")
]


@pytest.mark.parametrize("reading, number, change", WRONG)
def test_a_wrong_rate_is_caught(reading, number, change):
    from qnnsym.neural.hamiltonian import COSTATE, M, W

    eqs = hamiltonian().characteristic_equations(reading)
    equation = eqs.equations.equations[number]
    rhs = {
        "sign": lambda e: -e,
        "half": lambda e: e / 2,
        "one time": lambda e: without(PAST_M)(e).xreplace({REMAINING: sp.S.One, **entries(NEXT_COSTATE, COSTATE, e)}),
        "no delay": lambda e: e.xreplace(entries(DELAYED_W, W, e) if reading != "variational" else entries(M, W, e)),
    }[change](equation.rhs)
    if rhs == equation.rhs:
        return  # the slip does not concern this rate
    listed = list(eqs.equations.equations)
    listed[number] = Equation(equation.target, rhs)
    wrong = replace(eqs, equations=eqs.equations.changed(equations=tuple(listed)))
    gaps = StackedEpochs(wrong, 2, 1, 3).gaps("yDWM"[number])
    assert not SymbolicZero(gaps).discharge().holds


def test_the_derivation_stops_at_a_wrong_rate():
    eqs = hamiltonian().characteristic_equations("frozen")
    first, *rest = eqs.equations.equations
    wrong = replace(eqs, equations=eqs.equations.changed(equations=(Equation(first.target, -first.rhs), *rest)))
    with pytest.raises(ObligationFailed, match=r"stops at step 2 \(Activity\)"):
        Derivation("wrong").prove(steps(wrong))


def test_a_wrong_tangent_along_other_times_is_caught():
    eqs = hamiltonian().characteristic_equations("variational")
    tangent = eqs.tangent
    along = {e for q in tangent.equations for e in q.rhs.atoms(sp.Indexed) if str(e.base.label) == "Da_v"}
    assert along
    broken = tuple(Equation(q.target, q.rhs.xreplace(dict.fromkeys(along, sp.S.Zero))) for q in tangent.equations)
    wrong = replace(eqs)
    wrong.__dict__["tangent"] = tangent.changed(equations=broken)
    with pytest.raises(ObligationFailed, match="Tangent equations"):
        Derivation("wrong").prove(s for s in steps(wrong) if s.title == "Tangent equations")


@pytest.mark.parametrize("reading", READINGS)
def test_formulas_show_their_times(reading):
    latex = hamiltonian().characteristic_equations(reading).latex
    assert "W_{k j} (t - T) z_{j}" in latex["drive"]
    expected = {
        "causal": r"M_{k j} + \sum_{v=1}^{n+1} M_{k j} (t - v T)",
        "variational": r"N_{rem} M_{k j}",
        "frozen": r"\dot W_{k j} = \frac{M_{k j}}{\omega}",
    }[reading]
    assert expected in latex["weights"]
    if reading == "variational":
        assert r"\tanh^{2}{\left(u_{k} (t + T) \right)}" in latex["momenta"]
        assert r"\Delta_{k} (t + T)" in latex["momenta"]
    text = shifted_latex(hamiltonian(), -1)
    assert r"\sum_{v=0}^{n+1} \sum_{k=0}^{N-1} \sum_{j=0}^{N+l} M_{k j}^{2} (t - v T)" in text
