"""A small document with everything in it that needs care, and a run to write results of."""

# ruff: noqa: RUF001 - signs that look like others are part of the sample
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, PASS, Check
from qnnsym.derivation.model import Model
from qnnsym.derivation.step import Derivation, Proof, Step
from qnnsym.documents.document import CheckGroup, Datum, Document, Equation, Figure, ProvedStep, Term
from qnnsym.phase_space import PhaseSpace
from qnnsym.solvers.solution import Solution

LONG = "E = " + " + ".join(rf"\frac{{a_{{{n}}} x^{{{n}}}}}{{{n + 1}}}" for n in range(30))
FIRST, SECOND, LAST = (
    Equation(1, "Energy", r"H = \{p, x\} < 3"),
    Equation(2, "Long one", LONG),
    Equation(3, "", r"W_{\mathrm{cl}} = 0"),
)
CHECKS = (
    Check("orders_of_h", "order in hbar of |W - W_cl|", 2.0, 1.98, 0.2, PASS, "A. Author, J. Test 1", "5 % <br>"),
    Check("orders_of_h", "a_b & c^2", 0.0, 3e-13, 1e-10, FAIL, "B. Author", "first $5, then {6}"),
    Check.not_applicable("nothing", "", "It is said of other models only: #1 ~ 2."),
)
NASTY = 'A_b & 100% of <script>alert("x")</script> $5 #1 {c} ~d ^e \\f | naïve λ ħ −1 😀'


def document(png: bytes = b"png") -> Document:
    """Every part of a document is there."""
    figures = [
        Figure(n, f"figure_{n}.png", f"Caption {n} at hbar = 0.1.", f"Alternative {n} <i>", png=png, size=(500, 400))
        for n in (1, 2)
    ]
    return Document(
        name="sample_model",
        title="Sample_model & more",
        subtitle="with <brackets>",
        abstract="One & all: 100% of the equations.",
        data=[Datum("Parameters", "g = 1", r"g = 1,\quad \lambda = 2"), Datum("Initial state", NASTY)],
        equations=[FIRST, SECOND],
        steps=[
            ProvedStep(1, "First_step", "Uses hbar^2 and x**2.", FIRST, LAST, "H is real.", True, "symbolic zero", "0"),
            ProvedStep(2, "Second", "Again.", LAST, None, "", False, "agreement", "gap 1e-3"),
        ],
        assumptions=[("H is real.", (1, 2))],
        terms=[Term(0, r"- \frac{p}{m}", (1,), (0,)), Term(2, r"\left|{x}\right|", (0,), (3,))],
        groups=[
            CheckGroup("orders_of_h", CHECKS[:2], (figures[0],)),
            CheckGroup("nothing", CHECKS[2:], ()),
        ],
        figures=[figures[1]],
        run=[Datum("Status", "success"), Datum("Estimated error", "7.4e-09")],
        warnings=["The boundary is reached; run `qnnsym run x --set a_b=1`."],
        notes=["A note_with underscores."],
        kernel='def rhs(t, y):\n    return "<" + y[0] & 1  # ``` λ\n',
        signature="0123abcd",
        commands=[("Run it", 'qnnsym run sample_model --set "g=2"')],
        versions=[Datum("numpy", "2.0")],
        references=["A. Author & B. Author, J. Test 1_2 (2001), https://example.org/1"],
    )


class _Nothing:
    def discharge(self) -> Proof:
        return Proof(True, "symbolic zero", "1 expression expanded to 0")


@dataclass
class Outcome:
    """What the pipeline hands over, as far as pages look at it."""

    name: str
    model: Any
    derivation: Any
    solution: Any
    checks: list[Check]
    notes: list[str] = field(default_factory=list)
    kernel: str = "def rhs():\n    pass\n"
    signature: str = "feed"
    folder: Path | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table of terms."""

    hbar_power: int
    coefficient: sp.Expr
    dx: tuple[int, ...]
    dp: tuple[int, ...]


def outcome(name: str = "small_model", folder: Path | None = None) -> Outcome:
    """A run that is small enough to be written in no time."""
    space = PhaseSpace("x", "p")
    (x,), (p,) = space.x, space.p
    model = Model(
        name=name, hamiltonian=p**2 / 2 + x**4, space=space, state={"y": np.array([0.5, -1.0])}, times=(0, 1, 5),
        observe=[x], description="Small model: <written> by hand.", references=["A. Author, J. Test 1 (2001)"],
    )  # fmt: skip
    derivation = Derivation(name)
    derivation.prove(
        [
            Step("Start", "H is given.", "", r"H = \frac{p^{2}}{2} + x^{4}", _Nothing(), "H does not depend on t."),
            Step("End", "The rows follow.", r"H = \frac{p^{2}}{2} + x^{4}", r"\partial_t W = 0", _Nothing()),
        ]
    )
    derivation.latex = {"Hamiltonian": r"H = \frac{p^{2}}{2} + x^{4}", "equation": r"\partial_t W = 0"}
    derivation.results = {"terms": (Row(0, -p, (1,), (0,)), Row(2, -x, (0,), (3,)))}
    times = np.linspace(0, 1, 5)
    solution = Solution(
        times, np.zeros((5, 2)), statistics={"steps": 4.0},
        diagnostics={"error": float("nan"), "mass": np.float64(1e-9)},
        warnings=["The step is coarse."], names=("y_0", "y_1"), expect={"x": times},
        provenance={"model": name, "parameters": {"lambda": 2.0}, "hbar": 0.1, "tolerance": 1e-8},
    )  # fmt: skip
    return Outcome(name, model, derivation, solution, list(CHECKS), ["The kernels are new."], folder=folder)


def figures() -> list[dict[str, Any]]:
    """One description of each kind."""
    x = np.linspace(-3, 3, 24)
    w = np.exp(-(x[:, None] ** 2) - x[None, :] ** 2)
    h = np.array([0.1, 0.05, 0.025, 0.0125])
    t = np.linspace(0, 4, 30)
    return [
        {
            "kind": "wigner", "name": "evolution", "x": x, "p": x, "panels": [("t = 0", w), ("t = 1", -w), ("2", w)],
            "xlabel": "x", "plabel": "p", "caption": "At hbar = 0.1.", "alt": "Three panels.",
        },
        {
            "kind": "order", "name": "orders", "h": h, "errors": {"W_cl": h**2, "none": 0 * h}, "slopes": {"W_cl": 2.0},
            "xlabel": "hbar", "ylabel": "error", "caption": "Orders.", "alt": "Lines.", "check": "orders_of_h",
        },
        {
            "kind": "expectation", "name": "means", "t": t, "curves": {"x": np.cos(t), "x**2": np.cos(t) ** 2},
            "xlabel": "t", "ylabel": "mean", "caption": "Means.", "alt": "Curves.",
        },
        {
            "kind": "trace", "name": "activity", "t": t, "xlabel": "t (units of lambda)",
            "ylabel": "activity y, costate Delta",
            "curves": {f"{n}_{k}": (k + 1) * np.sin(t) for n in ("y", "Delta") for k in range(3)},
            "caption": "Activities.", "alt": "Curves.",
        },
    ]  # fmt: skip
