"""Open evolution on a grid against Lindblad's equation in matrices, closed forms, and the orders of the splitting."""

import numpy as np
import pytest
import sympy as sp
from scipy.linalg import expm
from scipy.special import eval_genlaguerre, factorial

from qnnsym.checks.orders import fit_order
from qnnsym.errors import InputError
from qnnsym.phase_space import CatState, GaussianState, PhaseSpace, evolve_wigner
from qnnsym.solvers.compositions import COMPOSITIONS

HBAR, SIZE = 0.5, 44
space = PhaseSpace("x", "p")
(x,), (p,), t, hbar = space.x, space.p, space.t, space.hbar
OSCILLATOR = p**2 / 2 + x**2 / 2
CAT = CatState(a=sp.sqrt(hbar), b=1)


def ladder(size=SIZE):
    return np.diag(np.sqrt(np.arange(1.0, size)), 1)


def matrices(size=SIZE):
    """x and p of the oscillator with m = omega = 1."""
    a = ladder(size)
    return np.sqrt(HBAR / 2) * (a + a.T), -1j * np.sqrt(HBAR / 2) * (a - a.T)


def superoperator(H, jumps, friction=0.0):
    """d rho/dt as a matrix on rho.ravel(), rho a row after the other."""
    one = np.eye(len(H))

    def both(left, right):
        return np.kron(left, right.T)

    found = -1j / HBAR * (both(H, one) - both(one, H))
    for jump in jumps:
        number = jump.conj().T @ jump
        found += both(jump, jump.conj().T) - (both(number, one) + both(one, number)) / 2
    if friction:
        X, P = matrices(len(H))
        anti = both(P, one) + both(one, P)
        found += -1j * friction / HBAR * (both(X, one) - both(one, X)) @ anti
    return found


def coherent_cat():
    """The cat of two coherent states at x = +-1 in the oscillator basis."""
    n, alpha = np.arange(SIZE), 1 / np.sqrt(2 * HBAR)
    vector = (alpha**n + (-alpha) ** n) / np.sqrt(factorial(n))
    vector /= np.linalg.norm(vector)
    return np.outer(vector, vector).astype(complex)


def wigner_of(rho, grid):
    """sum rho_mn W_mn, W_mn of |m><n| by Laguerre functions (a = (x + i p)/sqrt(2 hbar))."""
    X, P = np.meshgrid(*grid, indexing="ij")
    alpha = (X + 1j * P) / np.sqrt(2 * HBAR)
    r = 4 * np.abs(alpha) ** 2
    total = np.zeros_like(X)
    for m in range(len(rho)):
        for n in range(m + 1):
            if abs(rho[m, n]) < 1e-14:
                continue
            size = np.sqrt(np.exp(sum(np.log(np.arange(n + 1, m + 1)))) if m > n else 1.0)
            w = (-1) ** n / (np.pi * HBAR) / size * (2 * np.conj(alpha)) ** (m - n)
            w = w * np.exp(-r / 2) * eval_genlaguerre(n, m - n, r)
            total += (1 if m == n else 2) * np.real(rho[m, n] * w)
    return total


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


X, P = matrices()
NUMBER = (X @ X + P @ P) / 2
CASES = {
    "damping": ({"damping": 0.4}, OSCILLATOR, [np.sqrt(0.4) * ladder()], 0.0),
    "thermal damping": (
        {"damping": 0.4, "occupation": 0.3}, OSCILLATOR,
        [np.sqrt(0.4 * 1.3) * ladder(), np.sqrt(0.4 * 0.3) * ladder().T], 0.0,
    ),
    "position decoherence": ({"diffusion": 0.1}, OSCILLATOR, [np.sqrt(0.2) / HBAR * X], 0.0),
    "Caldeira and Leggett": (
        {"diffusion": 0.3, "friction": 0.2}, OSCILLATOR, [np.sqrt(0.6) / HBAR * X], 0.2,
    ),
    "damped anharmonic oscillator": ({"damping": 0.6}, OSCILLATOR + x**4 / 100, [np.sqrt(0.6) * ladder()], 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_open_evolution_is_that_of_the_master_equation_in_matrices(name):
    dissipation, H, jumps, friction = CASES[name]
    times = [0.0, 0.4, 1.1]
    found = evolve_wigner(
        H, CAT, times, hbar=HBAR, space=space, dissipation=dissipation, tolerance=1e-8, e_ops={"xx": x**2, "p": p}
    )
    # The anharmonic matrix is made in a larger basis, where x^4 is right up to the size that is used.
    big = matrices(SIZE + 8)[0]
    quartic = np.linalg.matrix_power(big, 4)[:SIZE, :SIZE] / 100 if H.has(x**4) else 0.0
    number = np.diag(HBAR * (np.arange(SIZE) + 0.5))
    generator = superoperator(number + quartic, jumps, friction)
    rho, before = coherent_cat().ravel(), 0.0
    for time, w, xx, norm in zip(times, found.states, found.expect["xx"], found.expect["norm"], strict=True):
        rho = expm_on(generator, rho, time - before)
        before = time
        matrix = rho.reshape(SIZE, SIZE)
        assert relative(w, wigner_of(matrix, found.grid)) < 2e-7
        assert xx == pytest.approx(np.trace(matrix @ X @ X).real, abs=1e-7) and norm == pytest.approx(1, abs=1e-10)
    assert found.expect["purity"][-1] == pytest.approx(np.trace(matrix @ matrix).real, abs=1e-7)
    assert found.success and not found.warnings


def expm_on(generator, vector, duration):
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import expm_multiply

    return expm_multiply(duration * csr_matrix(np.where(np.abs(generator) > 1e-15, generator, 0)), vector)


def affine(grid, flow, spread, state):
    """W of a Gaussian whose mean follows flow and whose covariance is flow C flow^T + spread."""
    x0, a, p0, w = (float(sp.sympify(v).subs(hbar, HBAR)) for v in state.extent(space)[0])
    covariance = flow @ np.diag([a**2 / 2, w**2 / 2]) @ flow.T + spread
    centre = flow @ [x0, p0]
    X, P = np.meshgrid(*grid, indexing="ij")
    z = np.array([X - centre[0], P - centre[1]])
    inverse = np.linalg.inv(covariance)
    exponent = np.einsum("iab,ij,jab->ab", z, inverse, z)
    return np.exp(-exponent / 2) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))


@pytest.mark.parametrize("length", (None, 0.9))
def test_a_damped_oscillator_with_any_mass_and_frequency_in_closed_form(length):
    mass, omega, gamma, nbar, time = 1.3, 0.8, 0.5, 0.4, 1.7
    state = GaussianState(a=0.6, x0=1, p0=-0.4)
    found = evolve_wigner(
        p**2 / (2 * mass) + mass * omega**2 * x**2 / 2, state, [0, time], hbar=HBAR, space=space, tolerance=1e-9,
        dissipation={"damping": gamma, "occupation": nbar, "length": length},
    )  # fmt: skip
    drift = np.array([[-gamma / 2, 1 / mass], [-mass * omega**2, -gamma / 2]])
    square = HBAR / (mass * omega) if length is None else length**2
    diffusion = gamma * (nbar + 0.5) * np.diag([square, HBAR**2 / square])
    assert relative(found.final, affine(found.grid, *moments(drift, diffusion, time), state)) < 1e-8


def moments(drift, diffusion, time):
    """(exp(A t), int exp(A s) Q exp(A s)^T ds) by Van Loan's block exponential."""
    n = len(drift)
    block = expm(time * np.block([[-drift, diffusion], [np.zeros((n, n)), drift.T]]))
    flow = block[n:, n:].T
    return flow, flow @ block[:n, n:]


def test_position_decoherence_is_momentum_smearing():
    D, time = 0.07, 1.3
    found = evolve_wigner(sp.Integer(0) * x, CAT, [0, time], hbar=HBAR, space=space, dissipation={"diffusion": D})
    smeared = CatState(a=sp.sqrt(hbar), b=1, c=sp.sqrt(4 * sp.Rational("0.07") * sp.Rational("1.3")))
    exact = sp.lambdify([x, p], smeared.wigner(space).subs(hbar, HBAR))(found.grid[0][:, None], found.grid[1][None, :])
    assert relative(found.final, exact) < 1e-10


def test_a_free_particle_with_friction_and_a_drive_in_closed_form():
    f, D, time = 0.3, 0.2, 1.5
    state = GaussianState(a=0.5, x0=-1, p0=1)
    H = p**2 / 2
    found = evolve_wigner(H, state, [0, time], hbar=HBAR, space=space, dissipation={"friction": f, "diffusion": D})
    drift, diffusion = np.array([[0, 1], [0, -2 * f]]), np.diag([0, 2 * D])
    assert relative(found.final, affine(found.grid, *moments(drift, diffusion, time), state)) < 1e-8


@pytest.mark.parametrize("name", list(COMPOSITIONS))
def test_every_composition_keeps_its_order_with_open_terms_and_a_drive(name):
    H = p**2 / 2 + x**4 / 4 + x * sp.sin(3 * t) / 2
    state, opened = GaussianState(a=0.6, x0=0.5), {"damping": 0.4, "friction": 0.2, "diffusion": 0.1}
    options = {"hbar": HBAR, "space": space, "dissipation": opened}
    grid = evolve_wigner(H, state, (0.0, 1.0, 2), tolerance=1e-11, **options).grid

    def final(count, method=name):
        return evolve_wigner(H, state, (0.0, 1.0, 2), grid=grid, method=method, step=1.0 / count, **options).final

    order = COMPOSITIONS[name].order
    counts = {2: (24, 30, 38, 48), 4: (14, 16, 20, 24), 6: (6, 8, 10, 12)}[order]
    reference = final(80, "blanes_moan6")
    errors = [np.linalg.norm(final(n) - reference) for n in counts]
    assert fit_order([1.0 / n for n in counts], errors).slope == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("tolerance", (1e-4, 1e-8))
@pytest.mark.parametrize("opened", ({"damping": 0.8}, {"diffusion": 0.5}, {"friction": 0.4, "diffusion": 0.4}))
def test_the_error_of_open_evolution_is_within_the_tolerance(tolerance, opened):
    H = p**2 / 2 + x**4 / 4
    options = {"hbar": HBAR, "space": space, "dissipation": opened}
    found = evolve_wigner(H, CAT, [0, 1.0], tolerance=tolerance, **options)
    exact = evolve_wigner(H, CAT, [0, 1.0], grid=found.grid, tolerance=1e-11, **options)
    assert relative(found.final, exact.final) < found.diagnostics["estimated_error"] * 1.1 <= 1.1 * tolerance
    assert not found.warnings


def test_the_proposed_grid_holds_what_diffusion_widens():
    for opened in ({"diffusion": 0.8}, {"damping": 1.0, "occupation": 2.0}, {"friction": 0.5, "diffusion": 1.0}):
        options = {"hbar": HBAR, "space": space, "dissipation": opened, "tolerance": 1e-7}
        found = evolve_wigner(OSCILLATOR, GaussianState(a=0.7), (0, 3, 4), **options)
        assert not found.warnings and found.statistics["grids"] <= 3
        # Twice the points over 1.5 times the range give the same.
        fine = tuple(np.linspace(1.5 * a[0], 1.5 * a[-1], 2 * a.size, endpoint=False) for a in found.grid)
        e_ops = {"tails": x**4 + p**4}
        refined = evolve_wigner(OSCILLATOR, GaussianState(a=0.7), (0, 3, 2), grid=fine, e_ops=e_ops, **options)
        again = evolve_wigner(OSCILLATOR, GaussianState(a=0.7), (0, 3, 2), grid=found.grid, e_ops=e_ops, **options)
        assert again.expect["tails"][-1] == pytest.approx(refined.expect["tails"][-1], rel=1e-5)


def test_the_steady_state_is_thermal():
    options = {"dissipation": {"damping": 2.0, "occupation": 0.5}, "tolerance": 1e-6}
    found = evolve_wigner(OSCILLATOR, GaussianState(a=0.7, x0=1), [0, 14], hbar=HBAR, space=space, **options)
    X, P = np.meshgrid(*found.grid, indexing="ij")
    width = 2 * HBAR * (0.5 + 0.5)
    # exp(-14) of the displacement is left.
    assert relative(found.final, np.exp(-(X**2 + P**2) / width) / (np.pi * width)) < 5e-6


def test_friction_without_diffusion_is_reported_as_no_state():
    options = {"hbar": HBAR, "space": space, "dissipation": {"friction": 0.3}}
    found = evolve_wigner(OSCILLATOR, GaussianState(a=0.7), [0, 1], **options)
    assert found.expect["purity"][-1] > 1.1 and any("no state" in w for w in found.warnings)


@pytest.mark.parametrize(
    "opened, message",
    (
        ({"dampening": 1}, "use some of damping"),
        ({"damping": -1}, "cannot be negative"),
        ({"damping": x}, "give a constant"),
        ({"damping": "1"}, "give a number"),
        ({"damping": sp.nan}, "finite"),
        ({"occupation": 1}, "without damping"),
        ({"damping": 1, "length": 0}, "length is 0"),
        (3, "give a dictionary"),
    ),
)
def test_open_terms_that_cannot_be_used_are_said(opened, message):
    with pytest.raises(InputError, match=message):
        evolve_wigner(OSCILLATOR, CAT, (0, 1, 2), hbar=HBAR, space=space, dissipation=opened)


def test_open_evolution_does_not_run_backwards():
    with pytest.raises(InputError, match="cannot be undone"):
        evolve_wigner(OSCILLATOR, CAT, (1, 0, 2), hbar=HBAR, space=space, dissipation={"damping": 0.1})
