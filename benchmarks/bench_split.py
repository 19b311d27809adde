"""Split-operator steps of a Wigner function: what a step costs beside its transforms, and what a higher order gains."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft

from benchmarks.measure import ROOT, Row, interleaved
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.phase_space import PhaseSpace, evolve_wigner, moyal_equation
from qnnsym.phase_space.fields import field_equations, field_name
from qnnsym.pipeline import load
from qnnsym.solvers.compositions import COMPOSITIONS, STRANG, Composition
from qnnsym.solvers.split_flows import Field, SplitPropagator
from qnnsym.workspace import Workspace

TITLE = "Split steps, one thread"
POINTS, HBAR, STEP = 512, 0.5, 0.01
STEPS, TURNS = 10, 15
MODEL, WANTED, END, RUNS = "quartic_oscillator", 1e-8, 1.0, 3

Grid = tuple[np.ndarray, np.ndarray]


def fields(hamiltonian, space: PhaseSpace, hbar: float, order: int | None) -> tuple[Field, Field]:
    """K(p, k) and V(x, theta) of a Hamiltonian whose parameters have their defaults."""
    par = np.array([hbar, *map(float, space.defaults.values())])
    functions = {}
    for name, equations in field_equations(moyal_equation(hamiltonian, space), (order,)).items():
        functions[name] = numpy_function(lower(equations))
    kinetic, potential = (functions[field_name(factor, order)] for factor in ("kinetic", "potential"))

    def on_axes(function, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        axes, dims = np.concatenate([first.ravel(), second.ravel()]), (first.size, second.size)
        return function(0.0, axes, [], par, dims).reshape(dims)

    return lambda p, k: on_axes(kinetic, k, p), lambda x, theta: on_axes(potential, x, theta)


def transforms(w: np.ndarray) -> np.ndarray:
    """The four transforms of a step, as anyone calls them."""
    w = fft.irfft(fft.rfft(w, axis=1), w.shape[1], axis=1, overwrite_x=True)
    return fft.irfft(fft.rfft(w, axis=0), w.shape[0], axis=0, overwrite_x=True)


def written_out(w: np.ndarray, grid: Grid, kinetic: Field, potential: Field, h: float) -> np.ndarray:
    """One Strang step by complex transforms of the whole grid, from the definition of its factors."""
    (x, p), out = grid, w.astype(complex)
    k, theta = (2 * np.pi * fft.fftfreq(axis.size, axis[1] - axis[0]) for axis in grid)
    # The highest mode stands for both signs of the wave number; its mean factor is one.
    k[x.size // 2] = theta[p.size // 2] = 0.0
    half = np.exp(-0.5j * h * kinetic(p[None, :], k[:, None]))
    out = fft.ifft(half * fft.fft(out, axis=0), axis=0)
    out = fft.ifft(np.exp(1j * h * potential(x[:, None], theta[None, :])) * fft.fft(out, axis=1), axis=1)
    return fft.ifft(half * fft.fft(out, axis=0), axis=0).real


def single_steps() -> list[Row]:
    """A Strang step on a large grid against its transforms, and a truncated step against a full one."""
    space = PhaseSpace("x", "p")
    (x,), (p,) = space.x, space.p
    hamiltonian = p**2 / 2 + x**6 / 40
    axis = np.linspace(-6.0, 6.0, POINTS, endpoint=False)
    grid = (axis, axis)
    given = {order: fields(hamiltonian, space, HBAR, order) for order in (None, 2)}
    full, cut = (SplitPropagator(grid, *given[order]) for order in (None, 2))
    w = np.exp(-((axis[:, None] - 1.0) ** 2 + axis[None, :] ** 2) / HBAR) / (np.pi * HBAR)
    errors = []
    for propagator, order in ((full, None), (cut, 2)):
        expected = written_out(w, grid, *given[order], STEP)
        found = propagator.advance(w.copy(), STRANG, STEP, 1)
        errors.append(float(np.linalg.norm(found - expected) / np.linalg.norm(expected)))
    states = {"full": w.copy(), "cut": w.copy(), "transforms": w.copy()}

    def advance(name: str, propagator: SplitPropagator) -> None:
        states[name] = propagator.advance(states[name], STRANG, STEP, STEPS)

    def transform() -> None:
        for _ in range(STEPS):
            states["transforms"] = transforms(states["transforms"])

    runs = {"full": lambda: advance("full", full), "cut": lambda: advance("cut", cut), "transforms": transform}
    times = interleaved(runs, TURNS, STEPS)
    over_fft, first = times.ratio("full", "transforms")
    over_full, second = times.ratio("cut", "full")
    what, ours = f"{POINTS} x {POINTS}", times.median("full")
    return [
        Row(f"Strang step, {what}, over its transforms", over_fft, ("<=", 1.2), "", ours, times.median("transforms"),
            "scipy.fft, four real transforms", first, f"{errors[0]:.1e} to the formula (L2)"),
        Row(f"step cut at hbar^2, {what}, over the full step", over_full, ("<=", 1.1), "", times.median("cut"), ours,
            "all orders of hbar", second, f"{errors[1]:.1e} to the formula (L2)"),
    ]  # fmt: skip


def at_equal_error() -> Row:
    """The default composition and Strang's, each with the steps that its error needs, on the shipped oscillator."""
    model = load(MODEL, workspace=Workspace.find(ROOT))
    given = {"hbar": model.hbar, "space": model.space, "progress": False}
    automatic = evolve_wigner(model.hamiltonian, model.state, (0, END, 2), tolerance=WANTED, **given)
    grid, start, hbar = automatic.grid, automatic.states[0], float(model.hbar)
    exact = evolve_wigner(
        model.hamiltonian, start, (0, END, 2), grid=grid, tolerance=WANTED / 1000, method="blanes_moan6", **given
    ).states[-1]
    both = fields(model.hamiltonian, model.space, hbar, None)

    def run(composition: Composition, steps: int) -> np.ndarray:
        return SplitPropagator(grid, *both).advance(start.copy(), composition, END / steps, steps)

    def error(composition: Composition, steps: int) -> float:
        return float(np.linalg.norm(run(composition, steps) - exact) / np.linalg.norm(exact))

    default = COMPOSITIONS[automatic.provenance["method"]]
    needed, reached = {}, {}
    for composition in (default, STRANG):
        steps, found = 8, error(composition, 8)
        while found > WANTED:
            # Where the error follows its power of the step, one measurement tells how many are needed.
            steps = math.ceil(steps * min(8.0, max(1.02, (found / WANTED) ** (1 / composition.order))))
            found = error(composition, steps)
        needed[composition.name], reached[composition.name] = steps, found
    times = interleaved({c.name: lambda c=c: run(c, needed[c.name]) for c in (default, STRANG)}, RUNS)
    ratio, spread = times.ratio(STRANG.name, default.name)
    size = " x ".join(str(axis.size) for axis in grid)
    steps = f"{needed[default.name]} steps {default.name}, {needed[STRANG.name]} Strang"
    errors = f"{reached[default.name]:.1e}, Strang {reached[STRANG.name]:.1e} (L2)"
    return Row(f"{MODEL} to t = {END:g}, {size}: {steps}", ratio, (">=", 5.0), "", times.median(default.name),
               times.median(STRANG.name), "Strang at the same error", spread, errors)  # fmt: skip


def rows() -> list[Row]:
    """Everything of this module."""
    return [*single_steps(), at_equal_error()]
