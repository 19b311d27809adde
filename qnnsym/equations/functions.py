"""Elementary functions that kernels know and SymPy lacks, each closed under differentiation."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp


class Elementary(sp.Function):
    """Base: a real function of one real argument with a derivative in terms of the same family."""

    nargs = 1

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_is_finite(self) -> bool | None:
        return self.args[0].is_finite

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        argument = self.args[0].evalf(mpmath.libmp.prec_to_dps(prec) + 5)
        if not (argument.is_Float or argument.is_Rational):  # zero stays an Integer
            return None
        with mpmath.workprec(prec + 10):
            return sp.Float(MPMATH[type(self).__name__](argument._to_mpmath(prec + 10)), precision=prec)


class logistic(Elementary):
    """1/(1 + exp(-u)), evaluated without overflow."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self * (1 - self)

    def _eval_rewrite_as_exp(self, u: sp.Expr, **_: Any) -> sp.Expr:
        return 1 / (1 + sp.exp(-u))

    def _latex(self, printer: Any, exp: Any = None) -> str:
        body = rf"\sigma\left({printer._print(self.args[0])}\right)"
        return body if exp is None else rf"\left({body}\right)^{{{exp}}}"


class softplus(Elementary):
    """log(1 + exp(u)), evaluated without overflow."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return logistic(self.args[0])

    def _eval_rewrite_as_exp(self, u: sp.Expr, **_: Any) -> sp.Expr:
        return sp.log(1 + sp.exp(u))


class step(Elementary):
    """0 for u <= 0 and 1 for u > 0: the convention relu'(0) := 0."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.S.Zero


class relu(Elementary):
    """max(u, 0), with derivative 0 at 0."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return step(self.args[0])


def _mp_softplus(u: Any) -> Any:
    return u + mpmath.log1p(mpmath.exp(-u)) if u > 0 else mpmath.log1p(mpmath.exp(u))


MPMATH = {
    "logistic": lambda u: 1 / (1 + mpmath.exp(-u)),
    "softplus": _mp_softplus,
    "step": lambda u: mpmath.mpf(1 if u > 0 else 0),
    "relu": lambda u: u if u > 0 else mpmath.mpf(0),
}
ELEMENTARY = {"logistic": logistic, "softplus": softplus, "step": step, "relu": relu}
