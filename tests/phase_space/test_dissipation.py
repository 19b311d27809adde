"""Open terms as formulas: from operators, from settings, in the derivation of a model and its kernels."""

import numpy as np
import pytest
import sympy as sp

from qnnsym import Model, pipeline
from qnnsym.derivation.step import Derivation
from qnnsym.errors import InputError, ObligationFailed
from qnnsym.phase_space import GaussianState, PhaseSpace, evolve_wigner, limits
from qnnsym.phase_space.dissipation import Dissipation, OpenTerm, oscillator_length
from qnnsym.phase_space.kicks import Kicks
from qnnsym.phase_space.open_steps import kick_steps, open_steps

space = PhaseSpace("x", "p")
(x,), (p,), hbar = space.x, space.p, space.hbar
m, w, gamma, nbar, D, f, K = space.parameters(m=1, w=1, gamma=0.3, nbar=0.2, D=0.1, f=0.1, K=0.5)
EVERYTHING = {"damping": gamma, "occupation": nbar, "diffusion": D, "friction": f}
OSCILLATOR = p**2 / (2 * m) + m * w**2 * x**2 / 2


def test_rows_of_every_term():
    found = Dissipation.of(EVERYTHING, p**2 / 2 + x**4, space)
    rows = {(row.dx, row.dp): row.coefficient for row in found.terms}
    assert sp.simplify(rows[0, 2] - D - gamma * (nbar + sp.Rational(1, 2)) * hbar / 2) == 0
    assert sp.simplify(rows[0, 1] - (2 * f + gamma / 2) * p) == 0
    assert sp.simplify(rows[0, 0] - 2 * f - gamma) == 0
    only = Dissipation.of({"diffusion": D}, OSCILLATOR, space)
    assert only.terms == (OpenTerm(D, 0, 2),)
    assert Dissipation.of({}, OSCILLATOR, space) is None and Dissipation.of({"damping": 0}, OSCILLATOR, space) is None


@pytest.mark.parametrize(
    "H, expected",
    (
        (OSCILLATOR, sp.sqrt(hbar / (m * w))),
        (p**2 / 2 + x**4 / 4, sp.sqrt(hbar)),
        (p**2 / (2 * m) - x**2 / 2 + x**4 / 4, sp.sqrt(hbar / m) * sp.root(m, 2) / sp.root(m, 2) * sp.sqrt(m) ** 0),
        (p**2 / 2 + 4 * (1 - sp.cos(x)), sp.sqrt(hbar / 2)),
        (p**2 / 2 + 1 / x, sp.sqrt(hbar)),
        (p**2 / 2 + (1 + sp.cos(space.t)) * x**2, sp.sqrt(hbar)),
    ),
)
def test_the_oscillator_length_is_that_of_the_quadratic_part(H, expected):
    gap = sp.simplify((oscillator_length(H, space) / expected) ** 4)
    assert gap == 1, gap


def test_every_obligation_holds_and_notices_wrong_terms(monkeypatch):
    right = Dissipation.of(EVERYTHING, OSCILLATOR, space)
    Derivation("right").prove(open_steps(right))
    caught = 0
    for factor in (-1, 2, sp.Rational(1001, 1000)):
        for index in range(4):
            rates = list(right.rates)
            rates[index] *= factor
            with monkeypatch.context() as patch:
                patch.setattr(Dissipation, "rates", property(lambda self, rates=tuple(rates): rates))
                with pytest.raises(ObligationFailed):
                    Derivation("wrong").prove(open_steps(right))
            caught += 1
    assert caught == 12


@pytest.mark.parametrize("kick", (K * sp.cos(x), p**2 / 3 + sp.sin(p)))
def test_a_wrong_factor_of_a_kick_is_noticed(kick, monkeypatch):
    ranges = {hbar: (0.4, 1.6), K: (0.4, 1.6)}
    kicks = Kicks.of(kick, 1, space)
    Derivation("right").prove(kick_steps(kicks, ranges))
    factor = Kicks.factor
    for change in (lambda e: -e, lambda e: e * sp.Rational(1001, 1000), lambda e: e.subs(hbar, 2 * hbar)):
        with monkeypatch.context() as patch:
            patch.setattr(Kicks, "factor", lambda self, order=None, change=change: change(factor(self, order)))
            with pytest.raises(ObligationFailed):
                Derivation("wrong").prove(kick_steps(kicks, ranges))


def test_an_open_kicked_model_goes_through_the_chain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"dissipation": {"damping": gamma, "diffusion": D}, "kick": K * sp.cos(x), "period": 0.5}
    model = Model(
        name="opened", hamiltonian=p**2 / (2 * m) + x**4 / 4, space=space, hbar=0.5, state=GaussianState(a=0.7),
        times=(0, 1, 3), options=options, values={"gamma": 0.4},
        checks=[limits.conserved(), limits.schroedinger(), limits.classical()],
    )  # fmt: skip
    derivation = pipeline.derive(model)
    assert "gamma" in derivation.line and "K*cos(x)" in derivation.line and "Kick" in derivation.latex
    assert r"\gamma" in derivation.latex["Moyal expansion"] and derivation.results["open"]
    text = pipeline.source(model, derivation)
    assert "def kick" in text.files["kernels.py"]
    compiled, _ = pipeline.kernels(text, None, pipeline.Workspace.find())
    solution = pipeline.room(model, "numerics").solve_model(model, compiled, derivation)
    direct = evolve_wigner(
        model.hamiltonian, model.state, model.times, hbar=0.5, space=space, grid=solution.grid, values={"gamma": 0.4},
        **options,
    )  # fmt: skip
    assert np.abs(solution.final - direct.final).max() < 1e-12
    assert solution.provenance["open_terms"]["a"] == pytest.approx(0.2) and solution.statistics["kicks"] == 2
    from qnnsym.checks.check import Context, run_checks

    rows = run_checks(model.checks, Context(model, derivation, compiled, solution))
    found = {(c.name, c.quantity): c.verdict for c in rows}
    assert found["conservation", "relative drift of purity"] == "not applicable"
    assert found["conservation", "relative drift of norm"] == "pass"
    assert found["Schrodinger equation", ""] == found["classical limit", ""] == "not applicable"


def test_open_terms_are_for_one_degree_of_freedom():
    plane = PhaseSpace("x y", "px py")
    with pytest.raises(InputError, match="2 degrees of freedom"):
        Dissipation.of({"damping": 1}, plane.x[0] ** 2, plane)
