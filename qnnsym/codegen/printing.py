"""Expressions as program text, one printer for all emitters; argument order is SymPy's sort key, never a hash."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from qnnsym.codegen.elementary import CIRCULAR
from qnnsym.errors import InputError

# SymPy class name -> name in the target language; an emitter chooses the table.
MATH = {
    "tanh": "math.tanh",
    "exp": "math.exp",
    "log": "math.log",
    "sin": "math.sin",
    "cos": "math.cos",
    "tan": "math.tan",
    "sinh": "math.sinh",
    "cosh": "math.cosh",
    "atan": "math.atan",
    "asin": "math.asin",
    "acos": "math.acos",
    "asinh": "math.asinh",
    "Abs": "abs",
    "sqrt": "math.sqrt",
    "logistic": "logistic",
    "softplus": "softplus",
    "relu": "relu",
    "step": "step",
}
# Kernels carry their own text of these; what else the math module offers is called there.
NUMBA = {**MATH, "tanh": "tanh", "exp": "exp"}
# Inside loops that vectorise, where the emitter sees to it that arguments are in range.
NUMBA_NEAR = {**NUMBA, **CIRCULAR}
NUMPY = {**{k: v.replace("math.", "np.") for k, v in MATH.items()}, "atan": "np.arctan", "asin": "np.arcsin",
         "acos": "np.arccos", "asinh": "np.arcsinh", "Abs": "np.abs"}
MPMATH = {**{k: v.replace("math.", "mp.") for k, v in MATH.items()}}


class Printer:
    """Prints SymPy expressions with a table of function names and a rule for rational numbers."""

    def __init__(self, functions: Mapping[str, str], exact: bool = False, products: bool = False) -> None:
        self.functions = functions
        self.exact = exact  # rationals as quotients of integers instead of the nearest double
        # x*x for x**2: numba compiles a loop for each power it meets, a tenth of the time a network's kernel takes.
        self.products = products

    def __call__(self, expression: sp.Expr) -> str:
        return self._print(expression, 0)

    def _print(self, e: sp.Expr, strength: int) -> str:
        """Text of e, in parentheses where its binding is weaker than `strength` (1 sum, 2 product, 3 power)."""
        if e.is_Number or isinstance(e, sp.NumberSymbol):
            return self._number(e, strength)
        if isinstance(e, sp.Symbol):
            return e.name
        if isinstance(e, sp.Indexed):
            return f"{e.base.label}[{self.integer(e.indices[0])}]"
        if isinstance(e, sp.Add):
            text = " ".join(self._signed(a, n) for n, a in enumerate(_ordered_terms(e)))
            return f"({text})" if strength > 1 else text
        if isinstance(e, sp.Mul):
            return self._product(e, strength)
        if isinstance(e, sp.Pow):
            return self._power(e, strength)
        if isinstance(e, sp.exp):
            return f"{self.functions['exp']}({self._print(e.args[0], 0)})"
        name = self.functions.get(e.func.__name__)
        if name is None:
            raise InputError(
                f"The function {e.func.__name__} in {sp.sstr(e)[:80]} has no numerical form here; "
                f"use one of {', '.join(sorted(self.functions))}."
            )
        return f"{name}({', '.join(self._print(a, 0) for a in e.args)})"

    def integer(self, e: sp.Expr) -> str:
        """Integer arithmetic of sizes and offsets: no decimal points."""
        text = sp.sstr(e, order="lex")
        return re.sub(r"(\w+)\*\*(\d+)", lambda m: "*".join([m[1]] * int(m[2])), text) if self.products else text

    def _number(self, e: sp.Expr, strength: int) -> str:
        if self.exact and e.is_Rational:
            text = f"mp.mpf({e.p})" if e.q == 1 else f"mp.mpf({e.p})/{e.q}"
        elif self.exact:
            text = f"mp.{e}" if isinstance(e, sp.NumberSymbol) else f"mp.mpf('{e}')"
        else:
            text = repr(float(e))
        weak = text.startswith("-") or "/" in text
        return f"({text})" if weak and strength > 1 else text

    def _signed(self, term: sp.Expr, position: int) -> str:
        text = self._print(term, 1)
        if position == 0:
            return text
        return f"- {text[1:]}" if text.startswith("-") else f"+ {text}"

    def _product(self, e: sp.Mul, strength: int) -> str:
        sign, above, below = "", [], []
        coefficient, rest = e.as_coeff_Mul()
        if coefficient.is_negative:
            sign, coefficient = "-", -coefficient
        if coefficient != 1:
            above.append(self._print(coefficient, 2))
        for factor in _ordered_factors(rest):
            if isinstance(factor, sp.Pow) and factor.exp.is_Rational and factor.exp.is_negative:
                below.append(self._print(factor.base ** (-factor.exp), 3))
            else:
                above.append(self._print(factor, 2))
        text = sign + ("*".join(above) or self._number(sp.S.One, 0))
        if below:
            text += "/" + (below[0] if len(below) == 1 else "(" + "*".join(below) + ")")
        return f"({text})" if strength > 2 or (sign and strength > 1) else text

    def _power(self, e: sp.Pow, strength: int) -> str:
        base, exponent = e.args
        if exponent == sp.S.Half:
            return f"{self.functions['sqrt']}({self._print(base, 0)})"
        if exponent == -sp.S.Half:
            return self._wrap(f"{self._number(sp.S.One, 0)}/{self.functions['sqrt']}({self._print(base, 0)})", strength)
        if exponent.is_Integer and exponent.is_negative:
            below = self._print(base ** (-exponent), 3)
            return self._wrap(f"{self._number(sp.S.One, 0)}/{below}", strength)
        if self.products and exponent in (2, 3, 4) and isinstance(base, (sp.Symbol, sp.Indexed)):
            return self._wrap("*".join([self._print(base, 3)] * int(exponent)), strength)
        if exponent.is_Integer:
            return self._wrap(f"{self._print(base, 3)}**{exponent}", strength + 1)
        return self._wrap(f"{self._print(base, 3)}**{self._print(exponent, 3)}", strength + 1)

    @staticmethod
    def _wrap(text: str, strength: int) -> str:
        return f"({text})" if strength > 2 else text


def _ordered_terms(e: sp.Add) -> list[sp.Expr]:
    return sorted(e.args, key=sp.default_sort_key)


def _ordered_factors(e: sp.Expr) -> list[sp.Expr]:
    return sorted(sp.Mul.make_args(e), key=sp.default_sort_key)
