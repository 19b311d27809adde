"""Evolution of W on a grid: flows known in closed form, independent routes, conservation, and refusals in sentences."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym import Model
from qnnsym.checks.orders import fit_order
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError
from qnnsym.phase_space import (
    CatMixture,
    CatState,
    FockState,
    GaussianState,
    Mixture,
    PhaseSpace,
    ThermalState,
    evolve_wigner,
    moyal_equation,
    observables,
)
from qnnsym.phase_space.fields import field_equations
from qnnsym.phase_space.numerics import OPTIONS, solve_model
from qnnsym.phase_space.oracle import schroedinger_wigner
from qnnsym.solvers.compositions import COMPOSITIONS
from qnnsym.solvers.solution import Solution, Status

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
QUARTIC = p**2 / 2 + x**4 / 4
PACKET = GaussianState(a=sp.sqrt(hbar), x0=1)


def axis(half, n, middle=0.0):
    return middle + half * (2 * np.arange(n) / n - 1)


GRID = axis(2.6, 96), axis(4.2, 120)


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def evolved(H=QUARTIC, W0=PACKET, times=(0, 0.6, 2), hbar=0.1, space=space, **options):
    return evolve_wigner(H, W0, times, hbar=hbar, space=space, **options)


def on_points(state, at_x, at_p, h):
    expression = state.wigner(space) if hasattr(state, "wigner") else state
    return sp.lambdify((x, p), expression.subs(hbar, h), ["scipy", "numpy"])(at_x, at_p)


# Flows in closed form

STATES = {
    "coherent": GaussianState(a=sp.sqrt(hbar), x0=1, p0="-1/2"),
    "smeared": GaussianState(a=0.4, x0=0.5, c=0.5),
    "cat": CatState(a=0.4, b=0.8, x0=0.2),
    "mixture of cats": CatMixture(a=0.4, b=0.8),
    "Fock": FockState(3, x0=0.3),
    "thermal": ThermalState(beta=3, x0=0.4),
    "mixture": Mixture([("1/4", FockState(2)), ("3/4", GaussianState(a=0.5, x0=-0.5))]),
}


@pytest.mark.parametrize("name", STATES)
def test_the_harmonic_oscillator_rotates_every_state_rigidly(name):
    mass, omega, h = 1.25, 0.8, 0.2
    found = evolved(p**2 / (2 * mass) + mass * omega**2 * x**2 / 2, STATES[name], [0, 0.7, 3.0], h, tolerance=1e-9)
    X, P = found.grid[0][:, None], found.grid[1][None, :]
    for t, w in zip(found.times, found.states, strict=True):
        c, s = np.cos(omega * t), np.sin(omega * t)
        exact = on_points(STATES[name], X * c - P * s / (mass * omega), P * c + X * s * mass * omega, h)
        assert relative(w, exact) < 1e-9
    assert found.success and not found.warnings


@pytest.mark.parametrize("times", ([0, 1.0], [2.0, 0.5]))
def test_a_free_particle_is_sheared(times):
    found = evolved(p**2 / 3, STATES["cat"], times, 0.2, tolerance=1e-9)
    X, P = found.grid[0][:, None], found.grid[1][None, :]
    t = times[1] - times[0]
    assert relative(found.final, on_points(STATES["cat"], X - 2 * P * t / 3, P, 0.2)) < 1e-9


def test_in_a_uniform_field_every_state_falls_as_a_whole():
    found = evolved(p**2 / 2 + x, STATES["Fock"], (0, 1, 2), 0.2, tolerance=1e-9)
    X, P = found.grid[0][:, None], found.grid[1][None, :]
    assert relative(found.final, on_points(STATES["Fock"], X - (P + 1) + 0.5, P + 1, 0.2)) < 1e-9


def test_a_stationary_state_stays():
    found = evolved(p**2 / 2 + x**2 / 2, FockState(12), (0, 2, 2), 0.1, tolerance=1e-9)
    assert relative(found.final, found.states[0]) < 1e-9
    assert found.expect["negativity"][0] > 0.5 and found.expect["energy"] == pytest.approx(0.1 * 12.5, rel=1e-8)


# Independent routes


@pytest.mark.parametrize("name, times", (("coherent", [0, 0.3, 0.7]), ("cat", [0.7, 0.0]), ("mixture", [0, 0.7])))
def test_a_quartic_oscillator_obeys_schroedingers_equation(name, times):
    found = evolved(QUARTIC, STATES[name], times, 0.2, tolerance=1e-8)
    since = np.array(times[1:]) - times[0]
    oracle = schroedinger_wigner(QUARTIC, STATES[name], since, hbar=0.2, space=space, grid=found.grid, tolerance=1e-9)
    assert oracle.error < 1e-9
    for w, exact in zip(found.states[1:], oracle.states, strict=True):
        assert relative(w, exact) < 2e-8


@pytest.mark.parametrize("H", (p**2 / 2 + 1 - sp.cos(x), sp.sqrt(1 + p**2) + x**4 / 4), ids=str)
def test_the_classical_evolution_follows_the_characteristics(H):
    """W(z, t) = W0(flow_{-t} z), at random points of the grid, by SciPy's integrator."""
    state, t = GaussianState(a=0.5, x0=0.8, c=0.4), 0.8
    found = evolved(H, state, (0, t, 2), 0.1, order=0, tolerance=1e-7)
    velocity, force = sp.lambdify(p, sp.diff(H, p)), sp.lambdify(x, -sp.diff(H, x))
    most = np.argwhere(found.final > 1e-3 * found.final.max())
    at = tuple(np.random.default_rng(4).choice(most, 300).T)
    start = np.concatenate([a[n] for a, n in zip(found.grid, at, strict=True)])

    def back(_, z):
        return np.concatenate([velocity(z[300:]), force(z[:300]) + 0 * z[:300]])

    end = solve_ivp(back, (t, 0), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    exact = on_points(state, end[:300], end[300:], 0.1)
    assert np.abs(found.final[at] - exact).max() < 3e-7 * found.final.max()
    quantum = evolved(H, state, (0, t, 2), 0.1, grid=found.grid, tolerance=1e-6)
    assert relative(quantum.final, found.final) > 1e-4


def test_the_series_ends_where_it_ends():
    sextic = p**2 / 2 + x**6 / 6
    for H, last in ((QUARTIC, 2), (sextic, 4)):
        exact = evolved(H, grid=GRID, method="strang", step=0.02)
        assert relative(evolved(H, grid=GRID, method="strang", step=0.02, order=last).final, exact.final) < 1e-13
        cut = evolved(H, grid=GRID, method="strang", step=0.02, order=last - 2)
        assert relative(cut.final, exact.final) > 1e-4 and cut.provenance["order"] == last - 2
        assert exact.provenance["order"] == "exact"
    assert relative(evolved(order=None, grid=GRID, step=0.1).final, evolved(grid=GRID, step=0.1).final) == 0


def test_backwards_undoes_forwards():
    there = evolved(times=(0, 0.6, 2), grid=GRID, tolerance=1e-9)
    back = evolved(W0=there.final, times=(0.6, 0, 2), grid=GRID, tolerance=1e-9)
    assert relative(back.final, there.states[0]) < 2e-9


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_every_composition_has_its_order(name):
    H = p**2 / 2 + 1 - sp.cos(x)
    grid = axis(2.6, 72), axis(2.6, 72)
    counts = {2: [16, 24, 32, 48], 4: [8, 12, 16, 20], 6: [4, 6, 8, 10]}[COMPOSITIONS[name].order]

    def final(method, count):
        return evolved(H, times=(0, 1, 2), grid=grid, method=method, step=1 / count, tolerance=0.1).final

    reference = final("blanes_moan6", 40)
    errors = [relative(final(name, n), reference) for n in counts]
    assert fit_order(1 / np.array(counts), errors).slope == pytest.approx(COMPOSITIONS[name].order, abs=0.15)


# What is measured


@pytest.fixture(scope="module")
def quartic():
    e_ops = {"position": x, "xp": x * p, "n": observables.negativity, "size": hbar * x**2}
    return evolved(times=(0, 2, 9), e_ops=e_ops, tolerance=1e-8)


def test_ehrenfests_theorem(quartic):
    """d<x p>/dt = <p^2> - <x U'> = 2 <T> - 4 <U> = 6 <T> - 4 E, by the eighth-order difference of the record."""
    found = evolved(times=(0, 0.08, 9), e_ops={"xp": x * p, "T": p**2 / 2}, grid=GRID, tolerance=1e-9)
    weights = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
    slope = weights @ found.expect["xp"] / 0.01
    assert slope == pytest.approx(6 * found.expect["T"][4] - 4 * found.expect["energy"][4], abs=1e-6)
    assert quartic.expect["position"][0] == pytest.approx(1, abs=1e-9)
    assert quartic.expect["size"][0] == pytest.approx(0.1 * (1 + 0.1 / 2), abs=1e-9)


def test_what_is_conserved_and_what_grows(quartic):
    assert list(quartic.expect)[:3] == ["norm", "purity", "negativity"] and "energy" in quartic.expect
    for name in ("norm", "purity", "energy"):
        assert np.ptp(quartic.expect[name]) < 1e-8
    assert quartic.expect["energy"][0] == pytest.approx(0.1 / 4 + (1 + 6 * 0.05 + 3 * 0.05**2) / 4, abs=1e-8)
    assert quartic.expect["purity"] == pytest.approx(1, abs=1e-8)
    assert quartic.expect["negativity"][0] < 1e-9 and quartic.expect["negativity"][-1] > 0.02
    assert np.array_equal(quartic.expect["n"], quartic.expect["negativity"])
    assert quartic.diagnostics["energy_drift"] == np.abs(quartic.expect["energy"] - quartic.expect["energy"][0]).max()


def test_the_purity_of_a_mixture_is_kept():
    found = evolved(W0=CatMixture(a=0.3, b=1.2), times=(0, 0.5, 3))
    assert found.expect["purity"] == pytest.approx((1 + np.exp(-2 * 1.2**2 / 0.3**2)) / 2, abs=1e-7)
    assert np.ptp(found.expect["purity"]) < 1e-10


def test_energy_and_purity_are_kept_at_every_truncation():
    for order in (0, 2):
        found = evolved(p**2 / 2 + x**6 / 20, GaussianState(a=0.5, x0=0.5, c=0.5), (0, 0.7, 3), order=order)
        assert found.diagnostics["energy_drift"] < 1e-7 and np.ptp(found.expect["purity"]) < 1e-9


def test_the_provenance_says_how_it_was_found(quartic):
    record = quartic.provenance
    assert record["hamiltonian"] == str(QUARTIC) and record["hbar"] == 0.1 and record["tolerance"] == 1e-8
    assert record["order"] == "exact" and record["grid"] == "proposed" and record["parameters"] == {}
    assert record["state"] == repr(PACKET) and record["method"] in COMPOSITIONS
    assert quartic.success and quartic.states.shape == (9, *(a.size for a in quartic.grid))
    assert quartic.diagnostics["estimated_error"] < 1e-8


def test_observables_in_a_list_are_named_as_they_print():
    found = evolved(times=(0, 0.1, 2), grid=GRID, step=0.1, e_ops=[x**2, observables.purity, p / 2])
    assert {"x**2", "purity", "p/2"} <= set(found.expect)


def test_expressions_and_arrays_are_states_too():
    options = {"grid": GRID, "method": "strang", "step": 0.05}
    by_state = evolved(**options)
    by_expression = evolved(W0=PACKET.wigner(space), **options)
    X, P = GRID[0][:, None], GRID[1][None, :]
    array = np.exp(-((X - 1) ** 2) / 0.1 - P**2 / 0.1) / (np.pi * 0.1)
    by_array = evolved(W0=array, **options)
    assert relative(by_expression.final, by_state.final) < 1e-13 and relative(by_array.final, by_state.final) < 1e-13
    assert by_array.provenance["state"] == "array" and by_array.provenance["grid"] == "given"
    assert np.array_equal(by_array.grid[0], GRID[0])


def test_parameters_have_defaults_and_values():
    over = PhaseSpace("x", "p")
    m, g = over.parameters(m=2, g="1/4")
    H = p**2 / (2 * m) + g * x**4 + sp.Symbol("k", real=True) * x**2
    options = {"grid": GRID, "method": "strang", "step": 0.05}
    by_values = evolved(H, space=over, values={"k": 0.5, m: 1, "g": sp.Rational(1, 4)}, **options)
    by_hand = evolved(p**2 / 2 + x**4 / 4 + x**2 / 2, **options)
    assert relative(by_values.final, by_hand.final) < 1e-13
    assert by_values.provenance["parameters"] == {"m": 1.0, "g": 0.25}
    by_defaults = evolved(H, space=over, values={"k": 0}, **options)
    assert relative(by_defaults.final, evolved(p**2 / 4 + x**4 / 4, **options).final) < 1e-13


def test_states_are_left_out_when_not_wanted(tmp_path):
    found = evolved(times=(0, 0.2, 3), grid=GRID, store_states=False)
    assert found.states is None and len(found.expect["purity"]) == 3
    again = Solution.load(found.save(tmp_path / "a.nc"))
    assert again.states is None and np.array_equal(again.grid[1], GRID[1])


def test_an_interruption_keeps_the_grid_and_what_was_reached(monkeypatch):
    def update(bar, fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    monkeypatch.setattr("qnnsym.solvers.split_operator.Progress.update", update)
    found = evolved(times=(0, 1, 11), method="strang", step=0.05)
    assert found.status is Status.INTERRUPTED and 3 < len(found.times) == len(found.states) < 11
    assert len(found.expect["energy"]) == len(found.times)


# Refusals

plane = PhaseSpace("x y", "px py")
FINE = {"H": QUARTIC, "W0": PACKET, "times": (0, 1, 3), "hbar": 0.1, "space": space}
ARRAY = np.ones((GRID[0].size, GRID[1].size))


@pytest.mark.parametrize(
    "change, sentence",
    (
        ({"H": QUARTIC + sp.Symbol("kappa") * x}, r"unknown symbol\(s\) kappa; declare"),
        ({"H": QUARTIC + sp.Symbol("x")}, "named like symbols"),
        ({"H": QUARTIC + sp.I * x}, "not real"),
        ({"H": "p**2/2"}, "give a SymPy expression"),
        ({"H": space.P[0] ** 2}, "holds operators.*weyl_symbol"),
        ({"H": x * sp.sin(p)}, r"mixes x and p and is no polynomial.*give order=2"),
        ({"H": plane.p[0] ** 2, "space": plane, "grid": GRID}, "not a tuple of 4 arrays"),
        ({"H": p**2 / 2 + sp.Function("U")(x)}, "cannot be evaluated|no numerical form|not known|undefined"),
        ({"space": "x p"}, "no phase space"),
        ({"hbar": 0}, "hbar is 0; give a positive number"),
        ({"hbar": -0.1}, "hbar is -0.1"),
        ({"hbar": np.nan}, "hbar is nan"),
        ({"hbar": "small"}, "hbar is 'small'"),
        ({"hbar": hbar}, "hbar is hbar"),
        ({"order": 1}, 'order=1 is no order in hbar; give "exact" or an even number'),
        ({"order": -2}, "order=-2"),
        ({"order": "exactly"}, "order='exactly'"),
        ({"order": True}, "order=True"),
        ({"order": 2.0}, "order=2.0"),
        ({"tolerance": 0}, "tolerance is 0; give a number between 0 and 1"),
        ({"tolerance": "1e-8"}, "tolerance is '1e-8'"),
        ({"tolerance": np.nan}, "tolerance is nan"),
        ({"method": "euler"}, "use one of strang"),
        ({"step": -0.1}, "step is -0.1"),
        ({"times": (0, 1)[:1]}, "at least two"),
        ({"times": (0, 1, 1)}, "no range"),
        ({"W0": ARRAY}, "proposed for a state object only"),
        ({"W0": PACKET.wigner(space)}, "proposed for a state object only"),
        ({"W0": ARRAY * np.nan, "grid": GRID}, "NaN or infinite"),
        ({"W0": ARRAY[1:], "grid": GRID}, r"shape \(95, 120\); it needs \(96, 120\)"),
        ({"W0": "cat", "grid": GRID}, "no array of numbers"),
        ({"W0": 0 * ARRAY, "grid": GRID}, "zero on the whole grid"),
        ({"W0": sp.exp(-(sp.Symbol("q") ** 2)), "grid": GRID}, r"symbol\(s\) q without a value"),
        ({"W0": 1 / (x - GRID[0][3]) + 0 * p, "grid": GRID}, "NaN or infinite"),
        ({"grid": GRID[0]}, "not a pair"),
        ({"grid": (GRID[0],)}, "not a pair"),
        ({"grid": (GRID[0] ** 3, GRID[1])}, "not uniform"),
        ({"grid": (GRID[0][::-1], GRID[1])}, "does not ascend"),
        ({"grid": (GRID[0], GRID[1][:4])}, "4 point"),
        ({"values": {"m": 1}}, "values names m, which is no parameter of H"),
        ({"values": {"x": 1}}, "values names x"),
        ({"values": {"hbar": 1}}, "values names hbar"),
        ({"e_ops": "x"}, "observables are 'x'"),
        ({"e_ops": {"a": "x"}}, "observable a is 'x'"),
        ({"e_ops": {"a": space.X[0] * space.P[0]}, "grid": GRID}, "holds operators"),
        ({"e_ops": {"a": sp.Symbol("q")}, "grid": GRID}, "q without a value"),
        ({"e_ops": {"energy": x**2}}, r"name energy is taken by observables\.energy"),
        ({"e_ops": {"a": 1 / (x - GRID[0][3])}, "grid": GRID}, "observable a = .* not finite on the grid"),
    ),
    # What SymPy prints depends on the order in which symbols were made; all workers have to agree on the names.
    ids=lambda v: v[:40] if isinstance(v, str) else "",
)
def test_what_cannot_be_used_is_said(change, sentence):
    arguments = {**FINE, **change}
    with pytest.raises(InputError, match=sentence):
        evolve_wigner(arguments.pop("H"), arguments.pop("W0"), arguments.pop("times"), **arguments)


@pytest.mark.parametrize(
    "value, sentence", ((-1, "declared positive"), (np.nan, "finite"), ("a", "number"), (np.inf, "finite"))
)
def test_values_that_no_parameter_can_have_are_said(value, sentence):
    over = PhaseSpace("x", "p")
    (m,) = over.parameters(m=1)
    with pytest.raises(InputError, match=f"parameter m .*{sentence}"):
        evolved(p**2 / (2 * m) + x**2, space=over, values={"m": value})


def test_a_singular_potential_is_said():
    for U in (1 / x, sp.sqrt(x), sp.log(x)):
        with pytest.raises(InputError, match=r"H = .* is not finite on the grid, at \(x, p\) = .*: it is singular"):
            evolved(p**2 / 2 + U, GaussianState(a=sp.sqrt(hbar)), grid=GRID)
    over = PhaseSpace("x", "p")
    (m,) = over.parameters(m=0)
    with pytest.raises(InputError, match=r"H = .*/\(2\*m\) is not finite"):
        evolved(p**2 / (2 * m) + x**2, space=over, grid=GRID)


# Models with generated kernels


class Kernels(dict):
    """The kernels of a model in NumPy text, called as compiled ones are."""

    signature = "abc"

    def __init__(self, equations, parameters):
        self.parameters = parameters
        for name, one in equations.items():
            self[name] = self._in_place(numpy_function(lower(one)))

    @staticmethod
    def _in_place(function):
        def kernel(t, state, ext, par, dims, work, rates):
            rates[:] = np.ravel(function(t, state, ext, par, dims))

        return kernel


def model(**changes):
    over = PhaseSpace("x", "p")
    m, g = over.parameters(m=1, g=1)
    arguments = {
        "hbar": 0.1, "state": PACKET, "times": (0, 0.3, 3), "observe": [x, observables.purity],
        "options": {"grid": GRID, "method": "strang", "step": 0.05}, **changes,
    }  # fmt: skip
    return Model("quartic", p**2 / (2 * m) + g * x**4 / 4, space=over, **arguments)


def kernels_of(one):
    equations = field_equations(moyal_equation(one.hamiltonian, one.space))
    return Kernels(equations, ("hbar", *(s.name for s in one.space.defaults)))


@pytest.mark.parametrize("order", ("exact", 0, 2))
def test_the_kernels_of_a_model_find_what_the_expressions_find(order):
    one = model(values={"m": 1.5, "g": 0.8})
    found = solve_model(one, kernels_of(one), order=order)
    direct = evolve_wigner(
        p**2 / 3 + sp.Rational(1, 5) * x**4, PACKET, one.times, hbar=0.1, space=space, order=order, **one.options
    )
    assert relative(found.final, direct.final) < 1e-13
    assert found.provenance["model"] == "quartic" and found.provenance["signature"] == "abc"
    assert found.provenance["parameters"] == {"m": 1.5, "g": 0.8} and {"x", "purity"} <= set(found.expect)


def test_options_of_the_call_come_before_those_of_the_model():
    one = model()
    found = solve_model(one, kernels_of(one), step=0.1, e_ops={"x4": x**4}, store_states=False)
    assert found.provenance["longest_step"] <= 0.1 and found.statistics["steps"] < 6 and found.states is None
    assert {"x", "purity", "x4"} <= set(found.expect)


@pytest.mark.parametrize(
    "changes, options, sentence",
    (
        ({"options": {"gird": GRID}}, {}, r"option\(s\) gird of the model quartic are not known; use grid"),
        ({}, {"speed": 3}, r"option\(s\) speed"),
        ({"state": None}, {}, "no state or no times"),
        ({"times": None}, {}, "no state or no times"),
        ({}, {"order": 4}, "lack kinetic_4, potential_4; generated are kinetic, kinetic_0"),
        ({"values": {"mass": 2}}, {}, "values names mass"),
    ),
)
def test_models_that_cannot_be_solved_are_told_why(changes, options, sentence):
    one = model(**changes)
    with pytest.raises(InputError, match=sentence):
        solve_model(one, kernels_of(one), **options)
    assert "grid" in OPTIONS and "speed" not in OPTIONS


def test_kernels_of_another_model_are_refused():
    one = model()
    kernels = kernels_of(one)
    kernels.parameters = ("hbar", "m")
    with pytest.raises(
        InputError, match=r"take the parameters m and its space declares m, g; .*qnnsym generate quartic"
    ):
        solve_model(one, kernels)
