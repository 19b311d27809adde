"""Short-time coefficients against brute-force commutators of truncated matrices, and against the flows themselves."""

from math import factorial

import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CatMixture,
    CatState,
    FockState,
    GaussianState,
    Mixture,
    PhaseSpace,
    ThermalState,
    taylor_expectations,
)

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
HBAR, SIZE = 0.7, 110
H = p**2 / 2 - x**2 / 3 + x**4 / 5 + x**3 / 7

STATES = {
    "gaussian": GaussianState(0.9, x0=0.4, p0=-0.3),
    "smeared": GaussianState(0.9, x0=0.4, c=0.5),
    "cat": CatState(0.8, 0.6, x0=0.2),
    "smeared cat": CatState(0.8, 0.6, x0=0.2, c=0.4),
    "mixture of two": CatMixture(0.8, 0.6, x0=0.2),
    "thermal": ThermalState(1.5, x0=0.2),
    "fock": FockState(2, x0=0.1, p0=0.2, omega=1.2),
    "mixture": Mixture([(0.25, FockState(1)), (0.75, GaussianState(0.9))]),
}


def oscillator():
    """x and p in the basis of the oscillator with m = omega = 1."""
    a = np.diag(np.sqrt(np.arange(1.0, SIZE)), 1)
    return np.sqrt(HBAR / 2) * (a + a.T), 1j * np.sqrt(HBAR / 2) * (a.T - a)


def packet(width, centre, momentum=0.0):
    """<n|psi> of a Gaussian, by quadrature."""
    q = np.linspace(-14, 14, 1401)
    u = q / np.sqrt(HBAR)
    rows = [np.pi**-0.25 * np.exp(-(u**2) / 2)]
    rows.append(np.sqrt(2) * u * rows[0])
    for n in range(1, SIZE - 1):
        rows.append(np.sqrt(2 / (n + 1)) * u * rows[-1] - np.sqrt(n / (n + 1)) * rows[-2])
    psi = (np.pi * width**2) ** -0.25 * np.exp(-((q - centre) ** 2) / (2 * width**2) + 1j * momentum * q / HBAR)
    return np.array(rows) @ psi * (q[1] - q[0]) / HBAR**0.25


def smeared(vectors, c):
    """Mixed over displacements exp(i p0 x/hbar) with exp(-p0^2/c^2), by Gauss-Hermite quadrature."""
    rho, (nodes, weights) = 0, np.polynomial.hermite.hermgauss(20 if c else 1)
    for node, weight in zip(nodes, weights / np.sqrt(np.pi), strict=True):
        psi = vectors(c * node)
        rho = rho + weight * np.outer(psi, psi.conj())
    return rho / np.trace(rho)


def matrix(name):
    if name == "gaussian":
        return smeared(lambda _: packet(0.9, 0.4, -0.3), 0)
    if name == "smeared":
        return smeared(lambda k: packet(0.9, 0.4, k), 0.5)
    if name in ("cat", "smeared cat"):
        return smeared(lambda k: packet(0.8, 0.8, k) + packet(0.8, -0.4, k), 0.4 if name != "cat" else 0)
    if name == "mixture of two":
        return (smeared(lambda _: packet(0.8, 0.8), 0) + smeared(lambda _: packet(0.8, -0.4), 0)) / 2
    X, P = oscillator()
    eye = np.eye(SIZE)
    if name == "mixture":
        first = np.zeros((SIZE, SIZE))
        first[1, 1] = 1
        return first / 4 + 3 / 4 * smeared(lambda _: packet(0.9, 0), 0)
    if name == "thermal":
        energy = (P @ P + (X - 0.2 * eye) @ (X - 0.2 * eye)).real / 2
        values, vectors = np.linalg.eigh(energy)
        boltzmann = np.exp(-1.5 * values)
        return (vectors * boltzmann) @ vectors.T / boltzmann.sum()
    energy = ((P - 0.2 * eye) @ (P - 0.2 * eye)) / 2 + 1.44 * (X - 0.1 * eye) @ (X - 0.1 * eye) / 2
    _, vectors = np.linalg.eigh(energy)
    return np.outer(vectors[:, 2], vectors[:, 2].conj())


def brute_force(name, number):
    """Tr[rho A_k]/k! with A_{k+1} = [A_k, H]/(i hbar)."""
    X, P = oscillator()
    rho = matrix(name)
    energy = P @ P / 2 - X @ X / 3 + np.linalg.matrix_power(X, 4) / 5 + np.linalg.matrix_power(X, 3) / 7
    A, found = X @ X, []
    for k in range(number):
        found.append(np.trace(rho @ A).real / factorial(k))
        A = (A @ energy - energy @ A) / (1j * HBAR)
    return found


@pytest.mark.parametrize("name", STATES)
def test_coefficients_are_those_of_commutators_of_matrices(name):
    found = taylor_expectations(H, x**2, STATES[name], space, hbar=HBAR, number=6)
    assert np.allclose([float(c) for c in found], brute_force(name, 6), rtol=1e-7, atol=1e-7)


def test_classical_coefficients_are_those_of_the_trajectories():
    """A point (all widths zero) moves by Hamilton's equations; its derivatives follow by repeated substitution."""
    e = sp.Symbol("epsilon", positive=True)
    found = taylor_expectations(H, x, GaussianState(a=e, x0=1, p0=2, c=e), space, hbar=1, number=6, flow="classical")
    t = sp.Symbol("t")
    q, k = sp.Integer(1), sp.Integer(2)
    for _ in range(6):  # Picard's iteration
        force = -sp.diff(H, x).subs(x, q)
        q, k = 1 + sp.integrate(sp.expand(k), (t, 0, t)), 2 + sp.integrate(sp.expand(force), (t, 0, t))
        q, k = (sum(sp.Poly(f, t).coeff_monomial(t**i) * t**i for i in range(7)) for f in (q, k))
    # The pure part hbar/a of the width in p diverges as a -> 0, so that the limit is taken at hbar = 0.
    at_zero = taylor_expectations(
        H, x, GaussianState(a=e, x0=1, p0=2, c=e), space, hbar=hbar, number=6, flow="classical"
    )
    assert [sp.limit(c.subs(hbar, 0), e, 0) for c in at_zero] == [sp.Poly(q, t).coeff_monomial(t**i) for i in range(6)]
    assert len(found) == 6


def test_flows_differ_first_where_the_series_says_so():
    """For x^6 the hbar^4 term of the equation is missing in the truncated flow, both in the classical one."""
    sextic, state = p**2 / 2 + x**6 / 6, GaussianState(a=1, x0=1, c=1)
    rows = {
        flow: taylor_expectations(sextic, p**5, state, space, hbar=hbar, number=2, flow=flow)
        for flow in ("quantum", "truncated", "classical")
    }
    gaps = {flow: [sp.expand(a - b) for a, b in zip(rows["quantum"], rows[flow], strict=True)] for flow in rows}
    assert gaps["truncated"][0] == gaps["classical"][0] == 0
    assert min(sp.Poly(gaps["truncated"][1], hbar).monoms())[0] == 4
    # hbar^2/24 <U'''> <d_p^3 p^5> with <x^3> = 5/2 and <p^2> = (1 + hbar^2)/2.
    first = hbar**2 / 24 * 20 * sp.Rational(5, 2) * 60 * (1 + hbar**2) / 2
    assert sp.expand(rows["truncated"][1] - rows["classical"][1] - first) == 0


def test_two_degrees_of_freedom_and_parameters():
    plane = PhaseSpace("x y", "px py")
    (X, Y), (PX, PY) = plane.x, plane.p
    (w,) = plane.parameters(w=2)
    henon = (PX**2 + PY**2 + w**2 * (X**2 + Y**2)) / 2 + X**2 * Y - Y**3 / 3
    found = taylor_expectations(
        henon, Y, GaussianState(a=sp.sqrt(plane.hbar), x0=(1, sp.Rational(1, 2))), plane, number=3
    )
    # d^2<y>/dt^2 = -w^2 <y> - <x^2> + <y^2>
    force = -(w**2) / 2 - (1 + sp.Rational(1, 2)) + (sp.Rational(1, 4) + sp.Rational(1, 2))
    assert [sp.expand(c) for c in found] == [sp.Rational(1, 2), 0, sp.expand(force / 2)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"H": sp.cos(x)}, "no polynomial"),
        ({"A": sp.exp(x)}, "no polynomial"),
        ({"A": "nonsense("}, "Weyl symbol"),
        ({"flow": "fast"}, "flow"),
        ({"number": 0}, "number"),
        ({"hbar": -1}, "positive"),
        ({"family": 3}, "no state"),
        ({"space": 1}, "no phase space"),
        ({"H": p**2 + space.t * x}, "time"),
    ],
)
def test_what_cannot_be_used_is_named(change, words):
    arguments = {"H": H, "A": x, "family": GaussianState(1), "space": space, **change}
    with pytest.raises(InputError, match=words):
        taylor_expectations(**arguments)
