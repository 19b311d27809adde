"""The fields K(k, p) and V(x, theta) as equation sets: what kernels are made from is the split of H."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.phase_space import PhaseSpace, moyal_equation
from qnnsym.phase_space.fields import ORDERS, field_equations, field_name

HBAR = 0.3


def values_of(equations, first, second, par):
    flat = numpy_function(lower(equations))(0.0, np.concatenate([first, second]), [], par, (first.size, second.size))
    return np.reshape(flat, (first.size, second.size))


def fields(make, defaults, order=None):
    """(K, V) of the kernels, the arrays they stand on, and H's parts as functions of arrays."""
    space = PhaseSpace("x", "p")
    (x,), (p,) = space.x, space.p
    parameters = space.parameters(**defaults)
    T, U = make(x, p, *parameters)
    found = field_equations(moyal_equation(T + U, space), (order,))
    k, ps, xs, theta = (np.linspace(a, b, n) for a, b, n in ((-2, 2, 5), (-1, 1.5, 7), (-1.2, 1.4, 6), (-3, 2, 4)))
    par = [HBAR, *(float(v) for v in defaults.values())]
    K = values_of(found[field_name("kinetic", order)], k, ps, par)
    V = values_of(found[field_name("potential", order)], xs, theta, par)
    numbers = dict(zip(parameters, defaults.values(), strict=True))
    t, u = (sp.lambdify(s, f.subs(numbers).subs(space.hbar, HBAR)) for s, f in ((p, T), (x, U)))
    return K, V, (k[:, None], ps[None, :], xs[:, None], theta[None, :]), t, u


HAMILTONIANS = {
    "quartic": (lambda x, p, m, g: (p**2 / (2 * m), g * x**4 / 4), {"m": 2, "g": 0.7}),
    "pendulum": (lambda x, p: (p**2 / 2, 1 - sp.cos(x)), {}),
    "morse": (lambda x, p, D: (p**2 / 2, D * (1 - sp.exp(-x)) ** 2), {"D": 1.5}),
    "relativistic": (lambda x, p, m: (sp.sqrt(m**2 + p**2), sp.tanh(x)), {"m": 1.3}),
    "harper": (lambda x, p: (sp.cos(p), sp.cos(x)), {}),
    "quantum correction": (lambda x, p: (p**2 / 2, PhaseSpace().hbar ** 2 * x**3), {}),
    "names": (lambda x, p, i, j, field, k, theta: (i * p**2, j * x**2 + field * x**4 + k * x - theta * x**6),
              {"i": 0.5, "j": 2, "field": 0.3, "k": 4, "theta": 0.1}),
}  # fmt: skip


@pytest.mark.parametrize("name", HAMILTONIANS)
def test_with_all_orders_the_fields_are_differences_of_shifted_arguments(name):
    K, V, (k, p, x, theta), T, U = fields(*HAMILTONIANS[name])
    exact_K = (T(p + HBAR * k / 2) - T(p - HBAR * k / 2)) / HBAR
    exact_V = (U(x + HBAR * theta / 2) - U(x - HBAR * theta / 2)) / HBAR
    assert np.abs(K - exact_K).max() < 1e-13 * np.abs(exact_K).max()
    assert np.abs(V - exact_V).max() < 1e-13 * np.abs(exact_V).max()


@pytest.mark.parametrize("name", ("quartic", "pendulum", "relativistic"))
@pytest.mark.parametrize("order", (0, 2, 4))
def test_cut_fields_are_taylor_polynomials(name, order):
    K, V, (k, p, x, theta), *_ = fields(*HAMILTONIANS[name], order=order)
    q = sp.Symbol("q", real=True)
    for found, at, shift, part in ((K, p, k, 0), (V, x, theta, 1)):
        make, defaults = HAMILTONIANS[name]
        f = make(q, q, *defaults.values())[part]
        total = 0.0
        for s in range(order // 2 + 1):
            derivative = sp.lambdify(q, sp.diff(f, q, 2 * s + 1))
            total = total + derivative(at) * shift ** (2 * s + 1) * (HBAR / 2) ** (2 * s) / sp.factorial(2 * s + 1)
        total = np.asarray(total, float)
        assert np.abs(found - total).max() < 1e-13 * max(1, np.abs(total).max())


def test_names_and_what_the_kernels_take():
    space = PhaseSpace("x", "p")
    (x,), (p,) = space.x, space.p
    m, lam = space.parameters(m=1, **{"lambda_": 2})
    found = field_equations(moyal_equation(p**2 / m + lam * x**4, space))
    assert list(found) == ["kinetic", "potential", "kinetic_0", "potential_0", "kinetic_2", "potential_2"]
    assert ORDERS == (None, 0, 2)
    for name, equations in found.items():
        assert equations.name == name and [s.name for s in equations.scalars] == ["hbar", "m", "lambda_"]
        assert [a.name for a in equations.arrays] == (["k", "p"] if name.startswith("kinetic") else ["x", "theta"])
        assert len(equations.sizes) == 2 and [a.axes for a in equations.outputs] == [
            tuple(a.axes[0] for a in equations.arrays)
        ]


def test_the_scalars_stand_in_the_order_of_declaration_and_keep_unused_ones():
    space = PhaseSpace("q", "P")
    space.parameters(z=1, a=2, m=3)
    equations = field_equations(moyal_equation(space.p[0] ** 2 + space.x[0] ** 2, space))
    assert all([s.name for s in e.scalars] == ["hbar", "z", "a", "m"] for e in equations.values())
    assert [a.name for a in equations["potential"].arrays] == ["q", "theta"]


def pointwise(equations, variables, par):
    flat = numpy_function(lower(equations))(0.0, np.concatenate(variables), [], par, (variables[0].size,))
    return np.reshape(flat, (-1, variables[0].size))


def test_fields_of_two_degrees_of_freedom_are_differences_of_shifted_arguments():
    plane = PhaseSpace("x y", "px py")
    (x, y), (px, py) = plane.x, plane.p
    found = field_equations(moyal_equation(px**2 * py**2 + sp.cos(x) * y**2, plane))
    assert list(found) == [field_name(f, order) for order in ORDERS for f in ("kinetic", "potential")]
    a, b, c, d = np.random.default_rng(0).uniform(-1, 1, (4, 9))
    half = HBAR / 2
    exact_K = ((c + half * a) ** 2 * (d + half * b) ** 2 - (c - half * a) ** 2 * (d - half * b) ** 2) / HBAR
    exact_V = (np.cos(a + half * c) * (b + half * d) ** 2 - np.cos(a - half * c) * (b - half * d) ** 2) / HBAR
    assert pointwise(found["kinetic"], (a, b, c, d), [HBAR])[0] == pytest.approx(exact_K, abs=1e-13)
    assert pointwise(found["potential"], (a, b, c, d), [HBAR])[0] == pytest.approx(exact_V, abs=1e-13)


def test_what_mixes_x_and_p_has_the_rows_of_its_table():
    space = PhaseSpace("x", "p")
    (x,), (p,) = space.x, space.p
    (g,) = space.parameters(g=2)
    found = field_equations(moyal_equation(p**2 / 2 + g * x**2 * p, space))
    xs, ps = np.random.default_rng(0).uniform(-1, 1, (2, 9))
    assert [a.name for a in found["table"].outputs] == ["row_1_0", "row_0_1", "row_1_2"]
    rows = pointwise(found["table"], (xs, ps), [HBAR, 0.7])
    assert rows == pytest.approx(np.array([-0.7 * xs**2, 1.4 * xs * ps, np.full(9, 0.7 * HBAR**2 / 4)]), abs=1e-14)
    assert len(pointwise(found["table_0"], (xs, ps), [HBAR, 0.7])) == 2
    # Where the table does not end there is none with all orders.
    assert "table" not in field_equations(moyal_equation(sp.sin(x) * p**2 * sp.cos(p), space))
