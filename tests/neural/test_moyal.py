"""Moyal corrections against another engine, against matrices, and the statements that must hold for every network."""

import math

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, moyal_correction
from qnnsym.neural.moyal import own_expression, poisson_bracket
from qnnsym.phase_space import PhaseSpace, moyal_bracket

LAM, OMEGA, U = sp.Symbol("lambda", positive=True), sp.Symbol("omega", positive=True), sp.Symbol("u", real=True)


def hamiltonian(activation="tanh", dynamical=None, neurons=1, inputs=0, cost=None):
    return NeuralHamiltonian(Network(neurons, inputs, activation), LAM, OMEGA, cost, dynamical=dynamical)


def gaussian(h):
    return sp.exp(-sum((k + 2) * (s - sp.Rational(k, 7)) ** 2 for k, s in enumerate((*h.q, *h.p))) / 4)


@pytest.mark.parametrize("order", [2, 4])
def test_corrections_are_those_of_the_polynomial_engine(order):
    mask = [[1, 1, 0, 1], [1, 1, 1, 0]]
    net = Network(2, 1, U**5 / 5 + U**3 / 3 + U**2, mask)
    cost = (net.y[0] * net.y[1]) ** 2 + net.y[0] ** 3 * net.W[0, 3] ** 2
    h = NeuralHamiltonian(net, LAM, OMEGA, cost, dynamical=[[1, 0, 0, 1], [0, 0, 1, 0]])
    variables, rng = [*h.q, *h.p], np.random.default_rng(0)
    rho = sum(
        int(rng.integers(1, 5)) * sp.Mul(*(variables[i] ** int(rng.integers(1, 3)) for i in rng.choice(10, 5, False)))
        for _ in range(6)
    )
    space = PhaseSpace([s.name for s in h.q], [s.name for s in h.p])
    rename = dict(zip(variables, space.variables, strict=True))
    bracket = sp.expand(moyal_bracket(own_expression(h).xreplace(rename), rho.xreplace(rename), space, order=order))
    correction = moyal_correction(h, order)
    mine = sp.expand(correction.apply(rho) * correction.factor).xreplace(rename)
    (hbar,) = correction.factor.free_symbols
    assert mine != 0
    assert sp.expand(bracket.coeff(space.hbar, order) - mine.coeff(hbar, order)) == 0


def test_the_first_correction_has_the_form_of_the_spec():
    """P3 with D_k and C_k written out by hand, for dynamical and static weights."""
    for n, moves in ((1, np.ones((1, 2))), (2, np.zeros((2, 3)))):
        h = hamiltonian("tanh", moves, n)
        net, rho = h.network, gaussian(h)
        z = [sp.S.One, *net.y]
        delta, momenta = h.p[:n], iter(h.p[n:])
        total = sp.S.Zero
        m = {(k, j): next(momenta) for k in range(n) for j in range(1 + n)} if moves.any() else {}
        for k in range(n):
            u = sum(net.W[k, j] * z[j] for j in range(1 + n))
            f = [sp.tanh(U).diff(U, s).subs(U, u) for s in range(4)]

            def d(expression, k=k, net=net, delta=delta, z=z, m=m, n=n):
                found = sum(net.W[k, 1 + i] * sp.diff(expression, delta[i]) for i in range(n))
                return found + sum(z[j] * sp.diff(expression, m[k, j]) for j in range(1 + n) if m)

            def c(expression, k=k, delta=delta, m=m, n=n):
                return sum(sp.diff(expression, delta[i], m[k, 1 + i]) for i in range(n) if m)

            def operators(r, d=d, c=c):
                """D^3, D C, D^2, C of r: the coefficients W and z stand to the left, D does not differentiate them."""
                return d(d(d(r))), d(c(r)), d(d(r)), c(r)

            third, mixed, *_ = operators(rho)
            *_, second, cross = operators(sp.diff(rho, net.y[k]))
            total += delta[k] * (f[3] * third + 6 * f[2] * mixed) - 3 * (f[2] * second + 2 * f[1] * cross)
        gap = (moyal_correction(h).apply(rho) - total / LAM).free_symbols
        numbers = {s: sp.Rational(3 + 2 * i, 17 + i) for i, s in enumerate(sorted(gap, key=str))}
        found, expected = moyal_correction(h).apply(rho).subs(numbers), (total / LAM).subs(numbers)
        assert abs(sp.N(found - expected, 40)) < 1e-30 * abs(sp.N(expected, 40))


def test_linear_activations_have_no_correction_with_static_weights_and_end_with_dynamical_ones():
    cost = QuadraticCost(1, decay=sp.Symbol("mu", positive=True))
    static = hamiltonian("linear", np.zeros((2, 4)), 2, 1, cost)
    assert all(moyal_correction(static, order).terms == () for order in (2, 4))
    moving = hamiltonian("linear", None, 2, 1, cost)
    assert moyal_correction(moving, 2).terms and not moyal_correction(moving, 4).terms


def test_characteristic_equations_are_uncorrected():
    h = hamiltonian("tanh", None, 1, 1)
    for coordinate in (*h.q, *h.p):
        assert moyal_correction(h).apply(coordinate) == 0


def test_position_density_obeys_a_continuity_equation():
    """Integrated over all momenta P3 rho vanishes: by the trapezoidal rule, exact for Gaussians to rounding."""
    h = hamiltonian("tanh", np.array([[0, 1]]))
    (y, w), (d, m) = h.q, h.p
    rho = sp.exp(-((d - y) ** 2) - m**2 - d * m / 2 - y**2 - w**2)
    applied = moyal_correction(h).apply(rho).subs({y: sp.Rational(1, 3), w: sp.Rational(3, 4), h.W[0, 0]: 1, LAM: 2})
    points = np.linspace(-9, 9, 121)
    values = sp.lambdify((d, m), applied, "numpy")(*np.meshgrid(points, points))
    assert abs(values.sum()) < 1e-12 * np.abs(values).sum()


def test_all_orders_together_are_the_commutator_of_matrices():
    """One neuron with polynomial f: the Weyl symbol of [H, rho]/(i hbar) by matrices of q and p."""
    hbar = sp.Rational(3, 10)
    h = hamiltonian(U**3 / 3, np.zeros((1, 2)))
    values = {LAM: 1, h.W[0, 0]: sp.Rational(1, 5), h.W[0, 1]: sp.Rational(4, 5)}
    (y,), (d,) = h.q, h.p
    expression = sp.expand(own_expression(h).subs(values))
    rho = y**3 * d**3
    size, keep = 60, 12
    lower = np.diag(np.sqrt(np.arange(1, size)), 1)
    q, p = (lower + lower.T) * np.sqrt(0.3 / 2), (lower - lower.T) * np.sqrt(0.3 / 2) / 1j

    def weyl(symbol):
        """Symmetric ordering: y^a d^b = 2^-a sum C(a, k) q^k p^b q^(a-k)."""
        total = np.zeros((size, size), complex)
        for (a, b), c in sp.Poly(symbol, y, d).terms():
            powers = [np.linalg.matrix_power(q, n) for n in range(a + 1)]
            middle = np.linalg.matrix_power(p, b)
            ordered = (math.comb(a, k) * powers[k] @ middle @ powers[a - k] for k in range(a + 1))
            total += float(c) / 2**a * sum(ordered)
        return total

    bracket = poisson_bracket(expression, rho, h.q, h.p)
    for order in (2, 4, 6):
        correction = moyal_correction(h, order)
        bracket += correction.factor.subs(*correction.factor.free_symbols, hbar) * correction.apply(rho).subs(values)
    a, b = weyl(expression), weyl(rho)
    exact = (a @ b - b @ a) / (1j * float(hbar))
    # Beyond the corner the truncated matrices are no canonical pair.
    corner = exact[:keep, :keep]
    np.testing.assert_allclose(weyl(sp.expand(bracket))[:keep, :keep], corner, atol=1e-8 * np.abs(corner).max())


@pytest.mark.parametrize("order", [0, 1, 3, -2, 2.0, True])
def test_odd_orders_are_refused(order):
    with pytest.raises(InputError, match="even powers"):
        moyal_correction(hamiltonian(), order)


def test_kinks_and_other_objects_are_refused():
    with pytest.raises(InputError, match=r"relu.*softplus\(beta\*u\)/beta"):
        moyal_correction(hamiltonian("relu"))
    with pytest.raises(InputError, match="give a NeuralHamiltonian"):
        moyal_correction(3)
    with pytest.raises(InputError, match=r"H\.q and H\.p"):
        moyal_correction(hamiltonian()).apply("rho")
    smooth = hamiltonian(__import__("qnnsym.equations.functions", fromlist=["softplus"]).softplus(3 * U) / 3)
    assert moyal_correction(smooth).terms


def test_a_correction_prints_itself():
    correction = moyal_correction(hamiltonian("tanh", np.zeros((1, 2))))
    assert str(correction).startswith("P3 rho = (") and "d[D_0 D_0 D_0] rho" in str(correction)
    assert "\\partial^{3} \\rho" in correction.latex
    assert str(moyal_correction(hamiltonian("linear", np.zeros((1, 2))))) == "P3 rho = 0"


def test_symbols_called_like_variables_and_costs_with_a_kink_are_refused():
    """They would have no derivative by the network's own Symbols: P rho would be silently zero."""
    net = Network(1)
    correction = moyal_correction(NeuralHamiltonian(net, 1, 1))
    with pytest.raises(InputError, match="called like one"):
        correction.apply(sp.Symbol("y_0") ** 3)
    assert correction.apply(sp.Symbol("a") * net.y[0] ** 3) is not None
    for kink in (sp.Abs(net.y[0]), sp.Max(net.y[0], 0)):
        with pytest.raises(InputError, match="has a kink"):
            moyal_correction(NeuralHamiltonian(net, 1, 1, cost=kink))


@pytest.mark.parametrize("which", ["relaxation", "inertia", "delay"])
def test_variables_of_the_network_are_no_parameters(which):
    net = Network(2)
    with pytest.raises(InputError, match=r"variable of the network|delay y_0 depends"):
        NeuralHamiltonian(net, **{"relaxation": 1, "inertia": 1, which: net.y[0]})
