"""Polynomials times exponentials of quadratic forms: their star products, integrals and smoothings in closed form.

A term is P(z) exp(-z.A z + b.z + c) with z = (x_1, ..., x_n, p_1, ..., p_n). Star product, integral over some
variables and heat flow are Gaussian integrals over a shift u of z: the exponent at the stationary point, a
determinant, and the polynomial averaged over the fluctuations, <P(z + u)> = exp(d.C d/4) P at the stationary
point, which ends because P is a polynomial.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace

# Signs that assumptions do not decide are looked up at this many points drawn from a fixed seed.
SAMPLES = 12
SEED = 1908
# Cancelling longer fractions (products of products of complex Gaussians) takes minutes and shortens little.
LONGEST_CANCELLED = 300


class GaussianTerm(NamedTuple):
    """polynomial * exp(-z.form z + linear.z + constant), form symmetric, z the variables of the reading."""

    polynomial: Any
    form: sp.Matrix
    linear: sp.Matrix
    constant: Any

    @property
    def flat(self) -> bool:
        """Whether the quadratic form is zero (polynomials, waves)."""
        return self.form.is_zero_matrix is True


def gaussian_terms(f: sp.Expr, variables: Sequence[sp.Symbol]) -> list[GaussianTerm] | None:
    """Read a sum of polynomials times exponentials of quadratic forms.

    Arguments:
        f: SymPy expression; sines, cosines, sinh and cosh of linear forms count as exponentials.
        variables: those in which polynomials and quadratic forms are read; other symbols are parameters.

    Returns:
        Its terms, one for each exponent; None if f is not such a sum.
    """
    waves = [t for t in f.atoms(sp.sin, sp.cos, sp.sinh, sp.cosh) if t.free_symbols.intersection(variables)]
    rewritten = f.xreplace({t: t.rewrite(sp.exp) for t in waves})
    # Expansion would multiply out what does not depend on the variables, denominators included.
    masks: dict[Any, Any] = {}
    rewritten = masked_parameters(rewritten, variables, masks)
    unmask = {mask: expression for expression, mask in masks.items()}
    found: dict[Any, Any] = {}
    for term in sp.Add.make_args(sp.expand(rewritten, power_exp=False)):
        polynomial: Any = sp.Integer(1)
        exponent: Any = sp.Integer(0)
        for factor in sp.Mul.make_args(term):
            if isinstance(factor, sp.exp) and factor.free_symbols.intersection(variables):
                exponent += factor.args[0]
            else:
                polynomial *= factor
        exponent = sp.expand(exponent)
        if not (polynomial.is_polynomial(*variables) and exponent.is_polynomial(*variables)):
            return None
        found[exponent] = found.get(exponent, sp.Integer(0)) + polynomial
    terms = []
    for exponent, polynomial in found.items():
        polynomial = polynomial.xreplace(unmask)
        if polynomial == 0:
            continue
        poly = sp.Poly(exponent.xreplace(unmask), *variables, domain=sp.EXRAW)
        if poly.total_degree() > 2:
            return None
        terms.append(GaussianTerm(polynomial, *_parts(poly)))
    return terms


def masked_parameters(expression: Any, variables: Sequence[sp.Symbol], masks: dict[Any, Any]) -> Any:
    """The expression with its largest composite parts that are free of the variables replaced by symbols.

    `masks` receives {part: symbol}; numbers with the imaginary unit stay visible.
    """
    if expression.is_Atom or not expression.args:
        return expression
    if expression.free_symbols.isdisjoint(variables):
        if expression.has(sp.I):
            return expression
        if expression not in masks:
            masks[expression] = sp.Dummy("c")
        return masks[expression]
    return expression.func(*(masked_parameters(a, variables, masks) for a in expression.args))


def _parts(poly: sp.Poly) -> tuple[sp.Matrix, sp.Matrix, Any]:
    size = len(poly.gens)
    form, linear, constant = sp.zeros(size, size), sp.zeros(size, 1), sp.Integer(0)
    for monomial, coefficient in poly.terms():
        where = [i for i, n in enumerate(monomial) for _ in range(n)]
        if not where:
            constant = coefficient
        elif len(where) == 1:
            linear[where[0]] = coefficient
        else:
            i, j = where
            form[i, j] -= coefficient / 2
            form[j, i] -= coefficient / 2
    return form, linear, constant


def exponent_of(term: GaussianTerm, variables: Sequence[sp.Symbol]) -> Any:
    """-z.A z + b.z + c as an expression."""
    z = sp.Matrix(list(variables))
    return (-(z.T * term.form * z) + term.linear.T * z)[0] + term.constant


# -- the star product ----------------------------------------------------------------------------------------


def star_gaussians(left: Sequence[GaussianTerm], right: Sequence[GaussianTerm], space: PhaseSpace) -> sp.Expr:
    """The star product of two sums of terms over the variables of the space.

    With u, v the shifts of the left and right factor, the integral form of the star product is

        (f * g)(z) = (pi hbar)^{-2n} int f(z + u) g(z + v) exp[(2i/hbar) u.J v] du dv,    J = [[0, 1], [-1, 0]],

    whose Gaussian integral has the determinant det(1 - hbar^2 J B J A) of the quadratic forms A, B. Forms that
    grow or oscillate are composed by analytic continuation in them, as the series is; the root of the determinant
    is the one that is 1 at hbar = 0 and is principal in each of its factors.

    Raises:
        InputError: where the determinant vanishes or has become negative: there the product of the two
            operators has no such symbol.

    Source: J. M. Gracia-Bondia, Contemp. Math. 134, 93 (1992); the integral form: J. von Neumann,
        Math. Ann. 104, 570 (1931).
    """
    return sp.Add(*(_compose(f, g, space) for f in left for g in right))


def _compose(f: GaussianTerm, g: GaussianTerm, space: PhaseSpace) -> sp.Expr:
    n, variables = space.dimension, space.variables
    z = sp.Matrix(list(variables))
    # The hbar of the product is told apart from that in widths, so that the determinant is 1 where it vanishes.
    eta = sp.Dummy("eta", positive=True)
    one, zero = sp.eye(n), sp.zeros(n, n)
    J = sp.Matrix(sp.BlockMatrix([[zero, one], [-one, zero]]))
    A, B = f.form, g.form
    if f.flat or g.flat:
        adjugate, determinant, weight = sp.eye(2 * n), sp.Integer(1), sp.Integer(1)
    else:
        N = (sp.eye(2 * n) - eta**2 * J * B * J * A).applyfunc(lowest_terms)
        determinant = _determinant(N)
        weight = _inverse_root(determinant, eta, space)
        adjugate = N.adjugate()
    u_left, u_right = -(eta**2) * adjugate * J * B * J, sp.I * eta * adjugate * J
    v_right = -(eta**2) * J * A * adjugate * J
    blocks = sp.Matrix(sp.BlockMatrix([[u_left, u_right], [u_right.T, v_right]]))
    covariance = blocks.applyfunc(lambda e: lowest_terms((e / determinant).xreplace({eta: space.hbar})))
    linear = sp.Matrix([*(f.linear - 2 * A * z), *(g.linear - 2 * B * z)])
    # Half the inverse of the form of the integral, applied to its linear part: where the exponent is stationary.
    mean = covariance * linear / 2
    exponent = exponent_of(f, variables) + exponent_of(g, variables) + (linear.T * mean)[0] / 2
    a, b = _dummies("a", 2 * n), _dummies("b", 2 * n)
    product = f.polynomial.xreplace(dict(zip(variables, a, strict=True))) * g.polynomial.xreplace(
        dict(zip(variables, b, strict=True))
    )
    shifted = [s + m for s, m in zip([*z, *z], mean, strict=True)]
    polynomial = average(product, a + b, shifted, covariance, variables)
    return weight.xreplace({eta: space.hbar}) * polynomial * sp.exp(_tidy(exponent, variables))


def _inverse_root(determinant: Any, eta: sp.Symbol, space: PhaseSpace) -> Any:
    """The determinant to the power -1/2, continuous from 1 at eta = 0."""
    determinant = lowest_terms(determinant)
    if determinant == 0:
        raise _singular(space)
    if sp.count_ops(determinant) > LONGEST_CANCELLED:
        return 1 / sp.sqrt(determinant)
    _, factors = sp.factor_list(sp.numer(sp.together(determinant)))
    weight: Any = sp.Integer(1)
    for factor, power in factors:
        start = factor.subs(eta, 0)
        # Factors without eta cancel against the denominator, because the determinant is 1 at eta = 0.
        if not factor.has(eta):
            continue
        scaled = sp.expand(sp.cancel(factor / start))
        value = sp.simplify(scaled.xreplace({eta: space.hbar}))
        if value.is_zero:
            raise _singular(space)
        if power % 2 and value.is_negative:
            raise InputError(
                "The star product of these Gaussians does not exist: the determinant of their composition is "
                f"{value}, which has become negative; one of them grows faster than the other one decays. Give "
                "order=2 (or another power of hbar) for a truncated result."
            )
        weight *= value ** sp.Rational(-power, 2)
    return weight


def _singular(space: PhaseSpace) -> InputError:
    return InputError(
        "The star product of these Gaussians is singular: the determinant of their composition is zero, and the "
        "product of the two operators has no smooth symbol (it is a delta function such as that of the parity). "
        f"Change a width, or write the product as an operator word, with {space!r}.parity()."
    )


# -- integrals and heat flow ---------------------------------------------------------------------------------


def integrate_term(term: GaussianTerm, variables: Sequence[sp.Symbol], over: Sequence[sp.Symbol]) -> sp.Expr | None:
    """The integral of a term over some of its variables, each from -oo to oo.

    Returns:
        The integral, or None where it does not converge.
    """
    if not over:
        return term.polynomial * sp.exp(exponent_of(term, variables))
    inside = [i for i, v in enumerate(variables) if v in over]
    rest = [v for v in variables if v not in over]
    form = term.form.extract(inside, inside)
    if not positive_definite(form):
        return None
    slope = (term.linear - 2 * term.form * sp.Matrix([0 if v in over else v for v in variables])).extract(inside, [0])
    inverse = _inverse(form)
    mean = inverse * slope / 2
    kept = {v: sp.Integer(0) for v in over}
    exponent = exponent_of(term, variables).xreplace(kept) + (slope.T * mean)[0] / 2
    polynomial = average(term.polynomial, [variables[i] for i in inside], list(mean), inverse, rest)
    weight = sp.sqrt(sp.pi ** len(inside)) / sp.sqrt(sp.factor(_determinant(form)))
    return weight * polynomial * sp.exp(_tidy(exponent, rest))


def heat_flow(term: GaussianTerm, variables: Sequence[sp.Symbol], S: sp.Matrix) -> GaussianTerm:
    """exp(d.S d/4) of a term: its convolution with exp(-u.S^{-1} u) for positive S, undone for negative S.

    Raises:
        ZeroDivisionError: where the width of the term has shrunk to nothing.
    """
    N = (sp.eye(len(variables)) + S * term.form).applyfunc(lowest_terms)
    determinant = lowest_terms(_determinant(N))
    if sign_of(determinant) == "zero":
        raise ZeroDivisionError
    inverse = _inverse(N)
    C = (inverse * S).applyfunc(lowest_terms)
    z = sp.Matrix(list(variables))
    mean = C * (term.linear - 2 * term.form * z) / 2
    polynomial = average(term.polynomial, list(variables), list(z + mean), C, variables) / positive_root(determinant)
    constant = term.constant + (term.linear.T * C * term.linear)[0] / 4
    return GaussianTerm(
        polynomial,
        (term.form * inverse).applyfunc(lowest_terms),
        (inverse.T * term.linear).applyfunc(lowest_terms),
        constant,
    )


def average(
    polynomial: Any,
    symbols: Sequence[Any],
    mean: Sequence[Any],
    covariance: sp.Matrix,
    variables: Sequence[Any],
) -> Any:
    """exp(d.C d/4) P at the point `mean`: the Gaussian average of a polynomial, by Wick's theorem.

    The result is a polynomial in `variables` with coefficients in lowest terms.
    """
    polynomial = sp.sympify(polynomial)
    present = [i for i, s in enumerate(symbols) if polynomial.has(s)]
    if not present:
        return polynomial
    poly = sp.Poly(polynomial, *(symbols[i] for i in present), domain=sp.EXRAW)
    total, k = poly, 0
    while not poly.is_zero:
        k += 1
        following = sp.Poly(0, *poly.gens, domain=sp.EXRAW)
        for i, s in zip(present, poly.gens, strict=True):
            first = poly.diff(s)
            if first.is_zero:
                continue
            for j, r in zip(present, poly.gens, strict=True):
                if covariance[i, j] != 0:
                    following += first.diff(r).mul_ground(covariance[i, j] / (4 * k))
        poly = following
        total += poly
    values = dict(zip(poly.gens, (mean[i] for i in present), strict=True))
    result = total.as_expr().xreplace(values)
    return _tidy(result, variables)


# -- signs and small matrices --------------------------------------------------------------------------------


def sign_of(value: Any) -> str:
    """The sign of the real part: "positive", "negative", "zero", or "mixed" where it depends on the parameters.

    What assumptions do not decide is looked up at random values of the parameters (all positive where they carry no
    assumption).
    """
    value = sp.re(sp.simplify(value)) if value.has(sp.I) else value
    for name in ("positive", "negative", "zero"):
        if getattr(value, f"is_{name}"):
            return name
    draw = random.Random(SEED)
    symbols = sorted(value.free_symbols, key=str)
    signs = set()
    for _ in range(SAMPLES):
        point = {}
        for s in symbols:
            number = sp.Rational(draw.randint(1, 400), 100)
            signed = s.is_extended_positive is None and s.is_extended_real and draw.random() < 0.5
            point[s] = -number if signed else number
        number = value.xreplace(point).evalf(30)
        if not number.is_Float and not number.is_Rational:
            return "mixed"
        signs.add("zero" if abs(number) < 1e-20 else "positive" if number > 0 else "negative")
    return signs.pop() if len(signs) == 1 else "mixed"


def positive_root(value: Any) -> Any:
    """The positive root of a positive number, squares taken out with their signs looked up."""
    root: Any = sp.Integer(1)
    for base, power in sp.factor(value).as_powers_dict().items():
        if power.is_even:
            root *= (-base if sign_of(base) == "negative" else base) ** (power / 2)
        else:
            root *= sp.sqrt(base**power)
    return root


def positive_definite(form: sp.Matrix) -> bool:
    """Whether the real part of a symmetric form is positive definite, by its leading minors."""
    real = form.applyfunc(lambda e: sp.re(e) if e.has(sp.I) else e)
    return all(sign_of(_determinant(real[:k, :k])) == "positive" for k in range(1, real.rows + 1))


def _determinant(matrix: sp.Matrix) -> Any:
    return matrix.det(method="berkowitz")


def _inverse(matrix: sp.Matrix) -> sp.Matrix:
    """The inverse with every entry in lowest terms."""
    determinant = sp.factor(_determinant(matrix))
    return (matrix.adjugate() / determinant).applyfunc(lowest_terms)


def _tidy(polynomial: Any, variables: Sequence[Any]) -> Any:
    """A polynomial of the variables whose coefficients are in lowest terms."""
    if not variables:
        return lowest_terms(polynomial)
    poly = sp.Poly(polynomial, *variables, domain=sp.EXRAW)
    return sp.Add(
        *(
            sp.factor_terms(lowest_terms(c)) * sp.Mul(*(v**i for v, i in zip(variables, m, strict=True)))
            for m, c in poly.terms()
        )
    )


def lowest_terms(value: Any) -> Any:
    """A rational function in lowest terms, real and imaginary part apart; very long ones are left as they are.

    SymPy's greatest common divisors over the Gaussian integers take minutes where those over the integers take
    milliseconds, so the imaginary unit is a symbol meanwhile.
    """
    if sp.count_ops(value) > LONGEST_CANCELLED:
        return value
    if not value.has(sp.I):
        return sp.cancel(value)
    unit = sp.Dummy("i")
    numerator, denominator = sp.fraction(sp.together(value.xreplace({sp.I: unit})))
    if denominator.has(unit):
        real, imaginary = _modulo_unit(denominator, unit)
        numerator = numerator * (real - imaginary * unit)
        denominator = sp.expand(real**2 + imaginary**2)
    real, imaginary = _modulo_unit(numerator, unit)
    return sp.cancel(real / denominator) + sp.I * sp.cancel(imaginary / denominator)


def _modulo_unit(polynomial: Any, unit: sp.Symbol) -> tuple[Any, Any]:
    """Real and imaginary part of a polynomial in the imaginary unit."""
    parts = [sp.Integer(0), sp.Integer(0)]
    for (n,), c in sp.Poly(polynomial, unit, domain=sp.EXRAW).terms():
        parts[n % 2] += (-1) ** (n // 2) * c
    return parts[0], parts[1]


def _dummies(stem: str, number: int) -> list[sp.Dummy]:
    return [sp.Dummy(f"{stem}{i}", real=True) for i in range(number)]
