"""LaTeX of expressions, in which a name of several letters is no product of letters."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import latex_escape, tex_greek_dictionary, translate


def latex(expression: Any) -> str:
    """LaTeX of an expression; px is typeset as p with the index x, and rate as one upright word."""
    symbols = expression.atoms(sp.Symbol) if isinstance(expression, sp.Basic) else ()
    return sp.latex(expression, symbol_names={s: name for s in symbols if (name := _word(s))})


def _word(symbol: sp.Symbol) -> str:
    """How a name of several letters is typeset; empty where SymPy knows better: Greek, accents, indices."""
    name = symbol.name
    if len(name) < 2 or not name.isalpha() or translate(name) != name or name in tex_greek_dictionary:
        return ""
    if name[0] == "p" and len(name) == 2:
        return f"p_{{{name[1]}}}"
    return rf"\mathrm{{{latex_escape(name)}}}"
