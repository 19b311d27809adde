"""States against brute-force integrals: norm, marginals, purity, smearing, Wigner functions of psi."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CatMixture,
    CatState,
    CoherentState,
    FockState,
    GaussianState,
    Mixture,
    PhaseSpace,
    SqueezedState,
    ThermalState,
    star,
    wigner_function,
)

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
a, b, c = sp.symbols("a b c", positive=True)
HBAR = 0.4

STATES = {
    "gaussian": (GaussianState(0.8, x0=0.5, p0=-1), 1),
    "smeared": (GaussianState(0.8, x0=0.5, c=0.7), None),
    "coherent": (CoherentState(1, 0.5, mass=2, omega=0.7), 1),
    "squeezed": (SqueezedState(0.4, x0=-0.3, p0=0.2), 1),
    "cat": (CatState(0.6, 1.1, x0=0.2), 1),
    "smeared cat": (CatState(0.6, 1.1, x0=0.2, c=0.3), None),
    "mixture of two": (CatMixture(0.6, 1.1, x0=0.2), None),
    "thermal": (ThermalState(1.5, x0=0.2, mass=1.3, omega=0.8), None),
    "fock": (FockState(3, x0=0.1, p0=0.2, mass=1.2), 1),
    "mixture": (Mixture([(0.25, FockState(1)), (0.75, CoherentState(1, 1))]), None),
}
X, P = np.linspace(-7, 7, 401), np.linspace(-7, 7, 401)


def on_grid(expression):
    values = sp.lambdify((x, p), expression.subs(hbar, HBAR), "numpy")(X[:, None], P[None, :])
    return np.broadcast_to(values, (X.size, P.size))


def integral(values):
    # The trapezoidal rule converges exponentially for functions that decay inside the grid.
    return values.sum() * (X[1] - X[0]) * (P[1] - P[0])


@pytest.mark.parametrize("name", STATES)
def test_normalisation_and_purity(name):
    state, purity = STATES[name]
    W = on_grid(state.wigner(space))
    assert integral(W) == pytest.approx(1, abs=1e-10)
    found = 2 * np.pi * HBAR * integral(W**2)
    assert found == pytest.approx(purity, abs=1e-10) if purity else found < 0.999
    assert sp.simplify(state.symbol(space) - 2 * sp.pi * hbar * state.wigner(space)) == 0


@pytest.mark.parametrize("name", STATES)
def test_extent_covers_the_state(name):
    state, _ = STATES[name]
    W = np.abs(on_grid(state.wigner(space)))
    inside = np.zeros_like(W, dtype=bool)
    boxes = [[float(sp.sympify(v).subs(hbar, HBAR)) for v in piece] for piece in state.extent(space)]
    low = min(cx - 4 * wx for cx, wx, _, _ in boxes), min(cp - 4 * wp for _, _, cp, wp in boxes)
    high = max(cx + 4 * wx for cx, wx, _, _ in boxes), max(cp + 4 * wp for _, _, cp, wp in boxes)
    inside[np.ix_((low[0] <= X) & (high[0] >= X), (low[1] <= P) & (high[1] >= P))] = True
    assert W[~inside].max(initial=0) < 1e-5 * W.max()


def brute_force(psi, at_x, at_p):
    """(1/h) int e^{-ipy/hbar} psi(x + y/2) psi*(x - y/2) dy by mpmath."""

    def integrand(y):
        return mpmath.exp(-1j * at_p * y / HBAR) * psi(at_x + y / 2) * mpmath.conj(psi(at_x - y / 2))

    return mpmath.quad(integrand, [-14, -6, -2, 0, 2, 6, 14]) / (2 * mpmath.pi * HBAR)


def wave(kind):
    """Wave functions written down independently of the states."""
    mp = mpmath

    def packet(q, width, centre, momentum):
        return (mp.pi * width**2) ** -0.25 * mp.exp(
            -((q - centre) ** 2) / (2 * width**2) + 1j * momentum * q / HBAR
        )

    if kind == "gaussian":
        return lambda q: packet(q, 0.8, 0.5, -1)
    if kind == "coherent":
        return lambda q: packet(q, mp.sqrt(HBAR / (2 * 0.7)), 1, 0.5)
    if kind == "squeezed":
        return lambda q: packet(q, mp.sqrt(HBAR) * mp.exp(-0.4), -0.3, 0.2)
    if kind == "cat":
        norm = 1 / mp.sqrt(2 * (1 + mp.exp(-(1.1**2) / 0.6**2)))
        return lambda q: norm * (packet(q, 0.6, 1.3, 0) + packet(q, 0.6, -0.9, 0))
    scale = mp.sqrt(1.2 / HBAR)

    def fock(q):
        u = scale * (q - 0.1)
        return (
            mp.sqrt(scale / (48 * mp.sqrt(mp.pi)))
            * mp.hermite(3, u)
            * mp.exp(-u * u / 2 + 1j * 0.2 * q / HBAR)
        )

    return fock


@pytest.mark.parametrize("kind", ["gaussian", "coherent", "squeezed", "cat", "fock"])
def test_against_the_definition(kind):
    W = sp.lambdify((x, p), STATES[kind][0].wigner(space).subs(hbar, sp.Rational("0.4")), "mpmath")
    for at_x, at_p in ((0.3, 0.1), (-0.5, 0.7)):
        assert abs(W(at_x, at_p) - brute_force(wave(kind), at_x, at_p)) < 1e-10


@pytest.mark.parametrize(
    ("smeared", "pure"),
    [
        (GaussianState(a, x0=1, p0=2, c=c), GaussianState(a, x0=1, p0=2)),
        (CatState(a, b, c=c), CatState(a, b)),
    ],
)
def test_smearing_is_the_convolution(smeared, pure):
    """W = int W_0(x, p - p0) exp(-p0^2/c^2)/(c sqrt(pi)) dp0."""
    numbers = {a: 0.6, b: 1.1, c: 0.45, hbar: HBAR}
    W0 = sp.lambdify((x, p), pure.wigner(space).subs(numbers), "mpmath")
    W = sp.lambdify((x, p), smeared.wigner(space).subs(numbers), "mpmath")
    for at_x, at_p in ((0.0, 0.0), (0.4, 0.35), (1.0, -0.6)):
        direct = mpmath.quad(
            lambda q, u=at_x, v=at_p: (
                W0(u, v - q) * mpmath.exp(-((q / 0.45) ** 2)) / (0.45 * mpmath.sqrt(mpmath.pi))
            ),
            [-4, -1, 0, 1, 4],
        )
        assert abs(W(at_x, at_p) - direct) < 1e-12


def test_smeared_fringe_survives_the_classical_limit():
    """At fixed a, c the fringe at x = x0 keeps the amplitude 2 exp(-b^2/a^2) relative to a component."""
    W = CatState(a, b, c=c).wigner(space)
    middle = W.subs({x: 0, p: 0})
    component = CatMixture(a, b, c=c).wigner(space).subs({x: 0, p: 0})
    ratio = sp.limit(sp.simplify(middle / component * (1 + sp.exp(-(b**2) / a**2)) - 1), hbar, 0)
    assert sp.simplify(ratio - 1) == 0


def test_gaussian_width_in_momentum():
    W = GaussianState(a, c=c).wigner(space)
    assert sp.simplify(sp.log(W / W.subs(p, 0)) + p**2 / (c**2 + hbar**2 / a**2)) == 0


def test_marginals_of_the_cat():
    """int W dp = |psi|^2, with the interference term."""
    W = CatState(a, b).wigner(space)
    psi = sp.exp(-((x - b) ** 2) / (2 * a**2)) + sp.exp(-((x + b) ** 2) / (2 * a**2))
    density = psi**2 / (sp.sqrt(sp.pi) * a * 2 * (1 + sp.exp(-(b**2) / a**2)))
    point = {a: 0.6, b: 0.8, hbar: HBAR}
    for at in (0.0, 0.2, -0.9):
        marginal = sp.lambdify(p, W.subs({**point, x: at}), "numpy")(P).sum() * (P[1] - P[0])
        assert marginal == pytest.approx(float(density.subs({**point, x: at})), abs=1e-12)


def test_fock_states_are_star_eigenfunctions():
    mass, omega = sp.symbols("m omega", positive=True)
    H = p**2 / (2 * mass) + mass * omega**2 * x**2 / 2
    for n in (0, 1, 4):
        W = FockState(n, mass=mass, omega=omega).wigner(space)
        assert sp.simplify(star(H, W, space) - hbar * omega * (n + sp.Rational(1, 2)) * W) == 0


def test_thermal_state_is_the_boltzmann_mixture_of_fock_states():
    beta = sp.Rational(3)
    W = ThermalState(beta).wigner(space).subs(hbar, 1)
    weights = [sp.exp(-beta * n) * (1 - sp.exp(-beta)) for n in range(12)]
    total = sum(w * FockState(n).wigner(space).subs(hbar, 1) for n, w in enumerate(weights))
    at = {x: sp.Rational(1, 3), p: sp.Rational(-1, 2)}
    assert abs((W - total).subs(at).evalf(30)) < 1e-14


def test_two_degrees_of_freedom():
    plane = PhaseSpace("x y", "px py")
    product = GaussianState((a, b), x0=(1, 0), p0=(0, 2)).wigner(plane)
    first = GaussianState(a, x0=1).wigner(space).subs({x: plane.x[0], p: plane.p[0]}, simultaneous=True)
    second = GaussianState(b, p0=2).wigner(space).subs({x: plane.x[1], p: plane.p[1]}, simultaneous=True)
    assert sp.simplify(product - first * second) == 0
    assert len(GaussianState(1).extent(plane)[0][0]) == 2
    # The cat's fringe couples the two momenta: cos(2 b.p/hbar).
    cat = CatState(1, (b, c)).wigner(plane).subs(dict.fromkeys(plane.x, 0))
    overlap = sp.exp(-(b**2) - c**2)
    fringe = (
        cat * (1 + overlap) * (sp.pi * plane.hbar) ** 2 * sp.exp(sum(q**2 for q in plane.p) / plane.hbar**2)
        - overlap
    )
    expected = sp.cos(2 * (b * plane.p[0] + c * plane.p[1]) / plane.hbar)
    point = {b: 0.3, c: 0.5, plane.p[0]: 0.2, plane.p[1]: -0.7, plane.hbar: 0.4}
    assert abs((fringe - expected).subs(point).evalf()) < 1e-12


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianState(0),
        lambda: GaussianState(-1),
        lambda: GaussianState(1, c=-1),
        lambda: GaussianState(sp.I),
        lambda: GaussianState(float("nan")),
        lambda: GaussianState("wide"),
        lambda: CoherentState(0, 0, omega=-1),
        lambda: CatState(0, 1),
        lambda: ThermalState(0),
        lambda: FockState(-1),
        lambda: FockState(0.5),
        lambda: GaussianState(()),
        lambda: Mixture([]),
        lambda: Mixture([(0.5, FockState(0))]),
        lambda: Mixture([(1, "state")]),
        lambda: Mixture([(-0.5, FockState(0)), (1.5, FockState(1))]),
        lambda: GaussianState((1, 2)).wigner(space),
        lambda: GaussianState(space.X[0]),
        lambda: SqueezedState(sp.oo),
        lambda: Mixture([FockState(0)]),
    ],
)
def test_refusals(make):
    with pytest.raises(InputError):
        make()


def test_weights_may_be_decimal_thirds_or_symbolic():
    third = 1 / 3
    mixture = Mixture([(third, FockState(n)) for n in range(3)])
    assert sum(mixture.weights) == 1
    weight = sp.Symbol("w", positive=True)
    assert Mixture([(weight, FockState(0)), (1 - weight, FockState(1))]).wigner(space).has(weight)


@pytest.mark.parametrize(
    ("psi", "state"),
    [
        (sp.exp(-((x - 1) ** 2) / (2 * a**2) + 2 * sp.I * x / hbar), GaussianState(a, x0=1, p0=2)),
        (sp.exp(-((x - b) ** 2) / (2 * a**2)) + sp.exp(-((x + b) ** 2) / (2 * a**2)), CatState(a, b)),
        ((2 * x**2 / hbar - 1) * sp.exp(-(x**2) / (2 * hbar)), FockState(2)),
    ],
    ids=str,
)
def test_wigner_functions_of_wave_functions(psi, state):
    assert sp.simplify(wigner_function(psi, space) - state.wigner(space)) == 0


def test_wigner_function_of_a_chirped_superposition():
    psi = sp.exp(-(1 + sp.I) * x**2) + x * sp.exp(-(x**2))
    W = sp.lambdify((x, p), wigner_function(psi, space).subs(hbar, sp.Rational(2, 5)), "mpmath")
    wave_function = sp.lambdify(x, psi, "mpmath")
    norm = mpmath.quad(lambda q: abs(wave_function(q)) ** 2, [-8, 0, 8])
    for at in ((0.3, 0.1), (-0.5, 0.7)):
        assert abs(W(*at) - brute_force(wave_function, *at) / norm) < 1e-10


@pytest.mark.parametrize(
    "psi", [sp.exp(-(x**4)), sp.exp(x**2), sp.sin(x), x, 0, sp.exp(-(x**2)) * p, "psi", sp.exp(-abs(x))]
)
def test_other_wave_functions_are_refused(psi):
    with pytest.raises(InputError):
        wigner_function(psi, space)
