"""The neural Hamiltonian: its parameters and their numbers, canonical variables, costs, and refused input."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.equations.unroll import unroll
from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.hamiltonian import INPUTS, SIZE, Z

u, mu, omega, tau, lam_ = sp.symbols("u mu omega tau lambda_")
NET = Network(2, inputs=1)
MASK = np.array([[1, 1, 0, 1], [1, 0, 1, 1]])
MOVES = np.array([[1, 0, 1, 1], [0, 1, 1, 0]])


def entry(name):
    return sp.Symbol(name, real=True)


def explicit(masked=False, moving=False, sign=1):
    """H of the spec for two neurons and one input, typed out."""
    lam, om, mu_ = (entry(n) for n in ("lambda_", "omega", "mu"))
    total = sp.S.Zero
    z = [entry("x_0"), sp.S.One, entry("y_0"), entry("y_1")]
    for k in range(2):
        s = [entry(f"S_{k}_{j}") if masked else 1 for j in range(4)]
        g = [entry(f"G_{k}_{j}") if moving else 1 for j in range(4)]
        w = [entry(f"W_{k}_{j}") for j in range(4)]
        m = [entry(f"M_{k}_{j}") for j in range(4)]
        drive = s[0] * w[0] * z[0] + s[1] * w[1] * z[1] + s[2] * w[2] * z[2] + s[3] * w[3] * z[3]
        total += entry(f"D_{k}") * (-entry(f"y_{k}") + sp.tanh(drive)) / lam
        total += sign * sum(a * b * c**2 for a, b, c in zip(s, g, m, strict=True)) / (2 * om)
        total += entry(f"c_{k}") * (entry(f"y_{k}") - entry(f"d_{k}")) ** 2 / 2
        total += mu_ * sum(a * c**2 for a, c in zip(s, w, strict=True)) / 2
    return total


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_index_form_is_the_hamiltonian_of_the_spec(masked, moving, sign):
    net = Network(2, inputs=1, mask=MASK if masked else None)
    h = NeuralHamiltonian(net, 1.0, 2.0, QuadraticCost(), dynamical=MOVES if moving else None)
    found = unroll(h.index_form(sign), {SIZE: 2, INPUTS: 1}, (Z,))
    assert sp.expand(found - explicit(masked, moving, sign)) == 0


def test_without_a_cost_there_is_motion_and_kinetic_energy_only():
    h = NeuralHamiltonian(NET, 1.0, 2.0)
    costs = {entry(n): 0 for n in ("mu", "c_0", "c_1")}
    found = unroll(h.index_form(), {SIZE: 2, INPUTS: 1}, (Z,))
    assert sp.expand(found - explicit().subs(costs)) == 0
    assert [s.name for s in h.scalars] == ["lambda_", "omega"]


def test_canonical_variables_are_activities_and_moving_weights_with_their_momenta():
    net = Network(2, inputs=1, mask=MASK)
    h = NeuralHamiltonian(net, 1.0, 2.0, dynamical=MOVES)
    assert [s.name for s in h.q] == ["y_0", "y_1", "W_0_0", "W_0_3", "W_1_2"]
    assert [s.name for s in h.p] == ["D_0", "D_1", "M_0_0", "M_0_3", "M_1_2"]
    np.testing.assert_array_equal(h.moving, (MASK * MOVES).astype(bool))
    assert h.W[1, 3] == net.W[1, 3]
    assert len(NeuralHamiltonian(NET, 1, 1).q) == 2 + 8


# parameters -------------------------------------------------------------------------------------------------------


def test_numbers_become_values_and_never_text_of_the_kernel():
    h = NeuralHamiltonian(NET, 0.5, sp.sqrt(2), QuadraticCost(decay=sp.Rational(1, 10)))
    assert h.parameter_names == ("lambda", "omega", "mu")
    assert [h.values[s] for s in h.scalars] == [0.5, float(sp.sqrt(2)), 0.1]
    assert not h.index_form().atoms(sp.Float)


def test_symbols_take_their_numbers_by_name_or_symbol():
    h = NeuralHamiltonian(NET, tau, omega, values={"tau": 0.5, omega: 3})
    assert [s.name for s in h.scalars] == ["tau", "omega"]
    assert [h.values[s] for s in h.scalars] == [0.5, 3.0]


def test_a_parameter_of_the_activation_is_not_taken_for_a_number_of_the_same_name():
    """tanh(mu u) with a cost whose decay is the number 0: mu is the user's, and has no number yet."""
    h = NeuralHamiltonian(Network(2, activation=sp.tanh(mu * u)), 1.0, 2.0, QuadraticCost())
    assert h.parameter_names == ("lambda", "omega", "mu_", "mu")
    assert len(set(h.scalars)) == 4 and h.scalars[3] not in h.values and h.values[h.scalars[2]] == 0
    h.set_value("mu", 1.5)
    assert h.values[h.scalars[3]] == 1.5 and h.values[h.scalars[2]] == 0
    inertia = NeuralHamiltonian(Network(2, activation=omega * u), 1.0, 2.0, values={"omega": 7})
    assert [inertia.values[s] for s in inertia.scalars] == [1.0, 2.0, 7.0]


def test_parameters_whose_kernel_names_would_meet_stay_apart():
    h = NeuralHamiltonian(NET, sp.Symbol("lambda"), lam_, values={"lambda": 1, "lambda_": 2})
    assert len(set(h.scalars)) == 2
    assert [h.values[s] for s in h.scalars] == [1.0, 2.0]


def test_one_symbol_in_two_places_is_one_parameter():
    h = NeuralHamiltonian(Network(2, activation=sp.tanh(tau * u)), tau, 1.0, QuadraticCost(decay=tau))
    assert h.parameter_names == ("tau", "omega")


@pytest.mark.parametrize("name", ["z", "k", "N", "par", "u0"])
def test_names_that_the_kernel_needs_are_given_back_to_the_user(name):
    h = NeuralHamiltonian(NET, sp.Symbol(name), 1.0, values={name: 0.25})
    assert h.parameter_names[0] == name and h.scalars[0].name != name
    assert h.values[h.scalars[0]] == 0.25


def test_a_parameter_of_the_cost_keeps_its_number():
    h = NeuralHamiltonian(NET, 1.0, 2.0, tau * NET.y[0] ** 2 + omega * NET.W[0, 1], values={"tau": 0.5})
    assert h.parameter_names == ("lambda", "omega_", "omega", "tau")
    h.set_value("omega", -3)
    assert h.values[h.scalars[2]] == -3.0 and h.values[h.inertia] == 2.0


# changes -----------------------------------------------------------------------------------------------------------


def test_changed_hamiltonians_keep_symbols_and_numbers():
    h = NeuralHamiltonian(NET, tau, 2.0, QuadraticCost(decay=0.1), dynamical=MOVES, values={"tau": 1.5})
    h.set_value("mu", 0.7)
    h.set_value("omega", 5.0)
    new = h.changed()
    assert new.parameter_names == ("tau", "omega", "mu")
    assert [new.values[s] for s in new.scalars] == [1.5, 5.0, 0.7]
    np.testing.assert_array_equal(new.dynamical, MOVES)
    assert h.cost.decay == 0.1


def test_changed_arguments_replace_the_old_numbers():
    h = NeuralHamiltonian(NET, 1.0, omega, QuadraticCost(), values={"omega": 2})
    fixed = h.changed(inertia=float("inf"), network=NET.with_activation("linear"))
    assert fixed.values[fixed.inertia] == float("inf") and fixed.parameter_names == ("lambda", "omega", "mu")
    assert h.values[h.inertia] == 2.0
    assert fixed.changed(relaxation=3.0).values[fixed.relaxation] == 3.0


def test_a_number_does_not_pass_to_a_parameter_that_comes_to_be_called_the_same():
    h = NeuralHamiltonian(NET, 1.0, 2.0)
    new = h.changed(network=Network(2, inputs=1, activation=sp.tanh(omega * u)))
    assert new.parameter_names == ("lambda", "omega_", "omega")
    assert new.values[new.inertia] == 2.0 and new.scalars[2] not in new.values


# costs ------------------------------------------------------------------------------------------------------------


def test_forces_of_a_cost_stand_at_their_entries():
    net = Network(2, inputs=1, mask=MASK)
    cost = net.y[0] ** 2 * net.x[0] + net.W[0, 0] * net.W[0, 1] + net.W[0, 2] ** 2 + sp.cos(net.t) * net.y[1]
    h = NeuralHamiltonian(net, 1.0, 2.0, cost, dynamical=MOVES)
    found = {str(place): derivative for place, derivative in h.cost_entries()}
    # W[0, 1] is static, W[0, 2] does not exist: no momentum feels them.
    assert sorted(found) == ["W[0, 0]", "y[0]", "y[1]"]
    assert str(found["y[0]"]) == "2*x[0]*y[0]" and str(found["W[0, 0]"]) == "W[0, 1]"
    assert found["y[1]"] == sp.cos(net.t)


def test_decimals_of_a_cost_are_exact():
    assert NeuralHamiltonian(NET, 1, 1, 0.1 * NET.y[0]).expression == NET.y[0] / 10


@pytest.mark.parametrize(
    "cost, autonomous",
    [
        (None, True),
        (QuadraticCost(target=[0.1, 0.2]), True),
        (QuadraticCost(target=lambda t: [t, 0]), False),
        (NET.y[0] ** 2, True),
        (NET.t * NET.y[0], False),
    ],
)
def test_time_dependence_is_known(cost, autonomous):
    assert NeuralHamiltonian(NET, 1, 1, cost).autonomous is autonomous


def test_weights_and_targets_of_the_cost_are_broadcast():
    h = NeuralHamiltonian(NET, 1, 1, QuadraticCost(c=2, target=[0.1, -0.2]))
    np.testing.assert_array_equal(h.weight, [2, 2])
    np.testing.assert_array_equal(h.target, [0.1, -0.2])
    np.testing.assert_array_equal(NeuralHamiltonian(NET, 1, 1, QuadraticCost()).target, [0, 0])


# refused input ------------------------------------------------------------------------------------------------------

FOREIGN = Network(5).W[4, 4]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"network": 5}, r"The network is 5; give a Network\(neurons="),
        ({"relaxation": 0}, "The relaxation time is 0; give a positive number or a Symbol"),
        ({"relaxation": -1.0}, "The relaxation time is -1.0"),
        ({"relaxation": sp.oo}, "The relaxation time is oo; give a positive number"),
        ({"relaxation": float("nan")}, "The relaxation time is nan"),
        ({"relaxation": "1"}, "The relaxation time is '1'"),
        ({"relaxation": True}, "The relaxation time is True"),
        ({"relaxation": sp.I}, "The relaxation time is I"),
        ({"inertia": -2}, r"The inertia is -2; give a positive number \(oo for fixed weights\) or a Symbol"),
        ({"inertia": 0}, "The inertia is 0"),
        ({"inertia": -sp.oo}, "The inertia is -oo"),
        ({"delay": 0}, "The delay is 0; give a positive number or a Symbol"),
        ({"dynamical": np.ones((2, 3))}, r"The array dynamical has the shape \(2, 3\); it needs \(2, 4\)"),
        ({"dynamical": 2 * np.ones((2, 4))}, "The array dynamical holds values other than 0 and 1"),
        ({"values": {"gamma": 1}}, "gamma is no parameter of this Hamiltonian; it has lambda, omega. Use one"),
        ({"values": {"omega": -1}}, "The parameter omega is -1; give a positive number"),
        ({"values": {"lambda": float("inf")}}, "The parameter lambda is inf; give a positive number"),
        ({"values": {"lambda": "x"}}, "The parameter lambda is 'x'"),
        ({"values": [1.0]}, "give a dictionary of parameter names and numbers"),
        ({"cost": QuadraticCost(decay=-1)}, "The decay is -1; give a non-negative number or a Symbol"),
        ({"cost": QuadraticCost(decay=mu), "values": {"mu": -1}}, "The decay mu is -1; give a non-negative number"),
        ({"cost": QuadraticCost(decay=mu), "values": {"mu": sp.oo}}, "The parameter mu is oo; give a finite number"),
        ({"cost": QuadraticCost(c=[1, 2, 3])}, r"The weights c of the cost have the shape \(3,\); give a number or 2"),
        ({"cost": QuadraticCost(c="a")}, "The weights c of the cost: 'a' is no array of numbers"),
        ({"cost": QuadraticCost(target=[1])}, r"The targets d of the cost have the shape \(1,\)"),
        ({"cost": QuadraticCost(target=[1, np.nan])}, "hold a value that is not finite"),
        ({"cost": "y**2"}, "The cost is 'y\\*\\*2'; give a QuadraticCost or a SymPy expression in network.y"),
        ({"cost": sp.I * NET.y[0]}, "is not a real, finite expression; mend it"),
        ({"cost": sp.Symbol("A", commutative=False)}, "is not a real, finite expression"),
        ({"cost": sp.Function("g")(NET.y[0])}, "is not made of elementary functions; write it out"),
        ({"cost": sp.Symbol("y_0") ** 2}, "contains y_0, which is no variable of this network although it is called"),
        ({"cost": sp.Symbol("t") * NET.y[0]}, "contains t, which is no variable"),
        ({"cost": FOREIGN * NET.y[0]}, r"contains W_4_4, .* use the Symbols network.t, .x, .y and .W themselves"),
        ({"cost": sp.Symbol("M_0_0", real=True) * NET.y[0]}, "contains M_0_0"),
    ],
)
def test_refused_input_is_told_with_what_to_do(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        NeuralHamiltonian(**{"network": NET, "relaxation": 1.0, "inertia": 2.0, **arguments})


def test_an_unknown_symbol_of_a_cost_is_a_parameter_that_needs_a_number():
    h = NeuralHamiltonian(NET, 1.0, 2.0, sp.Symbol("gamma") * NET.y[0])
    with pytest.raises(InputError, match=r"No number is given for gamma; give values=\{'gamma': \.\.\.\}"):
        h.characteristic_equations().rhs(0, [0, 0], [0, 0], np.zeros((2, 4)), np.zeros((2, 4)), inputs=[0])


def test_printed_form_names_the_cost():
    assert repr(NeuralHamiltonian(NET, 1, 1)).endswith("no cost)")
    assert repr(NeuralHamiltonian(NET, 1, 1, QuadraticCost())).endswith("quadratic cost)")
    assert repr(NeuralHamiltonian(NET, 1, 1, NET.y[0])).endswith("E = y_0)")
