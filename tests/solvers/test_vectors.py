"""Eight numbers at once: every operation gives in each lane, bit for bit, what it gives for one number."""

import importlib.util
import math

import numpy as np
import pytest
from numba import float64, njit

from qnnsym.codegen import elementary
from qnnsym.solvers import vectors
from qnnsym.solvers.vectors import LANES, chosen, larger, wide

VOID = "void(float64[::1], float64[::1], float64[::1])"
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -2.3e-308, 1e308, 0.25, -0.25, 20.0, -20.0, 709.8, -745.2, 36.7]


def numbers(count=30_000):
    draw = np.random.default_rng(0)
    parts = (draw.normal(size=count), 30 * draw.normal(size=count), 10.0 ** draw.uniform(-300, 300, count))
    found = np.concatenate([SPECIAL, *parts, -parts[2]])
    return found[: found.size // LANES * LANES].copy()


def same(a, b):
    """Equal bits, where NaN is NaN."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a) & (a == a), np.signbit(b) & (b == b))


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """A module with every elementary function of kernels for one number, and for eight with `wide_` before its name."""
    path = tmp_path_factory.mktemp("lanes") / "functions.py"
    one = elementary.text(list(elementary.BODIES), "@njit(float64(float64), error_model='numpy')")
    eight = elementary.text(list(elementary.BODIES), "@vectors.packed").replace("def ", "def wide_")
    head = "import math\nimport numpy as np\nfrom numba import float64, njit\nfrom qnnsym.solvers import vectors\n\n"
    path.write_text(head + one + eight)
    spec = importlib.util.spec_from_file_location("qnnsym_test_functions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", elementary.BODIES)
def test_packed_functions_are_the_scalar_ones(functions, name):
    one, eight, u = getattr(functions, name), getattr(functions, f"wide_{name}"), numbers()

    @njit("void(float64[::1], float64[::1])", fastmath=True)
    def every(source, target):
        source, target = wide(source), wide(target)
        for i in range(source.size):
            target[i] = eight(source[i])

    found = np.empty(u.size)
    every(u, found)
    if name.startswith("near_"):  # beyond, the quadrant is not defined
        inside = ~(np.abs(u) > elementary.FAR)
        u, found = u[inside], found[inside]
    assert same(found, np.array([one(v) for v in u]))


def test_sines_of_far_arguments_are_those_of_the_math_module(functions):
    sine = vectors.guarded(functions.wide_near_sin, math.sin, elementary.FAR)

    @njit("void(float64[::1], float64[::1])")
    def every(source, target):
        source, target = wide(source), wide(target)
        for i in range(source.size):
            target[i] = sine(source[i])

    u = np.linspace(0, 1e5, 2000 * LANES)
    u[LANES * 7 + 3] = 1e9  # one lane of eight is enough
    found = np.empty(u.size)
    every(u, found)
    assert np.abs(found - np.sin(u)).max() < 1e-15
    assert found[LANES * 7 + 3] == math.sin(1e9)


def test_arithmetic_with_numbers_and_among_lanes():
    log = vectors.lane_by_lane(math.log)

    @njit(VOID, error_model="numpy")
    def every(a, b, out):
        a, b, out = wide(a), wide(b), wide(out)
        x, y = a[0], b[0]
        total = 0.0
        for i in range(2):
            total += a[i]
        results = (
            x + y, x - y, x * y, x / y, -x, abs(x), 2.0 + x, x - 2.0, 3.0 * x, x / 3.0, 1.0 / x, math.sqrt(abs(x)),
            x**5, x**-3, x**0, abs(x) ** 0.3, 2.0**x, abs(x) ** y, log(abs(x)), total,
            larger(x, y), chosen(x, y, 7.0 * y), vectors.held(1.0 / x), vectors.held(0.5) * x,
        )  # fmt: skip
        for i, result in enumerate(results):
            out[i] = result

    a = np.array([1.5, -2.25, 0.1, 3.0, -0.7, 1e-3, 40.0, 0.0, *range(8)], float)
    b = np.array([0.3, 4.0, -1.1, np.nan, 2.0, 5.0, -0.5, 1.0])
    out = np.empty(24 * LANES)
    every(a, b, out)
    x, y = a[:8], b
    with np.errstate(all="ignore"):
        expected = [
            x + y, x - y, x * y, x / y, -x, abs(x), 2 + x, x - 2, 3 * x, x / 3, 1 / x, np.sqrt(abs(x)),
            x**5.0, x**-3.0, x**0.0, abs(x) ** 0.3, 2.0**x, abs(x) ** y, np.log(abs(x)), x + a[8:],
            np.where(x > y, x, y), np.where(x != 0, y, 7 * y), 1 / x, 0.5 * x,
        ]  # fmt: skip
    np.testing.assert_allclose(out.reshape(-1, LANES), expected, rtol=4e-16, atol=0)


def test_the_types_know_each_other():
    assert vectors.lanes.unify(None, float64) is vectors.lanes and vectors.lanes.unify(None, vectors.wide) is None


def test_text_that_no_vector_has_is_refused():
    def loops(u):
        while u > 1.0:
            u = 0.5 * u
        return u

    packed = vectors.packed(loops)

    @njit
    def call(a):
        wide(a)[0] = packed(wide(a)[0])

    with pytest.raises(Exception, match="while u"):
        call(np.ones(LANES))
