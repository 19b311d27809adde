"""LaTeX of Hamiltonians and equations: what is printed is what was derived, in the user's names."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.hamiltonian import COLUMNS, NEURONS, M, W, Z
from qnnsym.neural.printing import drive_latex, expression_latex, hamiltonian_latex

k, j, k1 = NEURONS.index(), COLUMNS.index(), NEURONS.index(1)
TAU = sp.Symbol("tau")
MASK = np.array([[1, 1, 0, 1], [1, 0, 1, 1]])


def hamiltonian(mask=None, **changes):
    return NeuralHamiltonian(
        **{"network": Network(2, 1, mask=mask), "relaxation": TAU, "inertia": 2.0, "cost": QuadraticCost(), **changes}
    )


def test_equations_are_those_of_the_spec():
    found = hamiltonian(cost=None).characteristic_equations().latex
    assert list(found) == ["drive", "activity", "costate", "weights", "momenta"]
    assert found["drive"] == r"u_{k} = \sum_{j=0}^{N+l} W_{k j} z_{j}, \qquad z = (x_{0}, \ldots, x_{l-1}, 1, y)"
    assert found["activity"] == r"\dot y_{k} = \frac{\tanh{\left(u_{k} \right)} - y_{k}}{\tau}"
    assert found["costate"].startswith(r"\dot \Delta_{k} = \frac{\Delta_{k}}{\tau} - \frac{")
    transposed = r"\left(1 - \tanh^{2}{\left(u_{k_{1}} \right)}\right) \Delta_{k_{1}} W_{k_{1},\,k+l+1}"
    assert r"\sum_{k_{1}=0}^{N-1} " + transposed in found["costate"]
    assert found["weights"] == r"\dot W_{k j} = \frac{M_{k j}}{\omega}"
    local = r"\left(1 - \tanh^{2}{\left(u_{k} \right)}\right) \Delta_{k} z_{j}"
    assert found["momenta"] == rf"\dot M_{{k j}} = - \frac{{{local}}}{{\tau}}"


def test_the_sign_of_the_kinetic_term_is_printed():
    plus, minus = (hamiltonian_latex(hamiltonian(cost=None), sign) for sign in (1, -1))
    assert r"\sum_{k=0}^{N-1} \sum_{j=0}^{N+l} M_{k j}^{2}" in plus and r"2 \omega" in plus
    assert " - " not in plus.replace("- y_{k}", "") and minus.replace("- y_{k}", "").count("- ") == 1


def test_parameters_are_printed_by_the_users_names():
    text = hamiltonian_latex(hamiltonian(relaxation=sp.Symbol("lambda"), inertia=sp.Symbol("z")))
    assert r"\lambda" in text and "lambda_" not in text and "p_{z}" not in text


def test_masks_appear_in_the_drive_and_are_abbreviated_with_it():
    h = hamiltonian(MASK)
    assert "S_{k j} W_{k j} z_{j}" in drive_latex(h)
    found = h.characteristic_equations().latex
    assert "S" not in found["activity"] and r"S_{k_{1},\,k+l+1}" in found["costate"]
    assert "S_{k j}" in found["momenta"] and "S_{k j}" in found["weights"]


def test_only_the_drive_is_abbreviated():
    h = hamiltonian()
    assert expression_latex(h, COLUMNS.sum(W[k, j] * Z[j], j)) == "u_{k}"
    assert "u_" not in expression_latex(h, COLUMNS.sum(M[k, j] * Z[j], j))
    assert "u_" not in expression_latex(h, COLUMNS.sum(W[k, j] * Z[j] ** 2, j))
    assert "u_" not in expression_latex(h, COLUMNS.sum(2 * W[k, j] * Z[j], j))


def test_a_cost_of_the_user_is_part_of_the_hamiltonian_and_of_its_entries():
    net = Network(2, 1)
    h = hamiltonian(network=net, cost=net.y[1] ** 2 + net.W[0, 3] * net.x[0])
    found = h.characteristic_equations().latex
    assert hamiltonian_latex(h).endswith(r" + W_{0 3} x_{0} + y_{1}^{2}")
    assert found["cost 1"] == r"\dot M_{0 3} \;{+}\!= - x_{0}"
    assert found["cost 2"] == r"\dot \Delta_{1} \;{+}\!= - 2 y_{1}"


@pytest.mark.parametrize("activation", ["tanh", "logistic", ["relu", "softplus"]])
def test_braces_of_every_formula_match(activation):
    h = NeuralHamiltonian(Network(2, 1, activation, MASK), TAU, 2.0, QuadraticCost(), dynamical=MASK)
    for text in [hamiltonian_latex(h), *h.characteristic_equations().latex.values()]:
        assert text.count("{") == text.count("}") and text.count(r"\left") == text.count(r"\right")
        assert not any(name in text for name in ("Sum", "Indexed", "Dummy", "KroneckerDelta"))
