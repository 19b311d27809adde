"""The Weyl symbol of an operator expression in X and P.

    A~(x, p) = int e^{-ipy/hbar} <x + y/2| A |x - y/2> dy

The symbol of a product is the star product of the symbols, so that a word in any order is a chain of star products;
what is a function of operators that commute with each other (f(X), f(P), f(aX + bP), f(X, Y)) has the same function
of the variables as its symbol, and exponentials of quadratic forms, the parity and |n><m| have closed forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.gaussians import sign_of
from qnnsym.phase_space.moyal import check_order, star
from qnnsym.phase_space.ring import Element, NotClosed, element
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.weyl.closed_symbols import deltas_reduced, exponential_symbol, ket_bra_symbol, parity_symbol
from qnnsym.phase_space.weyl.operators import KetBra, Parity, commuting_pieces, to_variables

# Whole functions are defined for combinations such as X + iP; others need a Hermitian argument.
ENTIRE = (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh)


def weyl_symbol(operator: Any, space: PhaseSpace, order: int | None = None) -> sp.Expr:
    """The Weyl symbol of an operator.

    Arguments:
        operator: SymPy expression in `space.X`, `space.P`, `space.parity()`, `space.ket_bra(n, m)` and commuting
            parameters: words in any order, powers, functions of commuting combinations (undefined ones too), and
            exponentials of quadratic forms. It need not be Hermitian. (SymPy merges neighbouring exponentials such
            as exp(X + P)*exp(-P) into one before this function sees them; write such a product with
            sp.Mul(..., evaluate=False), or take star() of the two symbols.)
        space: the phase space.
        order: the highest power of hbar kept in star products whose series does not end; None for exact symbols.

    Returns:
        A SymPy expression in the variables of the space and hbar; delta functions for the parity,
        (h/2)^n delta(x) delta(p) with h = 2 pi hbar.

    Raises:
        InputError: for expressions with the commuting variables in them, operators that are not the space's,
            functions of operators that do not commute, and products without a closed form.

    Source: H. Weyl, Z. Phys. 46, 1 (1927); H. J. Groenewold, Physica 12, 405 (1946); parity: A. Royer,
        Phys. Rev. A 15, 449 (1977).
    """
    order = check_order(order)
    expression = check_operator(operator, space)
    if expression.has(Parity, KetBra):
        expression = sp.expand(expression)
    return _tidy(_Reading(space, order).symbol(expression), space)


def check_operator(operator: Any, space: PhaseSpace) -> sp.Expr:
    """The operator with exact numbers, after making sure that it is one on this space.

    Raises:
        InputError: saying what else it holds.
    """
    try:
        expression = sp.sympify(operator, strict=True)
    except sp.SympifyError:
        expression = None
    if not isinstance(expression, sp.Expr) or getattr(expression, "is_Matrix", False):
        raise InputError(
            f"{operator!r} is not an operator; give a SymPy expression in {_names(space.X + space.P)} (space.X, "
            "space.P)."
        )
    expression = exact_decimals(expression)
    if expression.has(sp.oo, -sp.oo, sp.zoo, sp.nan):
        raise InputError(f"The operator {expression} is not finite; remove the infinite or undefined part.")
    mixed: list[Any] = sorted(expression.free_symbols.intersection(space.variables), key=str)
    if mixed:
        raise InputError(
            f"The operator {expression} holds the commuting variable(s) {_names(mixed)}; write "
            f"{_names([space.operator_of[v] for v in mixed])} (space.X, space.P) there. A function on phase space is "
            "its own symbol and needs no weyl_symbol; weyl_quantize makes an operator of it."
        )
    known = {*space.X, *space.P}
    strangers = sorted((s for s in expression.free_symbols if not s.is_commutative and s not in known), key=str)
    if strangers:
        raise InputError(
            f"The operator {expression} holds {_names(strangers)}, not operators of {space!r}; its operators are "
            f"{_names(space.X + space.P)}, space.parity() and space.ket_bra(n, m)."
        )
    # SymPy takes functions declared real, and Abs, for numbers and may have moved them past other operators.
    lost = [p for m in expression.atoms(sp.Mul) if m.args_cnc()[1] for p in commuting_pieces(m, space)]
    if lost:
        raise InputError(
            f"The operator {expression} holds {lost[0]}, which SymPy lets commute with every operator, so that the "
            "order of factors may be lost already; declare the function without assumptions (sp.Function('U')), and "
            "write sqrt(X**2) for Abs(X)."
        )
    for piece in expression.atoms(Parity, KetBra):
        dimension = int(piece.args[0]) if isinstance(piece, Parity) else len(piece.n)
        if dimension != space.dimension:
            raise InputError(
                f"The operator {piece} in {expression} acts on {dimension} degree(s) of freedom and {space!r} has "
                f"{space.dimension}; make it with this space."
            )
    return expression


class _Reading:
    """Symbols of sub-expressions, from the outside in."""

    def __init__(self, space: PhaseSpace, order: int | None):
        self.space = space
        self.order = order
        self.variable = {**dict(zip(space.X, space.x, strict=True)), **dict(zip(space.P, space.p, strict=True))}

    def _constant(self, expression: Any) -> bool:
        return expression.is_commutative and expression.free_symbols.isdisjoint(self.variable)

    def symbol(self, expression: Any) -> Any:
        if self._constant(expression):
            return expression
        if expression in self.variable:
            return self.variable[expression]
        if isinstance(expression, Parity):
            return parity_symbol(self.space)
        if isinstance(expression, KetBra):
            return ket_bra_symbol(expression, self.space)
        if expression.is_Add:
            return sp.Add(*(self.symbol(term) for term in expression.args))
        found = self._of_commuting(expression)
        if found is not None:
            return found
        if expression.is_Mul:
            return self._word(expression)
        if expression.is_Pow and expression.base is not sp.E:
            return self._power(expression)
        if isinstance(expression, sp.exp):
            return self._exponential(expression)
        raise InputError(
            f"{expression} is a function of operators that do not commute with each other, which has no closed symbol; "
            "polynomials, functions of one combination a*X + b*P and exponentials of quadratic forms have one."
        )

    # -- functions of operators that commute with each other ----------------------------------------------------

    def _of_commuting(self, expression: Any) -> Any | None:
        leaves = list(self._leaves(expression))
        if any(leaf is None for leaf in leaves):
            return None
        for i, a in enumerate(leaves):
            if any(self._commutator(a, b) != 0 for b in leaves[:i]):
                return None
        symbol = to_variables(expression, self.space)
        self._check_powers(expression)
        if any(_complex(leaf) for leaf in leaves) and not _entire(expression):
            raise InputError(
                f"{expression} is a function of an operator that is not Hermitian, and only polynomials and "
                "exponentials are defined of such; give a real combination of X and P."
            )
        return symbol

    def _leaves(self, expression: Any) -> Iterator[dict[Any, Any] | None]:
        """The linear forms that an expression is made of; None for an operator that is no function of any."""
        if self._constant(expression):
            return
        form = self._linear(expression)
        if form is not None:
            yield form
        elif isinstance(expression, (Parity, KetBra)) or not expression.args:
            yield None
        elif expression.is_Add:
            linear: dict[Any, Any] = {}
            for term in expression.args:
                form = self._linear(term)
                if form is None:
                    yield from self._leaves(term)
                for operator, c in (form or {}).items():
                    linear[operator] = linear.get(operator, 0) + c
            if linear:
                yield linear
        else:
            for argument in expression.args:
                if isinstance(argument, sp.Expr) and not self._constant(argument):
                    yield from self._leaves(argument)

    def _linear(self, expression: Any) -> dict[Any, Any] | None:
        """{operator: coefficient} of a linear form; constants are left out."""
        if expression in self.variable:
            return {expression: sp.Integer(1)}
        if self._constant(expression):
            return {}
        if expression.is_Mul:
            c, factors = expression.args_cnc()
            if len(factors) != 1 or not all(self._constant(number) for number in c):
                return None
            inner = self._linear(factors[0])
            return None if inner is None else {k: sp.Mul(*c, v) for k, v in inner.items()}
        if expression.is_Add:
            total: dict[Any, Any] = {}
            for term in expression.args:
                form = self._linear(term)
                if form is None:
                    return None
                for operator, c in form.items():
                    total[operator] = total.get(operator, 0) + c
            return total
        return None

    def _commutator(self, a: dict[Any, Any], b: dict[Any, Any]) -> Any:
        """The symplectic product of two linear forms."""
        pairs = zip(self.space.X, self.space.P, strict=True)
        return sp.expand(sp.Add(*(a.get(X, 0) * b.get(P, 0) - a.get(P, 0) * b.get(X, 0) for X, P in pairs)))

    def _check_powers(self, expression: Any) -> None:
        """Refuse powers that are not defined on the whole spectrum."""
        for power in (p for p in expression.atoms(sp.Pow) if not p.is_commutative and p.base is not sp.E):
            base, exponent = to_variables(power.base, self.space), power.exp
            if not exponent.is_commutative or (exponent.is_Integer and exponent >= 0):
                continue
            if exponent.could_extract_minus_sign() and self._vanishes_somewhere(power.base, base):
                raise InputError(
                    f"{power} divides by the operator {power.base}, which takes the value 0, so that its symbol is not "
                    f"integrable there; give a regular denominator, such as 1/({power.base}**2 + eps**2)."
                )
            if exponent.is_integer or base.is_nonnegative or base.atoms(AppliedUndef):
                continue
            if sign_of(base) != "positive":
                raise InputError(
                    f"{power} is a power that is not an integer, of the operator {power.base}, which takes negative "
                    "values too; give a positive operator, such as sqrt(1 + X**2), or an integer exponent (a Symbol "
                    "declared with integer=True)."
                )

        for logarithm in (f for f in expression.atoms(sp.log) if not f.is_commutative):
            if sign_of(to_variables(logarithm.args[0], self.space)) != "positive":
                raise InputError(
                    f"{logarithm} is the logarithm of an operator that takes negative values too; give a positive "
                    "operator, such as log(1 + X**2)."
                )

    def _vanishes_somewhere(self, operator: Any, base: Any) -> bool:
        if self._linear(operator) is not None:
            return True
        present = base.free_symbols.intersection(self.space.variables)
        if len(present) == 1 and base.free_symbols == present and base.is_polynomial(*present):
            return sp.Poly(base, *present).count_roots() > 0
        return False

    # -- words --------------------------------------------------------------------------------------------------

    def _word(self, expression: Any) -> Any:
        coefficients, factors = expression.args_cnc()
        coefficient, factors, parity = self._contracted(sp.Mul(*coefficients), factors)
        if coefficient == 0:
            return sp.Integer(0)
        result: Any = sp.Integer(1)
        for factor in factors:
            result = self._star(result, _element(self.symbol(factor), self.space))
        if parity:
            result = self._times_parity(_plain(result), expression)
        return coefficient * _plain(result)

    def _contracted(self, coefficient: Any, factors: list[Any]) -> tuple[Any, list[Any], bool]:
        """All parities of a word at its right end, or absorbed by a |n><m|; neighbouring |n><m| contracted."""
        word: list[Any] = []
        parity = False
        for factor in factors:
            if isinstance(factor, Parity):
                parity = not parity
            elif factor.is_Pow and isinstance(factor.base, (Parity, KetBra)):
                raise InputError(f"{factor} is a power without meaning; give a non-negative integer exponent.")
            else:
                # What stood right of an odd number of parities has been reflected when they pass it.
                word.append(self._reflected(factor) if parity else factor)
        last = next((i for i in reversed(range(len(word))) if isinstance(_bare(word[i])[1], KetBra)), None)
        if parity and last is not None:
            for i in range(last + 1, len(word)):
                word[i] = self._reflected(word[i])
            coefficient *= (-1) ** sum(_bare(word[last])[1].m)
            parity = False
        result: list[Any] = []
        for factor in word:
            number, bare = _bare(factor)
            coefficient *= number
            before = result[-1] if result else None
            if isinstance(bare, KetBra) and isinstance(before, KetBra) and bare.stiffness == before.stiffness:
                if before.m != bare.n:
                    return sp.Integer(0), [], False
                result[-1] = KetBra(before.n, bare.m, bare.stiffness)
            else:
                result.append(bare)
        return coefficient, result, parity

    def _reflected(self, factor: Any) -> Any:
        replacements: dict[Any, Any] = {operator: -operator for operator in self.variable}
        replacements |= {k: (-1) ** (sum(k.n) + sum(k.m)) * k for k in factor.atoms(KetBra)}
        return factor.xreplace(replacements)

    def _times_parity(self, symbol: Any, word: Any) -> Any:
        """The symbol of A times the parity."""
        try:
            product = star(symbol, parity_symbol(self.space), self.space, self.order)
        except InputError:
            product = None
        if product is None or any(d.args[0].has(sp.I) for d in product.atoms(sp.DiracDelta)):
            raise InputError(
                f"The word {word} holds the parity next to {symbol}; its symbol is a generalised function without a "
                "closed form here. Polynomials and plane waves exp(i*a*X + i*b*P) next to the parity have one."
            )
        return deltas_reduced(product, self.space)

    def _power(self, expression: Any) -> Any:
        base, exponent = expression.base, expression.exp
        if not (exponent.is_Integer and exponent.is_nonnegative):
            what = "divides by" if exponent.could_extract_minus_sign() else f"raises to the power {exponent}"
            raise InputError(
                f"{expression} {what} the operator {base}, whose parts do not commute with each other; only "
                "non-negative integer powers of such an operator have a closed symbol."
            )
        result: Any = sp.Integer(1)
        square = _element(self.symbol(base), self.space)
        n = int(exponent)
        while n:
            if n % 2:
                result = self._star(result, square)
            n //= 2
            if n:
                square = self._star(square, square)
        return _plain(result)

    def _star(self, f: Any, g: Any) -> Any:
        if f == 1:
            return g
        product = star(f, g, self.space, self.order)
        if not isinstance(product, Element) and product.has(sp.DiracDelta):
            product = deltas_reduced(product, self.space)
        return product

    # -- exponentials of quadratic forms ------------------------------------------------------------------------

    def _exponential(self, expression: Any) -> Any:
        """exp of a quadratic form, one factor per degree of freedom."""
        space = self.space
        exponent = sp.expand(self.symbol(expression.args[0]))
        variables = space.variables
        if not (exponent.is_polynomial(*variables) and sp.Poly(exponent, *variables).total_degree() <= 2):
            raise InputError(
                f"{expression} is the exponential of an operator whose parts do not commute and that is no quadratic "
                "form in X and P; it has no closed symbol."
            )
        factors = [sp.exp(exponent.subs(dict.fromkeys(variables, 0)))]
        rest = exponent - exponent.subs(dict.fromkeys(variables, 0))
        for x, p in zip(space.x, space.p, strict=True):
            part = sp.Add(*(t for t in sp.Add.make_args(sp.expand(rest)) if t.has(x, p)))
            if not part.free_symbols.isdisjoint(set(variables) - {x, p}):
                raise InputError(
                    f"{expression} is the exponential of a quadratic form that couples degrees of freedom whose parts "
                    "do not commute; pass to coordinates in which it is a sum over degrees of freedom."
                )
            rest = sp.expand(rest - part)
            if part != 0:
                factors.append(exponential_symbol(part, x, p, space.hbar, expression))
        return sp.Mul(*factors)


# -- small helpers -----------------------------------------------------------------------------------------------


def _bare(factor: Any) -> tuple[Any, Any]:
    """A factor without its commuting part."""
    if not factor.is_Mul:
        return sp.Integer(1), factor
    numbers, rest = factor.args_cnc()
    return (sp.Mul(*numbers), rest[0]) if len(rest) == 1 else (sp.Integer(1), factor)


def _element(symbol: Any, space: PhaseSpace) -> Any:
    """Polynomials as elements of the fast engine, everything else as it is."""
    if isinstance(symbol, Element) or not symbol.is_polynomial(*space.variables):
        return symbol
    try:
        return element(symbol, space)
    except NotClosed:
        return symbol


def _plain(symbol: Any) -> Any:
    return symbol.as_expr() if isinstance(symbol, Element) else symbol


def _tidy(symbol: Any, space: PhaseSpace) -> Any:
    """Polynomials and functions of the ring in its canonical form; exponents of Gaussians stay whole."""
    symbol = _plain(symbol)
    if symbol.is_polynomial(*space.variables) or not symbol.has(sp.exp, sp.DiracDelta):
        try:
            return element(symbol, space).as_expr()
        except NotClosed:
            return sp.expand(sp.powsimp(sp.expand(symbol, power_exp=False)), power_exp=False)
    return symbol


def _complex(form: dict[Any, Any]) -> bool:
    """Whether the coefficients of a linear form are not real multiples of one of them."""
    first, *rest = form.values()
    return any(sp.simplify(sp.im(sp.simplify(c / first))) != 0 for c in rest if (c / first).has(sp.I))


def _entire(expression: Any) -> bool:
    """Whether a function is made of polynomials, exponentials, sines and cosines of its operators alone."""
    if expression.is_commutative or expression.is_Symbol:
        return True
    if expression.is_Pow and expression.base is not sp.E:
        return expression.exp.is_Integer and expression.exp >= 0 and _entire(expression.base)
    return (expression.is_Add or expression.is_Mul or isinstance(expression, ENTIRE)) and all(
        _entire(a) for a in expression.args
    )


def _names(symbols: Any) -> str:
    return ", ".join(map(str, symbols))
