"""Madelung's equations: solutions of Schroedinger's equation satisfy them, and quantum potentials that are known."""

import mpmath
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import PhaseSpace, madelung

space = PhaseSpace("x", "p")
(x,), (p,), hbar, t = space.x, space.p, space.hbar, space.t
(X,), (P,) = space.X, space.P
plane = PhaseSpace("x y", "px py")
m, omega, a, b, n = sp.symbols("m omega a b n", positive=True)
U = sp.Function("U", real=True)


def test_equations_of_one_particle():
    found = madelung(p**2 / (2 * m) + U(x), space)
    R, S = found.R, found.S
    jacobi = sp.diff(S, t) + sp.diff(S, x) ** 2 / (2 * m) + U(x) - hbar**2 / (2 * m) * sp.diff(R, x, 2) / R
    assert sp.expand(found.hamilton_jacobi - jacobi) == 0
    assert sp.expand(found.continuity - sp.diff(R**2, t) - sp.diff(R**2 * sp.diff(S, x) / m, x)) == 0
    assert sp.expand(found.quantum_potential() + hbar**2 / (2 * m) * sp.diff(R, x, 2) / R) == 0
    assert sp.expand(found.classical - found.hamilton_jacobi.subs(hbar, 0)) == 0
    assert found.latex()["Hamilton-Jacobi"].endswith("= 0")


def residuals(found, psi, point, digits=40):
    """Both equations at a point for a wave function given to mpmath, by its numerical derivatives.

    R and S come from |psi| and its phase, not from formulas for them.
    """
    variables = [*found.space.x, found.space.t]
    with mpmath.workdps(digits):
        hb = mpmath.mpf(7) / 10
        centre = psi(*point)

        def amplitude(*q):
            return abs(psi(*q))

        def phase(*q):
            return hb * mpmath.arg(psi(*q) / centre)  # no jump near the point

        values = {}
        for derivative in found.hamilton_jacobi.atoms(sp.Derivative) | found.continuity.atoms(sp.Derivative):
            if derivative.expr not in (found.R, found.S):
                continue
            orders = [sum(c for v, c in derivative.variable_count if v == u) for u in variables]
            function = amplitude if derivative.expr == found.R else phase
            values[derivative] = sp.Float(mpmath.diff(function, tuple(point), tuple(orders)), digits)
        values[found.R] = sp.Float(amplitude(*point), digits)
        at = dict(zip(variables, [sp.Float(q, digits) for q in point], strict=True))
        at[found.space.hbar] = sp.Rational(7, 10)
        return [
            abs(e.doit().xreplace(values).xreplace(at).evalf(30)) for e in (found.hamilton_jacobi, found.continuity)
        ]


def spreading(q, s, mass=1):
    """A free packet of initial width 1 with momentum 1/2, hbar = 7/10."""
    hb = mpmath.mpf(7) / 10
    z = 1 + 1j * hb * s / mass
    k = mpmath.mpf(1) / 2 / hb
    return mpmath.exp(-((q - hb * k * s / mass) ** 2) / (2 * z) + 1j * k * (q - hb * k * s / (2 * mass))) / mpmath.sqrt(
        z
    )


def test_a_spreading_packet_satisfies_both_equations():
    found = madelung(p**2 / 2, space)
    for point in ((mpmath.mpf("0.4"), mpmath.mpf("0.3")), (mpmath.mpf("-0.7"), mpmath.mpf("1.1"))):
        assert max(residuals(found, spreading, point)) < 1e-9


def test_an_interfering_cat_satisfies_both_equations():
    def cat(q, s):
        return spreading(q - 1, s) + spreading(q + 1, s) / 2

    assert max(residuals(madelung(p**2 / 2, space), cat, (mpmath.mpf("0.2"), mpmath.mpf("0.4")))) < 1e-9


def test_a_wrong_hamiltonian_leaves_a_residual():
    found = madelung(p**2 / 2 + x**2 / 2, space)
    assert max(residuals(found, spreading, (mpmath.mpf("0.4"), mpmath.mpf("0.3")))) > 1e-2


@pytest.mark.parametrize(("level", "holds"), [(3, True), (1, False)])
def test_landau_level_in_a_vector_potential(level, holds):
    """H = (p - A)^2/2 with A = B (-y, x)/2: (x - iy) exp(-B r^2/(4 hbar)) has the energy 3 hbar B/2 and a current."""
    B = sp.Rational(4, 5)
    (x1, y1), (px, py) = plane.x, plane.p
    found = madelung((px + B * y1 / 2) ** 2 / 2 + (py - B * x1 / 2) ** 2 / 2, plane)

    def landau(q, r, s):
        field, hb = mpmath.mpf(4) / 5, mpmath.mpf(7) / 10
        return (q - 1j * r) * mpmath.exp(-field * (q**2 + r**2) / (4 * hb) - 1j * field * s * level / 2)

    rest = residuals(found, landau, (mpmath.mpf("0.4"), mpmath.mpf("0.3"), mpmath.mpf("0.2")))
    assert bool(max(rest) < 1e-9) is holds


def test_vector_potential_and_several_particles():
    A = [sp.Function(name, real=True)(*plane.x) for name in ("A1", "A2")]
    V = sp.Function("V", real=True)(*plane.x)
    masses = (m, n)
    H = sum((q - f) ** 2 / (2 * mass) for q, f, mass in zip(plane.p, A, masses, strict=True)) + V
    found = madelung(H, plane)
    R, S = found.R, found.S
    flow = [(sp.diff(S, q) - f) / mass for q, f, mass in zip(plane.x, A, masses, strict=True)]
    jacobi = sp.diff(S, t) + V + sum(mass * v**2 / 2 for mass, v in zip(masses, flow, strict=True))
    quantum = -sum(hbar**2 / (2 * mass) * sp.diff(R, q, 2) / R for q, mass in zip(plane.x, masses, strict=True))
    assert sp.expand(found.hamilton_jacobi - jacobi - quantum) == 0
    divergence = sum(sp.diff(R**2 * v, q) for v, q in zip(flow, plane.x, strict=True))
    assert sp.expand(found.continuity - sp.diff(R**2, t) - divergence) == 0
    assert found.current is not None
    assert all(sp.expand(j - R**2 * v) == 0 for j, v in zip(found.current, flow, strict=True))


@pytest.mark.parametrize("level", [0, 1, 2, 5])
def test_quantum_potential_of_oscillator_eigenstates(level):
    """Q + U is the energy wherever the state does not vanish."""
    found = madelung(p**2 / (2 * m) + m * omega**2 * x**2 / 2, space)
    R = sp.hermite(level, x * sp.sqrt(m * omega / hbar)) * sp.exp(-m * omega * x**2 / (2 * hbar))
    energy = found.quantum_potential(R) + m * omega**2 * x**2 / 2
    assert sp.simplify(energy - hbar * omega * (level + sp.Rational(1, 2))) == 0


def test_quantum_potential_of_a_gaussian_and_of_a_cat():
    found = madelung(p**2 / (2 * m) + U(x), space)
    gaussian = found.quantum_potential(sp.exp(-((x - b) ** 2) / (2 * a**2)))
    assert sp.simplify(gaussian - hbar**2 / (2 * m) * (1 / a**2 - (x - b) ** 2 / a**4)) == 0
    cat = sp.exp(-((x - b) ** 2) / (2 * a**2)) + sp.exp(-((x + b) ** 2) / (2 * a**2))
    Q = sp.lambdify(x, found.quantum_potential(cat).subs({a: 1, b: 2, m: 1, hbar: 1}), "mpmath")
    with mpmath.workdps(40):
        for at in (mpmath.mpf("0.3"), mpmath.mpf("1.7")):

            def amplitude(q):
                return mpmath.exp(-((q - 2) ** 2) / 2) + mpmath.exp(-((q + 2) ** 2) / 2)

            assert abs(Q(at) + mpmath.diff(amplitude, at, 2) / (2 * amplitude(at))) < 1e-12
    # Between the lumps the potential is a well of depth b^2/a^4 against the single Gaussian's: Q(0) < 0.
    assert Q(0) == mpmath.mpf(1) / 2 * (1 - 4)


def test_position_dependent_mass():
    M = sp.Function("M", real=True)
    found = madelung(p**2 / (2 * M(x)), space)
    R, S = found.R, found.S
    ordering = sp.diff(1 / M(x), x, 2) / 8  # of the Weyl ordering against P 1/(2M) P
    quantum = -(hbar**2) * (sp.diff(sp.diff(R, x) / M(x), x) / (2 * R) + ordering)
    assert sp.expand(found.hamilton_jacobi - sp.diff(S, t) - sp.diff(S, x) ** 2 / (2 * M(x)) - quantum) == 0
    assert sp.expand(found.continuity - sp.diff(R**2, t) - sp.diff(R**2 * sp.diff(S, x) / M(x), x)) == 0
    from_operator = madelung(P / (2 * sp.Function("M")(X)) * P, space)
    assert not from_operator.quantum_potential().has(sp.diff(sp.Function("M")(x), x, 2))


def test_quartic_kinetic_energy_by_a_plane_wave_packet():
    """i hbar psi_t = hbar^4 psi_xxxx for psi = e^{ikx - i hbar^3 k^4 t} + a slower one."""

    def waves(q, s):
        hb = mpmath.mpf(7) / 10
        return sum(
            c * mpmath.exp(1j * k * q - 1j * hb**3 * k**4 * s)
            for k, c in ((1, 1), (mpmath.mpf(1) / 2, mpmath.mpf(1) / 3))
        )

    found = madelung(p**4, space)
    assert found.current is None
    assert max(residuals(found, waves, (mpmath.mpf("0.4"), mpmath.mpf("0.3")))) < 1e-9
    with pytest.raises(InputError, match="depends on the phase"):
        found.quantum_potential(sp.exp(-(x**2)))
    assert found.quantum_potential(sp.exp(-(x**2)), S=x).has(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: madelung(sp.sqrt(1 + p**2), space), "polynomial"),
        (lambda: madelung(sp.I * p, space), "not real"),
        (lambda: madelung(X * P, space), "not real"),
        (lambda: madelung("p**2", space), "SymPy expression"),
        (lambda: madelung(p**2, space).quantum_potential(sp.exp(-(p**2))), "momentum"),
        (lambda: madelung(p**2, space).quantum_potential(0), "zero"),
        (lambda: madelung(p**2, space).quantum_potential("R"), "SymPy expression"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()
