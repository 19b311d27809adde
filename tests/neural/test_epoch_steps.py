"""The derivation of the epoch scheme: its steps are proved, slips in rates and at the ends are caught."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym import Model
from qnnsym.derivation.step import Derivation
from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, epoch_steps
from qnnsym.neural.numerics.learner import Learner
from qnnsym.neural.steps import derive
from tests.neural.mutations import caught_by, epoch_outcomes, models, wrong_ends

STEPS = [
    "Sweeps of an epoch", "Variation along a pattern", "Pairing with the costates", "Momenta collect the force",
    "Integration over an epoch", "Point of rest", "Gradient with starts from rest", "Change of the weights",
    "Fast relaxation", "Step of gradient descent", "One linear neuron", "Gap to gradient descent, from rest",
    "Gap to gradient descent, from zero",
]  # fmt: skip


def equations(activation="tanh", **changes):
    return NeuralHamiltonian(Network(2, 1, activation), 1.0, 2.0, QuadraticCost(), **changes).characteristic_equations()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_every_step_of_the_epoch_scheme_is_proved(activation):
    derivation = Derivation("epochs")
    derivation.prove(epoch_steps.steps(equations(activation)))
    assert [step.title for step, proof in derivation.steps if proof.holds] == STEPS


def test_a_model_asks_for_the_scheme_by_an_option():
    h = NeuralHamiltonian(Network(2, 1), 1.0, 2.0, QuadraticCost(), dynamical=np.eye(2, 4))
    found = derive(Model("net", h, options={"scheme": "epochs"}))
    assert [s.title for s, _ in found.steps][-len(STEPS) :] == STEPS and "gradient" in found.latex
    assert "gradient" not in derive(Model("net", h)).latex
    with pytest.raises(InputError, match=r"The scheme of net is 'epoch'; use 'flow' \(the default\) or 'epochs'"):
        derive(Model("net", h, options={"scheme": "epoch"}))
    with pytest.raises(InputError, match='descends the cost with the sign "plus" alone'):
        derive(Model("net", h, options={"scheme": "epochs", "kinetic": "minus"}))


# Every n-th slip of a rate.
@pytest.mark.parametrize("name, every", [("tanh, quadratic cost", 9), ("cost of the user", 20)])
def test_a_slip_in_any_rate_breaks_the_identity_itself(name, every):
    found = epoch_outcomes(models()[name], every)
    assert len(found) > 2
    assert [what for what, by in found if by is None] == []
    if name.startswith("tanh"):
        assert len({by for _, by in found}) > 2  # not one step does all the work


@pytest.mark.parametrize("what, ends", list(wrong_ends()), ids=[what for what, _ in wrong_ends()])
def test_every_value_at_the_ends_of_an_epoch_is_needed(what, ends):
    """Two routes catch each: the bracket at the ends, and the linear neuron integrated in closed form."""
    eqs = equations()
    bracket = "Change of the weights" if "change" in what else "Integration over an epoch"
    assert caught_by(eqs, given=epoch_steps.steps(eqs, ends)) == bracket
    closed = (s for s in epoch_steps.steps(eqs, ends) if s.title == "One linear neuron")
    assert caught_by(eqs, given=closed) == "One linear neuron"


def test_momenta_at_the_end_are_minus_the_gradient_of_the_forward_sweep_alone():
    """Second route of the identity: y and the cost integrated by SciPy with a complex step in every weight."""
    lam, span, x, d = 0.4, 0.5, 0.7, np.array([0.3, -0.2])
    w, start = np.array([5, -3, 8, -6, 2, 4, -7, 9]).reshape(2, 4) / 10, np.array([0.1, -0.4])

    def cost(weights):
        def motion(_, s):
            y = s[:2]
            rate = (np.tanh(weights @ np.array([x, 1.0, *y])) - y) / lam
            return np.append(rate, np.sum((y - d) ** 2) / 2)

        first = np.append(start, 0.0).astype(complex)
        return solve_ivp(motion, (0, span), first, method="DOP853", rtol=1e-12, atol=1e-14).y[-1, -1]

    gradient = np.array([cost(w + 1e-30j * np.eye(8)[n].reshape(2, 4)).imag / 1e-30 for n in range(8)]).reshape(2, 4)
    h = NeuralHamiltonian(Network(2, 1), lam, 1.0, QuadraticCost())
    learner = Learner(h, np.array([[x]]), d[None], span)
    learner.steps = 32
    np.testing.assert_allclose(learner.epoch(w, start[None]).momenta, -gradient, rtol=1e-10)


def test_closed_forms_of_the_linear_neuron_are_those_of_the_literature():
    neuron = epoch_steps.LinearNeuron(equations(), epoch_steps.Ends())
    numbers = {neuron.relaxation: 0.3, neuron.inertia: 2.0, neuron.x: 0.7, neuron.d: -0.4, neuron.w: 0.9}
    rest = {**numbers, neuron.start: 0.63, neuron.span: 1.2, neuron.t: 1.2}
    error, decay = 0.63 + 0.4, np.exp(-4.0)
    assert float(neuron.momentum.subs(rest)) == pytest.approx(-error * 0.7 * (1.2 - 0.3 * (1 - decay)))
    expected = -error * 0.7 / 2 * (0.72 - 0.09 * (1 - 5 * decay))
    assert float(neuron.change.subs(rest)) == pytest.approx(expected)
    assert sp.simplify(neuron.activity.subs(neuron.start, neuron.w * neuron.x) - neuron.w * neuron.x) == 0
