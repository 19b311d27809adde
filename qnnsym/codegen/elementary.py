"""Elementary functions of compiled kernels: text that LLVM turns into packed instructions.

numba calls the C library for each element; the functions below have no branch and no call, so a loop over them
vectorises. A kernel carries the text of those it uses. They are compiled without fastmath whatever the kernel's own
flags are, so NaN, infinities and the sign of zero survive, and the same bits come out on every processor.

    reduce        n = rint(u/log 2), r = u - n log 2 in two parts (Cody and Waite); the first product is exact
    approximate   exp(r) = 1 + r + r^2/2 + r^3 P(r), and alike for sin, cos and log1p: leading terms stay exact
    scale         2^n is written into the exponent bits of n + 2^52 + bias; only an addition, so that no flag of the
                  caller can cancel it as it would cancel the rounding (u + 1.5*2^52) - 1.5*2^52

`ERRORS` bounds the errors; `coefficients()` derives every number again from its definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# P of exp(r) = 1 + r + r^2/2 + r^3 P(r) for |r| <= log(2)/2.
EXP = (
    0.16666666666666669, 0.041666666666666664, 0.008333333333330062, 0.0013888888888886552, 0.00019841269863053618,
    2.4801587317144498e-05, 2.7557268459997064e-06, 2.755728296954995e-07, 2.510038549551032e-08,
    2.0911236630261545e-09,
)  # fmt: skip
# One less, enough where exp(r) is the result and not the argument of something else.
SHORT = (
    0.16666666666666666, 0.04166666666665136, 0.008333333333332155, 0.0013888888905881542,
    0.0001984126985433861, 2.4801536388690766e-05, 2.755728006701698e-06, 2.761380686153829e-07,
    2.5095554677111112e-08,
)  # fmt: skip
# As EXP, for -log(2)/4 <= r <= 3 log(2)/4.
SKEW = (
    0.16666666666666666, 0.04166666666666641, 0.008333333333331095, 0.001388888888940022, 0.00019841269849006244,
    2.4801584518580593e-05, 2.755737477523417e-06, 2.756114632288999e-07, 2.486349632263811e-08,
    2.3897707330171097e-09,
)  # fmt: skip
# P of log((1 + s)/(1 - s)) = 2 s + s^3 P(s^2) for |s| <= 1/5.
LOG = (
    0.6666666666666666, 0.4000000000000779, 0.2857142856734164, 0.22222223037575484, 0.18181738465231245,
    0.15388834453816097, 0.13210362215636196, 0.13604017541428892,
)  # fmt: skip
# P of sin(r) = r + r^3 P(r^2) and of cos(r) = 1 - r^2/2 + r^4 P(r^2) for |r| <= pi/4.
SIN = (
    -0.16666666666666666, 0.00833333333333095, -0.00019841269836759658, 2.7557316102820262e-06,
    -2.5051131866778343e-08, 1.591812930283261e-10,
)  # fmt: skip
COS = (
    0.041666666666666664, -0.0013888888888887398, 2.4801587298766367e-05, -2.755731727189728e-07,
    2.0876146282015862e-09, -1.138263242995047e-11,
)  # fmt: skip
# log 2 = LN2[0] + LN2[1]: 42 bits, so that its product with an integer of 11 bits is exact.
LN2 = (0.6931471805598903, 5.497923018708371e-14)
# pi/2 = HALF_PI[0] + HALF_PI[1] + HALF_PI[2]: twice 37 bits, so that products with an integer of 16 bits are exact.
HALF_PI = (1.5707963267923333, 2.5633441515839558e-12, 1.0562999066987428e-23)
# What one multiplies by to count halves: 1/log 2 and 2/pi.
INVERSE = (1.4426950408889634, 0.6366197723675814)

# Largest |u| of near_sin and near_cos: n = rint(2 u/pi) stays within 16 bits. The reduced argument is good to n 2^-126,
# and no double up to here is closer to a multiple of pi/2 than 2^-53 (2^-61 at n = 29): the hardest arguments keep the
# bound too.
FAR = 102943.0

# Bounds in ulp: half an ulp for every rounding on the way, weighted with its influence, and the error of P. Searches
# over millions of arguments find 1.5, 1.12, 1.71, 1.67, 0.9 and 0.9 (benchmarks/bench_elementary.py).
ERRORS = {"tanh": 1.6, "exp": 1.25, "logistic": 2.0, "softplus": 1.9, "near_sin": 1.0, "near_cos": 1.0}


def coefficients() -> dict[str, tuple[float, ...]]:
    """Every number above from its definition, in 60 digits.

    The polynomials interpolate the series at Chebyshev's points (mpmath.chebyfit), which comes within a small factor
    of the minimax polynomial; intervals are widened by 1e-4, because n is the rounding of a rounded product.
    """
    import mpmath as mp

    def fitted(term: Callable[[int], Any], low: Any, high: Any, number: int) -> tuple[float, ...]:
        margin = (high - low) / 20_000
        series = [term(k) for k in reversed(range(60))]
        polynomial = mp.chebyfit(lambda r: mp.polyval(series, r), [low - margin, high + margin], number)
        return tuple(float(c) for c in reversed(polynomial))

    def parts(value: Any, *bits: int) -> tuple[float, ...]:
        """The leading bits of a number, the next, ... and the rest as one double."""
        found = []
        for count in bits:
            mantissa, exponent = mp.frexp(value)
            found.append(mp.ldexp(mp.floor(mp.ldexp(mantissa, count)), exponent - count))
            value -= found[-1]
        return tuple(float(v) for v in (*found, value))

    with mp.workdps(60):
        ln2, quarter = mp.log(2), (mp.pi / 4) ** 2
        factorial: Callable[[int], Any] = mp.factorial
        return {
            "EXP": fitted(lambda k: 1 / factorial(k + 3), -ln2 / 2, ln2 / 2, 10),
            "SHORT": fitted(lambda k: 1 / factorial(k + 3), -ln2 / 2, ln2 / 2, 9),
            "SKEW": fitted(lambda k: 1 / factorial(k + 3), -ln2 / 4, 3 * ln2 / 4, 10),
            "LOG": fitted(lambda k: mp.mpf(2) / (2 * k + 3), mp.mpf(0), mp.mpf(1) / 25, 8),
            "SIN": fitted(lambda k: (-1) ** (k + 1) / factorial(2 * k + 3), mp.mpf(0), quarter, 6),
            "COS": fitted(lambda k: (-1) ** k / factorial(2 * k + 4), mp.mpf(0), quarter, 6),
            "LN2": parts(ln2, 42),
            "HALF_PI": parts(mp.pi / 2, 37, 37),
            "INVERSE": (float(1 / ln2), float(2 / mp.pi)),
        }


# The text -----------------------------------------------------------------------------------------------------


def _reduced(argument: str, bias: str, c: tuple[float, ...]) -> str:
    """exp(argument) = 2^n (1 + q); Estrin's scheme, whose short chains count where one value is computed alone."""
    last = f"({c[8]!r} + r*{c[9]!r})" if len(c) > 9 else repr(c[8])
    return f"""\
    n = np.rint({argument}*{INVERSE[0]!r}{bias})
    r = ({argument} - n*{LN2[0]!r}) - n*{LN2[1]!r}
    z = r*r
    y = z*z
    a = ({c[0]!r} + r*{c[1]!r}) + z*({c[2]!r} + r*{c[3]!r})
    b = ({c[4]!r} + r*{c[5]!r}) + z*({c[6]!r} + r*{c[7]!r})
    h = a + y*(b + y*{last})
    g = 0.5 + r*h
    q = r + z*g
"""


def _scaled(count: str) -> str:
    """2^count as a product s1*s2 of two normal numbers: the last multiplication then rounds to a subnormal once."""
    return f"""\
    k = np.float64({count}).view(np.int64)
    m = k >> np.int64(1)
    s1 = np.int64(m << np.int64(52)).view(np.float64)
    s2 = np.int64((k - m) << np.int64(52)).view(np.float64)
"""


def _circular(name: str) -> str:
    """sin or cos for |u| <= FAR; quadrants are counted from the one where the function starts as a sine."""
    sine = name == "sin"
    s, c = SIN, COS
    shift = "" if sine else " + np.int64(1)"
    sign = " ^ (np.float64(u).view(np.int64) & np.int64(-9223372036854775808))" if sine else ""
    return f"""\
    a = abs(u)
    n = np.rint(a*{INVERSE[1]!r})
    x = a - n*{HALF_PI[0]!r}
    b = n*{HALF_PI[1]!r}
    x1 = x - b
    d = ((x - x1) - b) - n*{HALF_PI[2]!r}
    r = x1 + d
    e = (x1 - r) + d
    q = np.float64(n + 4503599627370496.0).view(np.int64){shift}
    z = r*r
    y = z*z
    s = ({s[0]!r} + z*{s[1]!r}) + y*(({s[2]!r} + z*{s[3]!r}) + y*({s[4]!r} + z*{s[5]!r}))
    c = ({c[0]!r} + z*{c[1]!r}) + y*(({c[2]!r} + z*{c[3]!r}) + y*({c[4]!r} + z*{c[5]!r}))
    h = 0.5*z
    w = 1.0 - h
    sine = r + ((r*z)*s + (e - h*e))
    cosine = w + (((1.0 - w) - h) + (y*c - r*e))
    value = cosine if (q & np.int64(1)) != np.int64(0) else sine
    bits = np.float64(value).view(np.int64) ^ ((q & np.int64(2)) << np.int64(62)){sign}
    return np.int64(bits).view(np.float64)
"""


# 2^52 and a bias: adding an integer n to it puts n + bias into the lowest bits.
_ONE, _TWO = "4503599627371519.0", "4503599627372542.0"

BODIES = {
    # e/(e + 2) with e = exp(2|u|) - 1. For n = 0, which the skewed interval extends to |u| < 0.26, roundings of e and
    # of e + 2 would add up to 2.5 ulp: |u| + r^3 (2 h - g)/(2 (e + 2)), the same number, whose second part is 2 %.
    "tanh": f"""\
    v = abs(u)
    w = 20.0 if v > 20.0 else v
    x = w + w
{_reduced("x", " - 0.25", SKEW)}\
    s = np.int64(np.float64(n + {_ONE}).view(np.int64) << np.int64(52)).view(np.float64)
    e = (s - 1.0) + s*q
    c = (0.5*(r*z))*((h + h) - g)
    near = n == 0.0
    whole = w if near else 0.0
    part = c if near else e
    return math.copysign(whole + part/(e + 2.0), u)
""",
    # Beyond the limits the result is 0 or infinite by itself; NaN fails both comparisons and stays.
    "exp": f"""\
    v = 710.0 if u > 710.0 else u
    w = -746.0 if v < -746.0 else v
{_reduced("w", "", SHORT)}\
{_scaled(f"n + {_TWO}")}\
    return ((1.0 + q)*s1)*s2
""",
    # 1/(1 + exp(-u)) as s/(s + 1 + q) with s = 2^-n: numerator and s + 1 are exact, up to s < 2^-52 where s joins q.
    "logistic": f"""\
    v = -60.0 if u > 60.0 else -u
    w = 746.0 if v > 746.0 else v
{_reduced("w", "", EXP)}\
{_scaled(f"{_TWO} - n")}\
    s = s1*s2
    t = q + s
    p = t if n > 52.0 else q
    return (s1/((s + 1.0) + p))*s2
""",
    # log(1 + e) with e = exp(-|u|), or log 2 + log(1 + (e - 1)/2) above 1/2: f - f^2/2 + s (f^2/2 + R), s = f/(2 + f).
    "softplus": f"""\
    v = -abs(u)
    w = -746.0 if v < -746.0 else v
{_reduced("w", "", EXP)}\
{_scaled(f"n + {_TWO}")}\
    e = ((1.0 + q)*s1)*s2
    far = e > 0.5
    f1 = 0.5*(e - 1.0)
    f = f1 if far else e
    high = {LN2[0]!r} if far else 0.0
    low = {LN2[1]!r} if far else 0.0
    s = f/(2.0 + f)
    z2 = s*s
    y2 = z2*z2
    a2 = ({LOG[0]!r} + z2*{LOG[1]!r}) + y2*({LOG[2]!r} + z2*{LOG[3]!r})
    b2 = ({LOG[4]!r} + z2*{LOG[5]!r}) + y2*({LOG[6]!r} + z2*{LOG[7]!r})
    half = 0.5*f*f
    t = s*(half + z2*(a2 + (y2*y2)*b2)) + low
    above = u if u > 0.0 else 0.0
    return above + (high - ((half - t) - f))
""",
    "near_sin": _circular("sin"),
    "near_cos": _circular("cos"),
    "relu": "    return u if u > 0.0 or u != u else 0.0\n",
    "step": "    return 1.0 if u > 0.0 else (0.0 if u == u else u)\n",
}

DOCUMENTATION = {
    "tanh": "tanh(u)",
    "exp": "exp(u)",
    "logistic": "1/(1 + exp(-u))",
    "softplus": "log(1 + exp(u))",
    "near_sin": f"sin(u) for |u| <= {FAR:.0f}",
    "near_cos": f"cos(u) for |u| <= {FAR:.0f}",
    "relu": "max(u, 0)",
    "step": "1 for u > 0, else 0",
}

# A kernel calls the C library's sin and cos where numbers come one at a time, and these where a loop vectorises.
CIRCULAR = {"sin": "near_sin", "cos": "near_cos"}
# SymPy's names of the functions that a loop evaluates eight or so at a time.
PACKED = frozenset({"tanh", "exp", "logistic", "softplus", *CIRCULAR})


# LLVM by itself would not inline a body of this length, and a call does not vectorise.
DECORATOR = '@njit(float64(float64), cache=True, error_model="numpy", forceinline=True)'


def text(names: list[str], decorator: str = DECORATOR) -> str:
    """Source of the named functions, to stand in a module that imports math, numpy as np, float64 and njit."""
    out = []
    for name in names:
        bound = f"; error below {ERRORS[name]} ulp" if name in ERRORS else ""
        out.append(f'{decorator}\ndef {name}(u):\n    """{DOCUMENTATION[name]}{bound}."""\n{BODIES[name]}\n\n')
    return "".join(out)


def used(source: str) -> list[str]:
    """The functions that a text calls, in the order in which they are listed here."""
    called = set(re.findall(r"(?<![\w.])([a-z_]+)\(", source))
    return [name for name in BODIES if name in called]
