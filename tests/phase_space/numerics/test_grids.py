"""Grids: what is proposed holds the state, what is given is checked, what is too small or too coarse is reported."""

import numpy as np
import pytest
import sympy as sp
from scipy.signal import resample

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
    evolve_wigner,
)
from qnnsym.phase_space.numerics.grids import LARGEST, SMALLEST, check_grid, enlarged, numeric, propose_grid

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
QUARTIC = p**2 / 2 + x**4 / 4
DOUBLE_WELL = p**2 / 2 + (x**2 - 1) ** 2 / 4
PENDULUM = p**2 / 2 + 1 - sp.cos(x)
MORSE = p**2 / 2 + 2 * (1 - sp.exp(-x)) ** 2
TOLERANCE = 1e-6
COHERENT = GaussianState(a=sp.sqrt(hbar), x0=1)
MIXED = Mixture([("1/3", COHERENT), ("2/3", FockState(1))])

CASES = {
    "quartic": (QUARTIC, COHERENT, 0.1, 2.0, "exact"),
    "quartic, small hbar": (QUARTIC, COHERENT, 0.03, 1.0, "exact"),
    "quartic, large hbar": (QUARTIC, COHERENT, 1.0, 1.0, "exact"),
    "quartic, backwards": (QUARTIC, COHERENT, 0.1, -1.0, "exact"),
    "quartic, cat": (QUARTIC, CatState(a=sp.sqrt(hbar), b=1), 0.1, 1.0, "exact"),
    "quartic, Liouville": (QUARTIC, GaussianState(a=0.5, x0=1, c=0.5), 0.1, 1.0, 0),
    "pendulum, cut": (PENDULUM, GaussianState(a=0.5, x0=1, c=0.5), 0.1, 1.0, 2),
    "double well, Fock": (DOUBLE_WELL, FockState(3), 0.1, 1.5, "exact"),
    "double well, at rest": (DOUBLE_WELL, GaussianState(a=sp.sqrt(hbar)), 0.05, 1.5, "exact"),
    "pendulum, mixture": (PENDULUM, CatMixture(a=sp.sqrt(hbar), b=1.5), 0.1, 2.0, "exact"),
    "morse": (MORSE, COHERENT, 0.1, 1.5, "exact"),
    "free": (p**2 / 2, CoherentState(x0=-1, p0=1), 0.2, 3.0, "exact"),
    "oscillator, squeezed": (p**2 / 2 + x**2 / 2, SqueezedState(r=0.8, x0=1), 0.2, 2.0, "exact"),
    "oscillator, thermal": (p**2 / 2 + x**2 / 2, ThermalState(beta=2, x0=0.5), 0.1, 2.0, "exact"),
    "relativistic": (sp.sqrt(1 + p**2) + x**2 / 2, MIXED, 0.2, 2.0, "exact"),
}  # fmt: skip


def finer(grid):
    axes = []
    for axis in grid:
        count, length = 3 * axis.size // 2, axis.size * (axis[1] - axis[0])
        axes.append(axis[0] + length * np.arange(count) / count)
    return tuple(axes)


def larger(grid):
    axes = []
    for axis in grid:
        extra, step = axis.size // 4, axis[1] - axis[0]
        axes.append(axis[0] + step * np.arange(-extra, axis.size + extra))
    return tuple(axes)


@pytest.mark.parametrize("name", CASES)
def test_a_proposed_grid_holds_the_state(name):
    """Half as many points again, and half as much room again, change W by less than the tolerance."""
    H, state, h, time, order = CASES[name]

    def final(grid):
        return evolve_wigner(H, state, (0, time, 2), hbar=h, space=space, grid=grid, order=order, tolerance=TOLERANCE)

    proposed = final(None)
    w = proposed.final
    assert not proposed.warnings and proposed.provenance["grid"] == "proposed"
    fine, wide = final(finer(proposed.grid)), final(larger(proposed.grid))
    sharper = resample(resample(w, fine.final.shape[0], axis=0), fine.final.shape[1], axis=1)
    assert np.linalg.norm(sharper - fine.final) < 2 * TOLERANCE * np.linalg.norm(fine.final)
    nx, np_ = w.shape
    inside = wide.final[nx // 4 : nx // 4 + nx, np_ // 4 : np_ // 4 + np_]
    assert np.linalg.norm(inside - w) < 2 * TOLERANCE * np.linalg.norm(w)
    outside = np.sqrt(max(0.0, np.linalg.norm(wide.final) ** 2 - np.linalg.norm(inside) ** 2))
    assert outside < TOLERANCE * np.linalg.norm(w)


def axes_for(H, state, h, times=(0.0, 1.0), coherent=False, **options):
    T, U = (H.subs(x, 0) - H.subs({x: 0, p: 0}), H.subs(p, 0))
    return propose_grid(state.extent(space), T, U, space, h, np.array(times), coherent=coherent, **options)


@pytest.mark.parametrize("name", ("quartic", "pendulum, mixture", "morse", "free"))
def test_the_proposal_is_right_nearly_at_once_and_not_wasteful(name):
    H, state, h, time, _ = CASES[name]
    found = evolve_wigner(H, state, (0, time, 2), hbar=h, space=space, tolerance=TOLERANCE)
    # What classical points do not reach, evanescent tails and fringes, may ask for a second grid.
    assert found.statistics["grids"] <= 2
    for grid in (coarse(found.grid, 0.6), narrow(found.grid, 0.6)):
        poor = evolve_wigner(H, state, (0, time, 2), hbar=h, space=space, tolerance=TOLERANCE, grid=grid)
        assert poor.warnings


def coarse(grid, share):
    """The same room with fewer points."""
    axes = []
    for axis in grid:
        count, length = 2 * round(share * axis.size / 2), axis.size * (axis[1] - axis[0])
        axes.append(axis[0] + length * np.arange(count) / count)
    return tuple(axes)


def narrow(grid, share):
    """Points as dense, less room."""
    return tuple(axis[round((1 - share) / 2 * axis.size) : round((1 + share) / 2 * axis.size)] for axis in grid)


def test_sizes_transform_quickly_and_axes_are_uniform():
    for name, (H, state, h, time, _) in CASES.items():
        if "Fock" in name or "relativistic" in name:
            continue
        for axis in axes_for(H, state, h, (0.0, time)):
            n = axis.size
            assert n % 2 == 0 and SMALLEST <= n <= LARGEST, name
            for prime in (2, 3, 5):
                while n % prime == 0:
                    n //= prime
            assert n == 1 and np.ptp(np.diff(axis)) < 1e-12


def test_smaller_tolerances_longer_times_and_smaller_hbar_need_more_points():
    def points(h=0.1, tolerance=1e-6, time=1.0):
        return np.prod([a.size for a in axes_for(QUARTIC, COHERENT, h, (0, time), tolerance=tolerance)])

    assert points(tolerance=1e-10) > points() and points(h=0.02) > points() and points(time=4.0) > points(time=0.2)


def test_only_the_ends_of_the_times_count():
    few, many = (axes_for(MORSE, COHERENT, 0.1, times) for times in ((0, 2.0), (0, 0.1, 0.2, 1.7, 2.0)))
    assert all(np.array_equal(a, b) for a, b in zip(few, many, strict=True))


def test_states_without_coherences_need_fewer_points():
    state = CatMixture(a=0.3, b=3)
    mixed, pure = (axes_for(p**2 / 2 + x**2 / 2, state, 0.1, coherent=c) for c in (False, True))
    assert np.prod([a.size for a in mixed]) < 0.5 * np.prod([a.size for a in pure])


def test_points_that_escape_to_infinity_are_said():
    with pytest.raises(InputError, match=r"escape to infinity.* at t = [0-9.]+ .*Shorten the times"):
        axes_for(p**2 / 2 - x**4, COHERENT, 0.1, (0, 5.0))
    with pytest.raises(InputError, match="escape to infinity"):
        evolve_wigner(p**2 / 2 - x**4, COHERENT, (0, 5, 2), hbar=0.1, space=space)


def test_grids_that_would_be_too_large_are_said():
    with pytest.raises(InputError, match=r"needs \d+ x \d+ points, over 1024 per axis; shorten the times"):
        axes_for(p**2 / 2 - x**2 / 2, COHERENT, 0.1, (0, 6.0))
    with pytest.raises(InputError, match=r"hbar = 0.0001 needs .* over 128"):
        axes_for(QUARTIC, COHERENT, 1e-4, largest=128)


# Grids that are given


def given(x_axis, p_axis, time=1.0):
    return evolve_wigner(QUARTIC, COHERENT, (0, time, 3), hbar=0.1, space=space, grid=(x_axis, p_axis), tolerance=1e-6)


def axis(half, n):
    return half * (2 * np.arange(n) / n - 1)


def test_a_grid_that_is_too_small_or_too_coarse_is_reported():
    good = given(axis(2.4, 96), axis(4.0, 120))
    assert not good.warnings
    assert max(good.diagnostics[n] for n in ("boundary_mass", "edge_k", "edge_theta")) < 1e-6
    small_x, small_p = given(axis(1.5, 64), axis(4.0, 120)), given(axis(2.4, 96), axis(1.2, 48))
    for found, edge in ((small_x, "edge_x"), (small_p, "edge_p")):
        assert found.diagnostics[edge] > 1e-4 and found.diagnostics["boundary_mass"] >= found.diagnostics[edge]
        assert any("reached the edge of the grid" in w for w in found.warnings)
    coarse_x, coarse_p = given(axis(2.4, 40), axis(4.0, 120)), given(axis(2.4, 96), axis(4.0, 48))
    for found, edge in ((coarse_x, "edge_k"), (coarse_p, "edge_theta")):
        assert found.diagnostics[edge] > 1e-5 and found.diagnostics["aliasing"] > found.diagnostics[edge]
        assert any("finer grid" in w for w in found.warnings)


def test_a_state_beside_the_grid_is_reported_as_not_normalised():
    found = given(axis(0.9, 64) + 1.8, axis(4.0, 120), time=0.01)
    assert any("iint W dx dp = 0." in w and "not 1" in w for w in found.warnings)


@pytest.mark.parametrize(
    "bad, sentence",
    (
        ("wide", "array of numbers"),
        (1.0, r"shape \(\)"),
        (np.zeros((8, 8)), r"shape \(8, 8\)"),
        (np.arange(7.0), "7 point"),
        (np.append(np.arange(8.0), np.nan), "NaN"),
        (np.arange(8.0)[::-1], "does not ascend"),
        (np.repeat(np.arange(5.0), 2), "does not ascend"),
        (np.arange(8.0) ** 2, r"not uniform \(its steps lie between 1 and 13\)"),
        (np.array([0, 1, 2, 3, 4, 5, 6, 7.0001]), "endpoint=False"),
    ),
)
@pytest.mark.parametrize("where", (0, 1))
def test_bad_grids_are_said(bad, sentence, where):
    grid = [np.arange(8.0), np.arange(8.0)]
    grid[where] = bad
    with pytest.raises(InputError, match=f"grid in {'xp'[where]} .*{sentence}"):
        check_grid(*grid)


def test_a_good_grid_is_copied():
    mine = np.linspace(-1, 1, 16, endpoint=False)
    found, _ = check_grid(mine, list(range(8)))
    found[0] = 5
    assert mine[0] == -1


@pytest.mark.parametrize(
    "reached, factors",
    (
        ((False, False, False, False), (1, 1, 1, 1)),
        ((True, False, False, False), (1.4, 1, 1, 1)),
        ((False, True, False, False), (1, 1.4, 1, 1)),
        ((False, False, True, True), (1, 1, 1.4, 1.4)),
    ),
)
def test_edges_that_are_reached_move_outwards(reached, factors):
    grid = axis(2.0, 64), axis(3.0, 100)
    found = enlarged(grid, reached)
    for n, (old, new) in enumerate(zip(grid, found, strict=True)):
        room, sharpness = factors[2 * n : 2 * n + 2]
        old_step, new_step = old[1] - old[0], new[1] - new[0]
        assert new_step * new.size == pytest.approx(room * old_step * old.size)
        assert old_step / new_step == pytest.approx(sharpness, rel=0.2) and old_step / new_step >= sharpness - 1e-12
        assert new.mean() + new_step / 2 == pytest.approx(old.mean() + old_step / 2)
    assert enlarged(grid, (True,) * 4, largest=70)[0] is grid[0]


def test_tunnelling_beyond_the_classical_region_enlarges_the_grid():
    """What classical points do not reach is found out by the run itself, which begins again."""
    low = GaussianState(a=sp.sqrt(hbar) / 2, x0=-2)
    wall = p**2 / 2 + 4 * sp.exp(-4 * x**2)
    found = evolve_wigner(wall, low, (0, 1, 3), hbar=0.5, space=space, tolerance=1e-6)
    assert max(found.diagnostics[n] for n in ("edge_x", "edge_k", "edge_p", "edge_theta")) < 1e-6 and not found.warnings


# Expressions on arrays


def test_expressions_become_functions_of_arrays():
    m, n = space.parameters(m=2, n=3)
    f = numeric(m * x**2 + p, (x, p), {m: 2.0, n: 3.0})
    assert np.array_equal(f(np.array([[1.0], [2.0]]), np.array([0.0, 1.0])), [[2.0, 3.0], [8.0, 9.0]])
    constant = numeric(5, (x,), {})
    assert constant(np.zeros((3, 1))).shape == (3, 1) and constant(1.0).dtype == float


def test_singular_expressions_give_what_they_are_without_a_warning():
    assert numeric(1 / x, (x,), {})(np.array([0.0]))[0] == np.inf
    assert np.isnan(numeric(sp.log(x), (x,), {})(np.array([-1.0]))[0])


def test_expressions_that_cannot_be_evaluated_are_said():
    q = sp.Symbol("q")
    with pytest.raises(InputError, match=r"symbol\(s\) q without a value; declare .*parameters\(q=1\)"):
        numeric(q * x, (x,), {})
    with pytest.raises(InputError, match="cannot be evaluated on arrays"):
        numeric(sp.Function("U")(x), (x,), {})(np.array([1.0]))
    with pytest.raises(InputError, match="not real on the grid"):
        numeric(sp.sqrt(x - 5), (x,), {})(np.array([1.0 + 0j]))
