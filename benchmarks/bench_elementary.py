"""Elementary functions in a kernel's loop: time per element against NumPy, and errors against mpmath.

The loops are emitted and compiled as every kernel is. `python -m benchmarks.bench_elementary --points 1000000` measures
errors on that many points of each range; the table of `python -m benchmarks elementary` takes 4,000.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from numba import njit, types

from benchmarks.measure import Row, folder, interleaved
from qnnsym.codegen import elementary
from qnnsym.codegen.build import KERNELS, built, render
from qnnsym.equations.functions import MPMATH, logistic, softplus
from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet
from qnnsym.solvers.kernels import load_kernels
from qnnsym.solvers.stepping import KERNEL

TITLE = "Elementary functions in a kernel's loop, one thread"
# Elements: calls in a turn, many because the first call through a pointer costs 40 us.
SIZES = {1000: 2000, 1_000_000: 5}
TURNS, POINTS = 21, 4000
TIME_BAR, ERROR_BAR = ("<=", 1.3), ("<=", 2.0)

FUNCTIONS = {"tanh": sp.tanh, "exp": sp.exp, "logistic": logistic, "softplus": softplus, "sin": sp.sin, "cos": sp.cos}
EXACT = {**{name: getattr(mpmath, name) for name in ("tanh", "exp", "sin", "cos")}, **MPMATH}


def _numpy_logistic(x: np.ndarray, out: np.ndarray) -> None:
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1.0
    np.divide(1.0, out, out=out)


NUMPY: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], Any]]] = {
    **{name: (f"np.{name}", getattr(np, name)) for name in ("tanh", "exp", "sin", "cos")},
    "logistic": ("1/(1 + np.exp(-u)), in place", _numpy_logistic),
    "softplus": ("np.logaddexp(0, u)", lambda x, out: np.logaddexp(0.0, x, out=out)),
}


@njit(types.void(KERNEL, types.int64, *KERNEL.signature.args))
def repeat(kernel, count, t, state, ext, par, dims, work, rates):
    """Call a kernel as the driver does: compiled, through a pointer."""
    for _ in range(count):
        kernel(t, state, ext, par, dims, work, rates)


def kernels() -> Mapping[str, Any]:
    """{function: kernel that writes it, for every entry of the state, into the rates}."""
    axis = IndexSet("k", sp.Symbol("n", integer=True, positive=True))
    x, out = Array("x", (axis,)), Array("out", (axis,))
    k, sets = axis.index(0), {}
    for name, function in FUNCTIONS.items():
        equation = Equation(out[k], function(x[k]))
        sets[f"k_{name}"] = EquationSet(f"k_{name}", (axis.extent,), (), (x,), (), (out,), (equation,))
    with folder() as here:
        source = render("elementary", "benchmark", sets, "out[k] = f(x[k])")
        path = built(source, here) / KERNELS
        found = load_kernels(path, tuple(sets), source.manifest.signature, (), here)
    return {name: found[f"k_{name}"] for name in FUNCTIONS}


def values(kernel: Any, x: np.ndarray) -> np.ndarray:
    """The kernel's values at x."""
    empty, out = np.zeros(0), np.empty_like(x)
    kernel(0.0, x, empty, empty, np.array([x.size]), empty, out)
    return out


# Errors -----------------------------------------------------------------------------------------------------------


def points(name: str, count: int) -> dict[str, np.ndarray]:
    """{range: arguments}: where the formulas change, over every magnitude, and random bit patterns."""
    rng = np.random.default_rng(2)
    circular = name in elementary.CIRCULAR
    wide = elementary.FAR if circular else 760.0
    bits = rng.integers(0, 2**63, 3 * count).view(np.float64)
    bits = bits[bits < wide][:count]  # false for NaN
    found = {
        "|u| < 1": rng.uniform(-1, 1, count),
        "|u| < 40": rng.uniform(-40, 40, count),
        f"|u| < {wide:.0f}": rng.uniform(-wide, wide, count),
        "2^-40 < |u| < 2^8": rng.choice([-1.0, 1.0], count) * 2.0 ** rng.uniform(-40, 8, count),
        "bit patterns in range": rng.choice([-1.0, 1.0], bits.size) * bits,
    }
    if circular:
        number = min(count, int(wide / math.pi * 2))
        found["next to multiples of pi/2"] = np.linspace(1, int(wide / math.pi * 2), number).round() * (np.pi / 2)
    elif name != "tanh":
        found["gradual underflow"] = rng.uniform(-745.2, -708.0, count)
    return found


def worst(name: str, x: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """(largest error in units of the last place of the exact value, where)."""
    exact_function, top, most, where = EXACT[name], mpmath.mpf(2) ** 1024 * (1 - mpmath.mpf(2) ** -54), 0.0, math.nan
    with mpmath.workprec(130):
        for a, b in zip(x.tolist(), found.tolist(), strict=True):
            exact = exact_function(mpmath.mpf(a))
            if math.isfinite(b):
                last = max(mpmath.frexp(exact)[1] - 53, -1074)
                error = float(mpmath.ldexp(abs(b - exact), -last))
            else:
                error = 0.0 if exact >= top else math.inf
            if error > most:
                most, where = error, a
    return most, where


def errors(kernel: Any, name: str, count: int) -> dict[str, tuple[float, float]]:
    """{range: (largest error in ulp, where)}."""
    return {label: worst(name, x, values(kernel, x)) for label, x in points(name, count).items()}


# Times ------------------------------------------------------------------------------------------------------------


def measured(kernel: Any, name: str) -> list[Row]:
    """One function at both lengths, then its error."""
    rival, by_numpy = NUMPY[name]
    rows = []
    for size, calls in SIZES.items():
        x, empty = np.random.default_rng(size).uniform(-5, 5, size), np.zeros(0)
        out, theirs, dims = np.empty(size), np.empty(size), np.array([size])

        def ours(calls=calls, x=x, empty=empty, out=out, dims=dims) -> None:
            repeat(kernel, calls, 0.0, x, empty, empty, dims, empty, out)

        def numpy(calls=calls, x=x, theirs=theirs) -> None:
            for _ in range(calls):
                by_numpy(x, theirs)

        times = interleaved({"ours": ours, "NumPy": numpy}, TURNS, calls * size)
        ratio, spread = times.ratio("ours", "NumPy")
        ulp = float(np.abs((out - theirs) / np.spacing(np.abs(theirs))).max())
        rows.append(
            Row(f"{name}, {size} elements: time over NumPy's", ratio, TIME_BAR, "", times.median("ours"),
                times.median("NumPy"), rival, spread, f"{ulp:.0f} ulp apart at most")
        )  # fmt: skip
    most, where = max(errors(kernel, name, POINTS).values())
    rows.append(Row(f"{name}: largest error in ulp", most, ERROR_BAR, error=f"at {where!r}, against mpmath"))
    return rows


def rows() -> list[Row]:
    """Times and errors of every function."""
    return [row for name, kernel in kernels().items() for row in measured(kernel, name)]


def main() -> None:
    """Print the largest error of every function in every range."""
    parser = argparse.ArgumentParser(description="Errors of the elementary functions against mpmath.")
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("names", nargs="*", default=list(FUNCTIONS))
    given = parser.parse_args()
    compiled = kernels()
    for name in given.names:
        for label, (most, where) in errors(compiled[name], name, given.points).items():
            print(f"{name:9} {label:26} {most:6.3f} ulp at {where!r}", flush=True)


if __name__ == "__main__":
    main()
