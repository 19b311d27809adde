"""The derivation of the Moyal equation: every step is proved, and every slip is caught by the step it belongs to."""

from dataclasses import replace

import pytest
import sympy as sp

from qnnsym import Model
from qnnsym.derivation.step import Derivation, Proof
from qnnsym.errors import InputError, ObligationFailed
from qnnsym.phase_space import PhaseSpace, moyal_equation
from qnnsym.phase_space import steps as module
from qnnsym.phase_space.fields import ORDERS, field_name
from qnnsym.phase_space.parts import Parts
from qnnsym.phase_space.steps import derive, steps
from tests.phase_space import mutations
from tests.phase_space.mutations import catches, examples, mutants

space = PhaseSpace("x", "p")
plane = PhaseSpace("x y", "px py")
(x,), (p,), hbar, t = space.x, space.p, space.hbar, space.t
m, g = space.parameters(m=1, g=1)
(x1, y1), (px, py) = plane.x, plane.p
QUARTIC = p**2 / (2 * m) + g * x**4 / 4

LIOUVILLE, EXPANSION, ENDS, REMAINDER = (
    "Liouville's equation", "Moyal expansion", "The series ends", "Remainder of the series",
)  # fmt: skip
SPLIT = ["Kinetic and potential part", "Kinetic factor, all orders", "Potential factor, all orders", "Norm and reality"]
MIXED = [
    "What splits and what mixes", "Factors and rows, all orders", "Factors and rows cut at hbar^0",
    "Factors and rows cut at hbar^2",
]  # fmt: skip
KERNELS = ["Factors cut at hbar^0", "Factors cut at hbar^2", "Integral form of the potential part"]


def derived(H, order=None, over=space):
    return derive(Model("example", H, space=over), order)


class Blind:
    """An obligation that sees nothing."""

    def __init__(self, *_, **__):
        pass

    def discharge(self):
        return Proof(True, "nothing", "seen")


@pytest.fixture
def without_quadrature(monkeypatch):
    """The quadrature takes a second; where it is not the subject, it is left out."""
    right = module._integral_step
    monkeypatch.setattr(module, "_integral_step", lambda *a: replace(right(*a), obligation=Blind()))


def titles(derivation):
    return [step.title for step, _ in derivation.steps]


@pytest.mark.parametrize(
    "H, order, over, expected",
    (
        (QUARTIC, None, space, [LIOUVILLE, EXPANSION, ENDS, *SPLIT, *KERNELS]),
        (QUARTIC, 0, space, [LIOUVILLE, REMAINDER, *SPLIT, *KERNELS]),
        (QUARTIC, 2, space, [LIOUVILLE, EXPANSION, ENDS, *SPLIT, *KERNELS]),
        (p**2 / 2 - sp.cos(x), None, space, [LIOUVILLE, EXPANSION, REMAINDER, *SPLIT, *KERNELS]),
        (p**2 / 2 - sp.cos(x), 6, space, [LIOUVILLE, EXPANSION, REMAINDER, *SPLIT, *KERNELS]),
        (p**2 / 2 - x * sp.cos(t), None, space, [LIOUVILLE, EXPANSION, ENDS, *SPLIT, *KERNELS]),
        ((x**2 + p**2) ** 2, None, space, [LIOUVILLE, EXPANSION, ENDS, *MIXED]),
        (p**2 / (2 * (1 + x**2)), 4, space, [LIOUVILLE, EXPANSION, REMAINDER, MIXED[0], *MIXED[2:]]),
        ((px**2 + py**2) / 2 + x1**2 * y1, None, plane, [LIOUVILLE, EXPANSION, ENDS, *SPLIT, *KERNELS[:2]]),
        ((px - y1**2) ** 2 / 2, None, plane, [LIOUVILLE, EXPANSION, ENDS, *MIXED]),
    ),
    ids=lambda v: str(v)[:28],
)
def test_every_step_is_proved(without_quadrature, H, order, over, expected):
    derivation = derived(H, order, over)
    assert titles(derivation) == expected
    for step, proof in derivation.steps:
        assert proof.holds and proof.method and proof.detail
        assert step.sentence.endswith(".") and step.after
        assert "None" not in step.after


def test_what_a_derivation_gives():
    derivation = derived(QUARTIC)
    assert derivation.steps[-1][1].method.endswith("with quadrature of a Gaussian packet")
    assert list(derivation.equations) == [field_name(f, order) for order in ORDERS for f in ("kinetic", "potential")]
    assert derivation.results["terms"] == moyal_equation(QUARTIC, space).terms
    assert derivation.results["moyal"].exact and derivation.results["table"].exact
    assert list(derivation.latex) == [
        "Hamiltonian", "Moyal expansion", "All orders of hbar", "Kinetic factor", "Potential factor",
    ]  # fmt: skip


def test_a_series_that_does_not_end_is_cut_and_says_so(without_quadrature):
    derivation = derived(p**2 / 2 - sp.cos(x))
    table = derivation.results["table"]
    assert table.order == 4 and not table.exact and [r.hbar_power for r in table.terms] == [0, 0, 2, 4]
    assert r"\mathcal{O}" in derivation.latex["Moyal expansion"]
    assert derived(QUARTIC, 0).results["table"].order == 0


@pytest.mark.parametrize("H, over", ((x * sp.Function("f")(p), space), (px * sp.Function("f")(y1), plane)), ids=str)
def test_what_has_no_kernels_is_derived_all_the_same(without_quadrature, H, over):
    derivation = derived(H, over=over)
    assert not derivation.equations and derivation.results["terms"]


@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("change", ("dropped", "reversed", "doubled"))
def test_wrong_rows_of_what_mixes_are_caught(monkeypatch, row, change):
    """Of the Kerr oscillator all four rows, in all ways in which kernels are generated from them."""
    right, factor = Parts.rows, {"dropped": 0, "reversed": -1, "doubled": 2}[change]

    def wrong(parts, order=None):
        rows = list(right(parts, order))
        if row < len(rows):
            rows[row] = rows[row]._replace(coefficient=factor * rows[row].coefficient)
        return tuple(rows)

    monkeypatch.setattr(Parts, "rows", wrong)
    with pytest.raises(ObligationFailed, match="Factors and rows"):
        derived((x**2 + p**2) ** 2)


@pytest.mark.parametrize("order", (None, 0, 2, 4))
@pytest.mark.parametrize(
    "H",
    (p**2 / 2 + hbar * sp.cos(x), p**2 / 2 + hbar * x**4 + hbar**2 * x**5, p**2 / 2 + sp.sqrt(hbar) * x**3),
    ids=str,
)
def test_hbar_in_H_is_counted_with_the_rows(without_quadrature, H, order):
    derivation = derived(H, order)
    assert all(proof.holds for _, proof in derivation.steps)
    assert derivation.steps[0][0].assumption.startswith("Powers of hbar in H")


@pytest.mark.parametrize("order", (None, 2))
def test_undefined_functions_stand_for_any(without_quadrature, order):
    U, M = sp.Function("U")(x), sp.Function("M", positive=True)(x)
    derivation = derived(p**2 / 2 + U, order)
    assert titles(derivation)[:3] == [LIOUVILLE, EXPANSION, REMAINDER] and not derivation.equations
    assert derived(p**2 / (2 * M), order).results["table"].terms
    assert catches(*wrong_sign_of_U(U)) == REMAINDER


def wrong_sign_of_U(U):
    exact = moyal_equation(p**2 / 2 + U, space)
    table = moyal_equation(p**2 / 2 + U, space, 4)
    wrong = [row._replace(coefficient=-row.coefficient) if row.hbar_power == 4 else row for row in table.terms]
    return exact, replace(table, _rows=tuple(wrong))


@pytest.mark.parametrize("rough", (sp.Abs(x), sp.sign(x), sp.Heaviside(p), sp.Max(x, 0), sp.Abs(x**2 - 1) ** 3))
def test_kinks_are_refused_because_the_series_does_not_see_them(without_quadrature, rough):
    with pytest.raises(InputError, match=r"is not smooth \(.*\).* evolve_wigner solves this one"):
        derived(p**2 / 2 + rough)
    # A constant or a function of time may have them.
    assert derived(p**2 / 2 + x * sp.Abs(t)).steps


def test_what_cannot_be_derived_is_said():
    with pytest.raises(InputError, match=r"unknown symbol\(s\) q"):
        derived(p**2 / 2 + sp.Symbol("q"))
    with pytest.raises(InputError, match="no phase space"):
        model = Model("example", QUARTIC, space=space)
        derive(model.changed(space=type("Other", (), {"room": "qnnsym.phase_space"})()))


# Mutants

EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_right_equations_pass(name):
    exact = EXAMPLES[name]
    table = exact if exact.exact else moyal_equation(exact.hamiltonian, exact.space, 4)
    assert catches(exact, table) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_at_least_95_percent_of_wrong_equations_are_caught(without_quadrature, name):
    sample = list(mutants(EXAMPLES[name]))[::5]
    assert len(sample) > 15
    alive = [what for what, exact, table in sample if catches(exact, table) is None]
    assert len(alive) <= 0.05 * len(sample), alive


def caught_by(name, choose):
    found = {catches(exact, table) for what, exact, table in mutants(EXAMPLES[name]) if choose(what)}
    assert found
    return found


@pytest.mark.parametrize(
    "name, wrong, title",
    (
        ("quartic", "row 1: sign flipped", LIOUVILLE),
        ("quartic", "row 0: hbar once more", LIOUVILLE),
        ("quartic", "row 2: dropped", EXPANSION),
        ("quartic", "row 2: coefficient doubled", EXPANSION),
        ("quartic", "T and U exchanged", "Kinetic and potential part"),
        ("quartic", "K to None: sign flipped", "Kinetic factor, all orders"),
        ("quartic", "V to None: hbar doubled", "Potential factor, all orders"),
        ("quartic", "V to 0: term 0 off by a thousandth", "Factors cut at hbar^0"),
        ("quartic", "V to 2: hbar doubled", "Factors cut at hbar^2"),
        ("pendulum", "V to 2: another power of hbar", "Factors cut at hbar^2"),
        ("pendulum", "row 3: sign flipped", REMAINDER),
        ("pendulum", "row 3: hbar squared more", REMAINDER),
        ("mixed", "row 8: dropped", ENDS),
        ("henon_heiles", "row 4: sign flipped", EXPANSION),
    ),
)
def test_a_slip_is_caught_by_the_step_it_belongs_to(name, wrong, title):
    assert caught_by(name, lambda what: what == wrong) == {title}


@pytest.mark.parametrize(
    "factor, title",
    (
        (lambda K, V: (K + 1, V), "Norm and reality"),
        (lambda K, V: (K, V + x**2), "Norm and reality"),
        (lambda K, V: (K, V + space.theta[0] ** 2), "Norm and reality"),
    ),
)
def test_norm_and_reality_are_proved_on_their_own(monkeypatch, factor, title):
    """With both factor steps blind, what breaks norm or reality is still caught."""
    monkeypatch.setattr("qnnsym.phase_space.steps.NumericAgreement", Blind)
    exact = EXAMPLES["quartic"]
    fields = {name: getattr(exact, name) for name in exact.__dataclass_fields__}
    wrong = mutations.WrongFactors(**fields, wrong=((None, factor(*exact.split())),))
    assert catches(wrong, exact) == title


def test_the_integral_over_y_is_a_proof_of_its_own(monkeypatch):
    """A V that is wrong in the same way in the factor and in its shifted arguments is caught by the quadrature."""
    right = module._shifted
    monkeypatch.setattr(module, "_shifted", lambda f, q, s, over: right(f, q, s, over).subs(over.hbar, 2 * over.hbar))
    exact = EXAMPLES["pendulum"]
    fields = {name: getattr(exact, name) for name in exact.__dataclass_fields__}
    factors = {n: tuple(e.subs(hbar, 2 * hbar) for e in exact.split(n)) for n in ORDERS}
    wrong = mutations.WrongFactors(**fields, wrong=tuple(factors.items()))
    table = moyal_equation(exact.hamiltonian, space, 0)
    assert catches(wrong, table) == "Integral form of the potential part"


def test_a_failed_step_ends_the_derivation_and_is_named():
    exact = EXAMPLES["quartic"]
    _, wrong, table = next(m for m in mutants(exact) if m[0] == "row 2: sign flipped")
    derivation = Derivation("quartic")
    with pytest.raises(
        ObligationFailed, match=r"stops at step 2 \(Moyal expansion\): symbolic zero found the remainder"
    ):
        derivation.prove(steps(wrong, table))
    assert len(derivation.steps) == 2
