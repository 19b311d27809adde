"""What a user types is read exactly, or refused with a sentence; nothing that is typed is ever evaluated."""

import math
import sys
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qnnsym import expressions
from qnnsym.equations.functions import ELEMENTARY
from qnnsym.errors import InputError
from qnnsym.expressions import FUNCTIONS, parse_assignments, parse_call, parse_expression, parse_values
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatState, GaussianState, Mixture

SPACE = PhaseSpace("x", "p")
(X,), (P,), HBAR = SPACE.x, SPACE.p, SPACE.hbar
NAMES = {"x": X, "p": P, "hbar": HBAR}
CONSTRUCTORS = {"GaussianState": GaussianState, "CatState": CatState, "Mixture": Mixture}


def applied(pair):
    function, argument = pair
    return argument if argument.is_number else function(argument)


def powered(pair):
    base, exponent = pair
    return base if base.is_number else base**exponent


LEAVES = st.one_of(
    st.sampled_from([X, P, HBAR]),
    st.fractions(min_value=-9, max_value=9, max_denominator=12).map(lambda q: sp.Rational(q.numerator, q.denominator)),
)


def grown(inner):
    pairs = st.tuples(inner, inner)
    smooth = [sp.sin, sp.cos, sp.tanh, sp.exp, sp.atan, sp.sinh, sp.Abs, ELEMENTARY["logistic"], ELEMENTARY["softplus"]]
    return st.one_of(
        pairs.map(lambda ab: ab[0] + ab[1]),
        pairs.map(lambda ab: ab[0] * ab[1]),
        st.tuples(inner, st.sampled_from([2, 3, -1, sp.Rational(1, 2)])).map(powered),
        st.tuples(st.sampled_from(smooth), inner).map(applied),
    )


@settings(max_examples=150)
@given(st.recursive(LEAVES, grown, max_leaves=10))
def test_what_sympy_prints_is_read_back_as_the_same_expression(expression):
    assume(not expression.has(sp.nan, sp.zoo))
    assert parse_expression(str(expression), NAMES) == expression


@settings(max_examples=200)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=7))
def test_decimals_become_the_rational_their_text_says(number):
    exact = Fraction(number)
    assert parse_expression(f"{number:f}", {}) == sp.Rational(exact.numerator, exact.denominator)


def test_scientific_notation_is_exact_and_numbers_may_hold_underscores():
    assert parse_expression("1.5e-3*x", NAMES) == sp.Rational(3, 2000) * X
    assert parse_expression("1_000.5", NAMES) == sp.Rational(2001, 2)
    assert parse_expression("1e-300", NAMES) == sp.Rational(1, 10**300)


def test_precedence_is_pythons():
    assert parse_expression("-x**2", NAMES) == -(X**2)
    assert parse_expression("2**3**2", NAMES) == 512
    assert parse_expression("x/p*2", NAMES) == 2 * X / P
    assert parse_expression("x - p - 1 + x", NAMES) == 2 * X - P - 1
    assert parse_expression("+x - -p", NAMES) == X + P
    assert parse_expression("p**2/2\n  + x**4/4", NAMES) == P**2 / 2 + X**4 / 4


def test_functions_and_constants_are_the_ones_kernels_know():
    wave = sp.exp(-(X**2)) * sp.cos(sp.pi * P) / sp.sqrt(sp.E)
    assert parse_expression("exp(-x**2)*cos(pi*p)/sqrt(E)", NAMES) == wave
    others = sp.Abs(X) + sp.log(HBAR) + ELEMENTARY["logistic"](P)
    assert parse_expression("abs(x) + ln(hbar) + logistic(p)", NAMES) == others
    for name, function in FUNCTIONS.items():
        assert parse_expression(f"{name}(x)", NAMES) == function(X)


def test_own_names_come_before_constants_and_own_functions_replace_the_list():
    energy = sp.Symbol("E")
    assert parse_expression("E*x", {**NAMES, "E": energy}) == energy * X
    assert parse_expression("twice(x)", NAMES, {"twice": lambda u: 2 * u}) == 2 * X
    with pytest.raises(InputError, match="sin in 'sin\\(x\\)' is no known function"):
        parse_expression("sin(x)", NAMES, {"twice": lambda u: 2 * u})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x^2", r"uses \^, which is no power here; write \*\* instead"),
        ("2x", r"'2x' cannot be read .*; products are written 2\*x"),
        ("lambda*x", "lambda cannot be a name"),
        ("", "The expression is empty"),
        (" \t\n", "The expression is empty"),
        ("omega*x", r"omega in 'omega\*x' is not known. Known names: E, hbar, p, pi, x\."),
        ("hbr*x", r"hbr .* is not known. Did you mean hbar\? Known names"),
        ("snh(x)", r"snh in 'snh\(x\)' is no known function. Did you mean sinh\?"),
        ("sin", r"sin in 'sin' lacks its argument; write sin\(...\)"),
        ("sin()", r"sin takes one argument and 0 are given"),
        ("sqrt(x, 2)", r"sqrt takes one argument and 2 are given"),
        ("sin(x=1)", r"sin takes plain expressions"),
        ("sin(*x)", r"sin takes plain expressions"),
        ("x(2)", r"'x\(2\)' calls x, which is no function; a \* may be missing"),
        ("(x+1)(p)", r"calls something that has no name; a \* may be missing"),
        ("x.real", "is not allowed in an expression"),
        ("x[0]", "is not allowed in an expression"),
        ("(x, p)", "is not allowed in an expression"),
        ("x if p else 1", "is not allowed in an expression"),
        ("x and p", "is not allowed in an expression"),
        ("not x", "is not allowed in an expression"),
        ("x // p", "is not allowed in an expression"),
        ("None", "is not allowed in an expression"),
        ("True", "is not allowed in an expression"),
        ("1j*x", "'1j' in '1j\\*x' is not allowed"),
        ("x; p", "contains ';'"),
        ("'x'", 'contains "\'"'),
        ("x @ p", "contains '@'"),
        ("x := 1", "contains ':'"),
        ("x == p", "cannot be read|is not allowed"),
        ("x\\", "contains"),
        ("x # p", "contains '#'"),
        ("{x}", "contains '{'"),
        ("x\x00", "contains"),
        ("\ud800", "contains"),
        ("__import__(x)", "__import__ .* is no known function"),
        ("1/0", "'1/0' divides by zero"),
        ("x/(1 - 1)", "divides by zero"),
        ("0**(-1)", "divides by zero"),
        ("0**x", "divides by zero"),
        ("sqrt(-1)", r"'sqrt\(-1\)' is not a finite real number"),
        ("x + asin(2)", r"'asin\(2\)' is not a finite real number"),
        ("(-8)**(1/3)", "is not a finite real number"),
        ("log(0)*x", "is not a finite real number"),
        ("tan(pi/2)", "is not a finite real number"),
        ("9**9**9", r"'9\*\*9\*\*9' has an exponent beyond 1000"),
        ("x**1e6", "has an exponent beyond 1000"),
        ("(x**1000)**1000", "has an exponent beyond 1000"),
        ("x**900*x**900", "has an exponent beyond 1000"),
        ("(10**300 + 7)**1000", "has more digits than can be kept exactly"),
        ("1e999999999", "1e999999999 is beyond the range of double precision"),
        ("1e-999999999", "beyond the range of double precision"),
        ("1" * 3990, "beyond the range of double precision"),
        ("exp(1000)", r"'exp\(1000\)' is beyond the range"),
        ("exp(exp(exp(exp(100))))", "beyond the range"),
        ("x*1e200*1e200", "beyond the range"),
        ("sin(10**200)", "has no digit that a double could hold"),
        ("(1/3)**(x - 1e150)", "has an exponent beyond 1000"),
        ("((1/3)**(x - 900))**900", "has an exponent beyond 1000"),
        ("asinh(logistic(17)/999**0.333333333333)", "raises a number to a fraction with a denominator beyond 200"),
        ("x*exp(0.823456789*log(12))", "raises a number to a fraction with a denominator beyond 200"),
        ("*".join(f"12**(1/{q})" for q in (199, 197, 193, 191, 181, 179)), "needs too high a root of a number"),
        ("sqrt(" * 29 + "12" + ")" * 29, "needs too high a root of a number"),
        ("x" * 4001, "The expression has 4001 characters; at most 4000 are read"),
        ("-" * 3000 + "x", "is nested"),
        ("sin(" * 60 + "x" + ")" * 60, "is nested more than 30 deep"),
        ("(" * 1500 + "x" + ")" * 1500, "nested|too many"),
        ("x" + "**x" * 1000, "is nested"),
    ],
)
def test_everything_else_is_refused_with_what_is_wrong_and_what_to_do(text, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        parse_expression(text, NAMES)
    assert len(str(caught.value)) < 400 and str(caught.value).endswith(".")


def test_fractional_powers_of_variables_and_small_roots_of_numbers_are_exact():
    assert parse_expression("x**0.3333333", NAMES) == X ** sp.Rational(3333333, 10**7)
    assert parse_expression("(x**2 + 1)**0.125*2**0.25", NAMES) == (X**2 + 1) ** sp.Rational(1, 8) * sp.root(2, 4)
    assert parse_expression("exp(-100000*x)", NAMES) == parse_expression("E**(-1e5*x)", NAMES) == sp.exp(-(10**5) * X)
    assert parse_expression("12**(-2/3)", {}) == sp.Integer(12) ** sp.Rational(-2, 3)


def test_what_sympy_does_not_finish_is_given_up_and_the_profiler_is_put_back(monkeypatch):
    monkeypatch.setattr(expressions, "PATIENCE", 0.2)
    before = sys.getprofile()
    with pytest.raises(InputError, match=r"'Abs\(exp\(z\*\*999\)\)' is still not formed after 0\.2 s; write it"):
        # A variable without assumptions is split into real and imaginary part, and the power of the sum expanded.
        parse_expression("Abs(exp(z**999))", {**NAMES, "z": sp.Symbol("z")})
    assert sys.getprofile() is before


def test_what_is_no_text_is_refused():
    with pytest.raises(InputError, match="5 is not a text"):
        parse_expression(5, NAMES)


def test_many_names_are_not_listed_in_full():
    with pytest.raises(InputError, match=r"and 182 more\.$"):
        parse_expression("q", {f"w{i}": sp.Symbol(f"w{i}") for i in range(200)})


def test_long_sums_and_products_are_no_nesting():
    assert parse_expression("+".join(["x"] * 1500), NAMES) == 1500 * X
    assert parse_expression("*".join(["x"] * 900), NAMES) == X**900


def test_a_sum_of_constants_keeps_its_value():
    text = "+".join(f"sin({i})" for i in range(2, 100))
    assert math.isclose(float(parse_expression(text, {})), math.fsum(math.sin(i) for i in range(2, 100)), rel_tol=1e-13)


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        expression = parse_expression(text, NAMES)
    except InputError:
        return
    assert expression.free_symbols <= {X, P, HBAR}


PIECES = [
    *"x p hbar pi E 1 0 7 0.3 1e290 1e-290 10**14 ( ) (( )) + - * / ** , . = ^ _ [ ] None 1e ħ".split(),
    *(" ", "not ", " if ", " else "),
    *(f"{name}(" for name in FUNCTIONS),
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_string_of_the_languages_own_pieces_is_read_or_refused(text):
    for read in (
        lambda: parse_expression(text, NAMES),
        lambda: parse_call(f"GaussianState({text})", CONSTRUCTORS, NAMES),
    ):
        try:
            read()
        except InputError as error:
            assert str(error).endswith(".")


def well_formed(inner):
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda t: f"{t[0]}({t[1]})"),
    )


@settings(max_examples=300)
@given(st.recursive(st.sampled_from("x 2 pi 0.3 1e150 7/3 E 10**99 0".split()), well_formed, max_leaves=9))
def test_any_well_formed_constant_is_finite_and_real_or_refused(text):
    try:
        expression = parse_expression(text, NAMES)
    except InputError:
        return
    if expression.is_number:
        assert math.isfinite(float(expression.evalf()))


def test_a_state_is_constructed_from_exact_arguments():
    state = parse_call("GaussianState(a=sqrt(hbar), x0=0.1)", CONSTRUCTORS, NAMES)
    assert isinstance(state, GaussianState)
    assert state.a == (sp.sqrt(HBAR),) and state.x0 == (sp.Rational(1, 10),) and state.c is None
    assert parse_call("GaussianState(1, c=None)", CONSTRUCTORS, NAMES).a == (1,)
    two = parse_call("GaussianState((1, 2), x0=[0, exp(1)])", CONSTRUCTORS, NAMES)
    assert two.a == (1, 2) and two.x0 == (0, sp.E)


def test_mixtures_nest():
    mixture = parse_call(
        "Mixture([(1/3, GaussianState(a=1)), (2/3, CatState(a=1, b=2))])", CONSTRUCTORS, NAMES
    )
    assert mixture.weights == (sp.Rational(1, 3), sp.Rational(2, 3))
    assert [type(s) for s in mixture.states] == [GaussianState, CatState]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x0=1", "cannot be read"),
        ("GaussianState", r"'GaussianState' is not a construction; write one such as GaussianState\(...\)"),
        ("GausianState(a=1)", r"no known construction. Did you mean GaussianState\? Known: CatState, GaussianState, M"),
        ("GaussianState()", r"missing a required argument: 'a'; write GaussianState\(a"),
        ("GaussianState(a=1, b=1)", r"got an unexpected keyword argument 'b'; write GaussianState\(a"),
        ("GaussianState(a=1, a=2)", "gives a twice; give it once"),
        ("GaussianState(**x)", r"unpacks its arguments with \*\*; write each one out"),
        ("GaussianState(*x)", "is not allowed in an expression"),
        ("GaussianState(a=-1)", "The width a is -1; it has to be positive"),
        ("GaussianState(a=None)", "The width a is None, which is not a finite real number"),
        ("GaussianState(a=eval(x))", "eval in .* is no known"),
        ("GaussianState(a=[x for x in p])", "is not allowed in an expression"),
        ("Mixture([(1, 2)])", "2 in a mixture is not a state"),
        ("Mixture(7)", r"A mixture is a list of \(weight, state\) pairs; 7 was given"),
        ("sin(x)", "sin in 'sin\\(x\\)' is no known construction"),
        ("GaussianState(a=1).__class__(a=1)", "calls something that has no name"),
        ("Mixture(" + "[" * 60 + "]" * 60 + ")", "nested"),
    ],
)
def test_other_constructions_are_refused(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_call(text, CONSTRUCTORS, NAMES)


def test_values_come_one_or_several():
    assert parse_values("(0, 5, 51)") == (0, 5, 51)
    assert parse_values("0.1, 2*pi") == (sp.Rational(1, 10), 2 * sp.pi)
    assert parse_values("[hbar]", NAMES) == (HBAR,)
    assert parse_values("7") == (7,)
    with pytest.raises(InputError, match="is not allowed"):
        parse_values("(0, (5, 51))")


def test_assignments_are_split_at_the_first_sign():
    items = ["H = p**2/2 + x**4/4", "hbar=0.05", "times=(0,5,51)", "state=GaussianState(a=1)"]
    assert parse_assignments(items) == {
        "H": "p**2/2 + x**4/4", "hbar": "0.05", "times": "(0,5,51)", "state": "GaussianState(a=1)",
    }
    assert parse_assignments([]) == {}


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        (["hbar"], "'hbar' assigns nothing; write name=value"),
        (["=0.5"], "'=0.5' has no name before its '='"),
        (["2*x=0.5"], "has no name before its '='"),
        (["hbar="], "'hbar=' has no value after its '='; write hbar=value"),
        (["hbar==1"], "has no value after its '='"),
        (["hbar=1", " hbar = 2"], "hbar is given twice, as '1' and as '2'; give it once"),
    ],
)
def test_assignments_that_assign_nothing_are_refused(items, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_assignments(items)
