"""A derivation by itself in four forms."""

import json

import pytest

from qnnsym.documents.derivations import WIDTH, derivation_text
from qnnsym.errors import InputError
from tests.documents.sample import LONG, outcome


@pytest.fixture
def derivation():
    return outcome().derivation


def test_text_can_be_read_without_latex(derivation):
    derivation.latex["long"] = LONG
    text = derivation_text(derivation)
    assert "1. Start" in text and "proved: symbolic zero: 1 expression expanded to 0" in text
    assert "assumed: H does not depend on t." in text
    assert "H = p²/2 + x⁴" in text and "∂ₜ W = 0" in text
    assert "hbar^  coefficient  d/dx  d/dp" in text and "2      -x           0     3" in text
    assert "\\" not in text and "{}" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_json_holds_steps_proofs_and_terms(derivation):
    found = json.loads(derivation_text(derivation, "json"))
    assert found["name"] == "small_model" and list(found["equations"]) == ["Hamiltonian", "equation"]
    assert [step["title"] for step in found["steps"]] == ["Start", "End"]
    assert found["steps"][0]["proof"] == {
        "holds": True, "method": "symbolic zero", "detail": "1 expression expanded to 0",
    }  # fmt: skip
    assert found["terms"][1] == {"hbar_power": 2, "coefficient": "-x", "latex": "- x", "dx": [0], "dp": [3]}


def test_latex_and_markdown_are_whole_documents_of_the_derivation(derivation):
    tex, md = derivation_text(derivation, "latex"), derivation_text(derivation, "markdown")
    assert tex.startswith(r"\documentclass") and r"\end{document}" in tex
    assert md.startswith("# Small model") and "### 1. Start" in md
    for text in (tex, md):
        assert "Checks" not in text and "Kernel" not in text and "qnnsym derive small_model" in text


def test_derivations_without_terms_have_no_table(derivation):
    derivation.results = {}
    assert "Table of terms" not in derivation_text(derivation)
    assert json.loads(derivation_text(derivation, "json"))["terms"] == []


def test_an_unknown_form_is_refused(derivation):
    with pytest.raises(InputError, match="text, latex, markdown, json"):
        derivation_text(derivation, "html")
