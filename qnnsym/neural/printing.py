"""LaTeX of neural Hamiltonians and their characteristic equations; indices are zero-based, as in the arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp
from sympy.printing.latex import LatexPrinter

from qnnsym.equations.calculus import canonical, peel
from qnnsym.equations.latex import latex
from qnnsym.neural.hamiltonian import COLUMNS, MASK, NEURONS, NeuralHamiltonian, W, Z
from qnnsym.neural.shifts import DELAYED_W, LAGS, NEXT_Z, REMAINING, shifted_form

if TYPE_CHECKING:
    from qnnsym.neural.characteristic import CharacteristicEquations

LEFT = {
    "d_y": r"\dot y_{k}",
    "d_D": r"\dot \Delta_{k}",
    "d_W": r"\dot W_{k j}",
    "d_M": r"\dot M_{k j}",
}


# Arrays of other times: the array and the time.
AT = {
    "Wd": ("W", " (t - T)"),
    "Mp": (r"\sum_{v=1}^{n+1} M", " (t - v T)"),
    "ya": ("y", " (t + T)"),
    "Da": ("D", " (t + T)"),
    "za": ("z", " (t + T)"),
    "ua": ("u", " (t + T)"),
}


def equations_latex(eqs: CharacteristicEquations) -> dict[str, str]:
    """{title: LaTeX} of u and of the four families of equations."""
    found = {"drive": drive_latex(eqs.hamiltonian, eqs.reading != "canonical")}
    titles = ("activity", "costate", "weights", "momenta")
    for title, equation in zip(titles, eqs.equations.equations, strict=True):
        name = str(equation.target.base.label)
        found[title] = f"{LEFT[name]} = {expression_latex(eqs.hamiltonian, equation.rhs)}"
    for number, entry in enumerate(eqs.equations.entries):
        label = str(entry.target.base.label)
        indices = " ".join(str(i) for i in entry.target.indices)
        stem = {"d_D": r"\dot \Delta", "d_M": r"\dot M"}[label]
        found[f"cost {number + 1}"] = rf"{stem}_{{{indices}}} \;{{+}}\!= {expression_latex(eqs.hamiltonian, entry.rhs)}"
    return found


def drive_latex(hamiltonian: NeuralHamiltonian, delayed: bool = False) -> str:
    """The definition of the drive u_k and of the assembled vector z."""
    shift = " (t - T)" if delayed else ""
    synapse = "S_{k j} " if hamiltonian.network.mask is not None else ""
    drive = rf"u_{{k}} = \sum_{{j=0}}^{{N+l}} {synapse}W_{{k j}}{shift} z_{{j}}"
    return drive + r", \qquad z = (x_{0}, \ldots, x_{l-1}, 1, y)"


def hamiltonian_latex(hamiltonian: NeuralHamiltonian, sign: int = 1) -> str:
    """LaTeX of H in index form, a user's own cost included."""
    text = expression_latex(hamiltonian, hamiltonian.index_form(sign))
    if hamiltonian.expression != 0:
        text += " + " + latex(hamiltonian.expression)
    return "H = " + text


def shifted_latex(hamiltonian: NeuralHamiltonian, sign: int = 1) -> str:
    """LaTeX of H with its shift operators carried out."""
    text = expression_latex(hamiltonian, shifted_form(hamiltonian, sign))
    if hamiltonian.expression != 0:
        text += " + " + latex(hamiltonian.expression)
    return "H = " + text


def expression_latex(hamiltonian: NeuralHamiltonian, expression: sp.Expr) -> str:
    """LaTeX of an indexed expression, its drives abbreviated by u."""
    labels: dict = {REMAINING: sp.Symbol("N_rem")}
    labels |= {s: sp.Symbol(n) for s, n in zip(hamiltonian.scalars, hamiltonian.parameter_names, strict=True)}
    printed = _abbreviated(canonical(expression, [NEURONS, COLUMNS, LAGS])).xreplace(labels)
    return _IndexPrinter().doprint(printed)


def _abbreviated(expression: sp.Expr) -> sp.Expr:
    """The expression with every sum of weights times z replaced by the drive u of its row."""
    if not expression.args or isinstance(expression, sp.Indexed):
        return expression
    if isinstance(expression, sp.Sum) and expression.has(Z.base, NEXT_Z.base):
        body, column, _ = peel(expression)
        weights = {e for e in body.atoms(sp.Indexed) if e.base in (W.base, DELAYED_W.base)}
        if len(weights) == 1 and (entry := weights.pop()).indices[-1] == column:
            row = entry.indices[-2]
            for z, name in ((Z, "u"), (NEXT_Z, "ua")):
                if body in (f := entry * z[column], f * MASK[row, column]):
                    return sp.IndexedBase(name)[row]
    return expression.func(*(_abbreviated(a) if isinstance(a, sp.Expr) else a for a in expression.args))


class _IndexPrinter(LatexPrinter):
    """SymPy's printer with one sign of summation per index, factors before sums, and no difference led by a minus."""

    def _print_Add(self, expr: sp.Add, order: str | None = None) -> str:
        terms = sorted(self._as_ordered_terms(expr, order=order), key=lambda t: t.could_extract_minus_sign())
        return super()._print_Add(sp.Add(*terms, evaluate=False), order="none")

    def _print_Mul(self, expr: sp.Mul) -> str:
        sums = [a for a in expr.args if isinstance(a, sp.Sum)]
        if not sums:
            return super()._print_Mul(expr)
        before = sp.Mul(*(a for a in expr.args if not isinstance(a, sp.Sum)))
        sign = "- " if before.could_extract_minus_sign() else ""
        before = -before if sign else before
        text = self._print(before)
        factor = "" if before == 1 else (rf"\left({text}\right) " if before.is_Add else text + " ")
        return sign + factor + " ".join(self._print(s) for s in sums)

    def _print_Sum(self, expr: sp.Sum) -> str:
        signs = "".join(
            rf"\sum_{{{self._print(i)}={self._print(low)}}}^{{{sp.sstr(high).replace(' ', '')}}} "
            for i, low, high in reversed(expr.limits)
        )
        body = self._print(expr.function)
        return signs + (rf"\left({body}\right)" if isinstance(expr.function, sp.Add) else body)

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.args
        if isinstance(base, sp.Indexed) and len(base.indices) == 3 and exponent.is_Integer and exponent > 1:
            return self._print_Indexed(base, self._print(exponent))
        return super()._print_Pow(expr)

    def _print_Indexed(self, expr: sp.Indexed, exp: str | None = None) -> str:
        name, *indices = str(expr.base.label), *expr.indices
        name, at = AT.get(name, (name, ""))
        if len(indices) == 3:
            lag, *indices = indices
            at = "" if lag == 0 else " (t - T)" if lag == 1 else f" (t - {self._print(lag)} T)"
        name = {"D": r"\Delta"}.get(name) or (self._print(expr.base.label) if not at else name)
        if "_" in name and not at:
            name = f"{{{name}}}"
        printed = [self._print(i).replace(" ", "") for i in indices]
        indices = (" " if all(len(i) == 1 for i in printed) else r",\,").join(printed)
        text = f"{name}_{{{indices}}}"
        return (text if exp is None else f"{text}^{{{exp}}}") + at
