"""The elementary functions of compiled kernels: accuracy, special values, packed instructions, and who calls them."""

import math
import platform
import re

import mpmath
import numpy as np
import pytest
import sympy as sp

from qnnsym.codegen import elementary
from qnnsym.codegen.emit import emit_numba, mpmath_function, numpy_function
from qnnsym.codegen.loops import Loop
from qnnsym.codegen.lower import BLOCK, Blocked, lower
from qnnsym.equations.functions import MPMATH, logistic, relu, softplus, step
from qnnsym.equations.indexed import Array, Equation, EquationSet, IndexSet
from tests.networks import L, N, characteristic_equations

FUNCTIONS = {"tanh": sp.tanh, "exp": sp.exp, "logistic": logistic, "softplus": softplus, "sin": sp.sin, "cos": sp.cos}
EXACT = {**{name: getattr(mpmath, name) for name in ("tanh", "exp", "sin", "cos")}, **MPMATH}
BOUND = {name: elementary.ERRORS[elementary.CIRCULAR.get(name, name)] for name in FUNCTIONS}
INF, NAN, TINY = math.inf, math.nan, 5e-324
EDGES = (
    0.0, TINY, 1e-310, 2.2250738585072014e-308, 1e-30, 1e-8, 0.1732867951399863, 0.2599301927099795,
    0.34657359027997264, 0.5, 0.6931471805599453, 1.0, math.pi / 4, math.pi / 2, 18.714973875118524, 19.06,
    36.7368005696771, 37.43, 60.0, 61.0, 708.3964185322641, 709.782712893384, 709.7827128933841, 710.0,
    744.4400719213812, 745.1332191019411, 745.1332191019412, 746.0, 1e4,
)  # fmt: skip


def pointwise(name: str, value) -> EquationSet:
    """out[k] = value(x[k])."""
    axis = IndexSet("k", sp.Symbol("n", integer=True, positive=True))
    x, out = Array("x", (axis,)), Array("out", (axis,))
    k = axis.index(0)
    return EquationSet(name, (axis.extent,), (), (x,), (), (out,), (Equation(out[k], value(x[k])),))


def module(functions, folder) -> dict:
    """The namespace of an emitted module, its functions compiled and not cached."""
    path = folder / "kernels.py"
    path.write_text(emit_numba(functions, '"""Test kernels."""'))
    namespace = {"__file__": str(path), "__name__": "kernels"}
    exec(compile(path.read_text().replace("cache=True, ", ""), str(path), "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """{function: its loop, compiled as every kernel is (fastmath included)}."""
    sets = [lower(pointwise(f"k_{name}", f)) for name, f in FUNCTIONS.items()]
    found = module(sets, tmp_path_factory.mktemp("elementary"))
    return {name: found[f"k_{name}"] for name in FUNCTIONS}


def run(kernel, x) -> np.ndarray:
    x = np.array(x, float)
    empty, out = np.zeros(0), np.full(x.size, 7.0)
    kernel(0.0, x, empty, empty, np.array([x.size]), empty, out)
    return out


def ulps(name: str, x, found) -> np.ndarray:
    """Errors in units of the last place of the exact value."""
    errors = []
    with mpmath.workprec(140):
        for a, b in zip(map(float, x), map(float, found), strict=True):
            exact = EXACT[name](mpmath.mpf(a))
            last = max(mpmath.frexp(exact)[1] - 53, -1074)
            if not math.isfinite(b):  # right where the exact value rounds to infinity
                errors.append(0.0 if exact > mpmath.mpf(2) ** 1024 * (1 - mpmath.mpf(2) ** -54) else INF)
            else:
                errors.append(float(abs(b - exact) / mpmath.mpf(2) ** last))
    return np.array(errors)


def scattered(name: str, count: int = 5000) -> np.ndarray:
    """Arguments of every size, random bit patterns among them."""
    rng = np.random.default_rng(11)
    wide = elementary.FAR if name in elementary.CIRCULAR else 760.0
    bits = rng.integers(0, 2**63, 2 * count).view(np.float64)
    signs = rng.choice([-1.0, 1.0], count)
    parts = [
        rng.uniform(-1, 1, count),
        rng.uniform(-40, 40, count),
        rng.uniform(-wide, wide, count),
        signs * 2.0 ** rng.uniform(-30, 8, count),
        signs * bits[np.isfinite(bits) & (bits < wide)][:count].repeat(3)[:count],
    ]
    return np.concatenate([*parts, EDGES, np.negative(EDGES)])


def test_coefficients_follow_from_their_definitions():
    for name, values in elementary.coefficients().items():
        assert getattr(elementary, name) == values, name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_stay_below_their_bounds(kernels, name):
    x = scattered(name)
    errors = ulps(name, x, run(kernels[name], x))
    worst = int(errors.argmax())
    assert errors[worst] < BOUND[name] <= 2, f"{name}({x[worst]!r}): {errors[worst]:.2f} ulp"
    # Much better than promised would mean that the measure is wrong.
    assert errors[worst] > 0.5


# Pairs and no dictionaries: 0.0 and -0.0 are one key.
SPECIAL = {
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (TINY, TINY), (-TINY, -TINY), (1e308, 1.0)],
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (710.0, INF), (1e308, INF), (-746.0, 0.0), (-1e308, 0.0),
            (TINY, 1.0), (709.7827128933841, INF), (-745.1332191019411, TINY), (-745.1332191019412, 0.0)],
    "logistic": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (1e308, 1.0), (-1e308, 0.0),
                 (-745.1332191019411, TINY)],
    "softplus": [(INF, INF), (-INF, 0.0), (1e308, 1e308), (-1e308, 0.0), (0.0, math.log(2)),
                 (-745.1332191019411, TINY)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (TINY, TINY), (-TINY, -TINY)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (TINY, 1.0)],
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values_survive_the_fastmath_of_the_kernel(kernels, name):
    arguments, values = np.transpose([*SPECIAL[name], (NAN, NAN)])
    # Alone and among others: packed lanes and the scalar remainder of the loop are different code.
    for spread in (1, 16):
        expected = np.repeat(values, spread)
        found = run(kernels[name], np.repeat(arguments, spread))
        np.testing.assert_array_equal(found, expected)
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def test_gradual_underflow(kernels):
    x = np.linspace(-745.2, -708.0, 4001)
    for name in ("exp", "logistic", "softplus"):
        found = run(kernels[name], x)
        assert (np.diff(found) >= 0).all() and 0 < found[100] < 1e-300
        assert ulps(name, x, found).max() < BOUND[name]


def test_symmetry_and_order(kernels):
    x = np.abs(scattered("tanh", 2000))
    np.testing.assert_array_equal(run(kernels["tanh"], -x), -run(kernels["tanh"], x))
    x = np.abs(scattered("sin", 2000))
    np.testing.assert_array_equal(run(kernels["sin"], -x), -run(kernels["sin"], x))
    np.testing.assert_array_equal(run(kernels["cos"], -x), run(kernels["cos"], x))
    # Values many ulp apart, so that errors of two cannot reverse their order.
    grid = np.linspace(-12, 12, 100_001)
    for name in ("tanh", "exp", "logistic", "softplus"):
        assert (np.diff(run(kernels[name], grid)) > 0).all(), name
    for name in ("tanh", "logistic"):
        assert run(kernels[name], np.linspace(12, 800, 10_001)).max() == 1.0


def hardest(exponent: int) -> float:
    """The double m 2^exponent, 2^52 <= m < 2^53, closest to a multiple of pi/2: a continued fraction finds it."""
    with mpmath.workdps(80):
        ratio = mpmath.ldexp(1, exponent) / (mpmath.pi / 2)
        x, p0, q0, p1, q1 = ratio, 1, 0, int(mpmath.floor(ratio)), 1
        best = (mpmath.inf, 0)
        while q1 < 2**53:
            x = 1 / (x - mpmath.floor(x))
            a = int(mpmath.floor(x))
            for q in {q1, *(q0 + j * q1 for j in range(1, min(a, 1000) + 1))}:
                for m in {-(-(2**52) // q) * q, (2**53 - 1) // q * q}:
                    if 2**52 <= m < 2**53:
                        best = min(best, (abs(m * ratio - mpmath.nint(m * ratio)), m))
            p0, q0, p1, q1 = p1, q1, p0 + a * p1, q0 + a * q1
        return math.ldexp(best[1], exponent)


def test_circular_functions_at_the_hardest_arguments_in_range(kernels):
    x = [hardest(e) for e in range(-52, -35)]
    x += [float(k * mpmath.pi / 2) for k in (*range(1, 400), 21233, 65535)]
    x = np.array([v for v in x if v <= elementary.FAR])
    assert x.max() > 9e4 and np.abs(np.sin(x)).min() < 1e-15
    for name in ("sin", "cos"):
        assert ulps(name, x, run(kernels[name], x)).max() < BOUND[name]


def test_far_arguments_go_to_the_library(kernels):
    far = np.array([elementary.FAR * (1 + 1e-15), 1e6, 1e22, 1.7e308])
    near = np.linspace(-9, 9, 50)
    for name in ("sin", "cos"):
        found = run(kernels[name], far)
        np.testing.assert_array_equal(found, [getattr(math, name)(v) for v in far])
        # One far argument among near ones must not spoil them.
        mixed = run(kernels[name], np.concatenate([near, far[-1:], near]))
        np.testing.assert_allclose(mixed[:50], run(kernels[name], near), rtol=0, atol=4e-16)
        assert mixed[50] == found[-1]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for instructions of this processor")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_are_packed(kernels, name):
    (code,) = kernels[name].inspect_asm().values()
    packed = re.findall(r"v?(?:mul|add|fmadd\w+)pd\s.*", code)
    assert len(packed) > 15, f"{len(packed)} packed instructions"
    called = set(re.findall(r"\$(sin|cos|exp|tanh|log1p|rint)\b", code))
    assert called <= {name} & set(elementary.CIRCULAR), called


def test_a_module_carries_the_functions_it_uses_and_no_other():
    text = emit_numba([lower(pointwise("one", lambda u: sp.tanh(u) + sp.log(1 + u**2)))], '"""One."""')
    assert re.findall(r"\ndef (\w+)\(u\)", text) == ["tanh"] and "math.log(" in text
    text = emit_numba([lower(pointwise("two", lambda u: softplus(u) * sp.cos(u)))], '"""Two."""')
    assert re.findall(r"\ndef (\w+)\(u\)", text) == ["softplus", "near_cos"]
    text = emit_numba([lower(pointwise("three", lambda u: u**3))], '"""Three."""')
    assert "def three" in text and "np." not in text and "import math" not in text


def test_three_emitters_agree_on_everything(tmp_path):
    def value(u):
        smooth = sp.tanh(u) * sp.exp(-(u**2)) + logistic(3 * u) * sp.sin(u + 1) + softplus(-u) * sp.cos(2 * u) ** 2
        return smooth + relu(u) * step(u - 1) + sp.sin(sp.cos(u) + u) / 7

    function = lower(pointwise("all", value))
    x = np.concatenate([np.linspace(-4, 4, 61), [1e6, -3e5]])
    found = run(module([function], tmp_path)["all"], x)
    empty = np.zeros(0)
    np.testing.assert_allclose(found, numpy_function(function)(0.0, x, empty, empty, (x.size,)), rtol=1e-13, atol=1e-13)
    with mpmath.workdps(40):
        exact = mpmath_function(function)(0.0, x, empty, empty, (x.size,))
    np.testing.assert_allclose(found, np.array(exact, float), rtol=1e-13, atol=1e-13)


# Activations of networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [sp.tanh, sp.sin, softplus])
def test_blocks_of_rows_compute_what_single_rows_do(tmp_path, activation):
    equations = characteristic_equations(activation)
    function = lower(equations)
    assert sum(isinstance(node, Blocked) for node in function.body) == 1
    kernel, plain = module([function], tmp_path)["rhs"], numpy_function(function)
    rng = np.random.default_rng(1)
    for neurons in (1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3):
        sizes = {N: neurons, L: 2}
        length = {role: 0 for role in ("state", "external", "parameter")}
        for array in equations.arrays:
            length[array.role] += int(array.size.subs(sizes))
        y, ext = rng.normal(size=length["state"]), rng.normal(size=length["external"])
        if activation is sp.sin:  # one row whose sum is out of the range of the packed sine
            y[2 * neurons], ext[0] = 2e5, 1.0
        par = np.concatenate([[0.7, 1.3, 0.2], rng.normal(size=length["parameter"])])
        work, out = np.full(int(function.work.subs(sizes)), NAN), np.empty(length["state"])
        kernel(0.0, y, ext, par, np.array([neurons, 2]), work, out)
        expected = plain(0.0, y, ext, par, (neurons, 2))
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-8 if activation is sp.sin else 1e-12)


def test_only_loops_with_sums_before_activations_are_blocked():
    assert not any(isinstance(n, Blocked) for n in lower(pointwise("plain", sp.tanh)).body)
    function = lower(characteristic_equations())
    (loop,) = (n for n in function.body if isinstance(n, Blocked))
    assert loop.buffers == ("v0_row",) and isinstance(loop, Loop) and len(loop.packed) == 1
    assert function.work.subs({N: 3, L: 2}) == 6 + BLOCK


def test_powers_are_printed_as_products_for_numba_alone():
    text = emit_numba([lower(pointwise("cube", lambda u: u**3))], '"""Cube."""')
    assert "x[k]*x[k]*x[k]" in text and "**" not in text.partition("def cube")[2]
    assert "N**2" not in emit_numba([lower(characteristic_equations())], '"""Kernel."""')


def test_text_is_a_function_of_the_equations_alone():
    once = emit_numba([lower(characteristic_equations(sp.sin))], "")
    lower.cache_clear()
    assert once == emit_numba([lower(characteristic_equations(sp.sin))], "")
