"""Rows of the table of checks: verdicts, JSON, and how specifications become rows."""

import json
import math

import numpy as np
import pytest

from qnnsym.checks.check import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    Check,
    Context,
    failed,
    read_checks,
    rows_of,
    run_checks,
    shown,
    summary,
    write_checks,
)
from qnnsym.errors import InputError, ObligationFailed, SolverError, StorageError


@pytest.mark.parametrize(
    "expected, found, tolerance, verdict",
    (
        (2.0, 2.1, 0.2, PASS),
        (2.0, 1.9, 0.2, PASS),
        (2.0, 2.3, 0.2, FAIL),
        (2.0, 1.7, 0.2, FAIL),
        (0.0, 0.0, 0.0, PASS),
        (0.0, math.nan, 1.0, FAIL),
        (math.nan, 0.0, 1.0, FAIL),
        (0.0, math.inf, 1.0, FAIL),
        (0.0, 0.0, math.nan, FAIL),
        (0.0, np.float64(1e-9), 1e-8, PASS),
    ),
)
def test_the_verdict_is_the_deviation_against_the_tolerance(expected, found, tolerance, verdict):
    check = Check.close("order", "slope", expected, found, tolerance, "a paper", "by a fit")
    assert check.verdict == verdict and (check.name, check.quantity, check.source) == ("order", "slope", "a paper")
    assert all(type(v) is float for v in (check.expected, check.found, check.tolerance)) and check.detail == "by a fit"


@pytest.mark.parametrize("found, verdict", ((1e-9, PASS), (-1e-9, PASS), (1e-7, FAIL), (-1e-7, FAIL), (math.nan, FAIL)))
def test_an_error_is_bounded_on_both_sides(found, verdict):
    check = Check.below("drift", "energy", found, 1e-8, "a paper")
    assert check.verdict == verdict and check.expected == 0.0


def test_a_check_that_does_not_apply_says_why():
    check = Check.not_applicable("classical limit", "order", "H is linear.", "a paper")
    assert check.verdict == NOT_APPLICABLE and check.detail == "H is linear." and check.tolerance is None


def sample():
    return [
        Check.close("a", "slope", 2.0, 2.01, 0.2, "Ünïcode, 1908"),
        Check.close("b", "slope", 2.0, math.nan, 0.2, "x"),
        Check.not_applicable("c", "q", "H is linear."),
    ]


def test_json_has_plain_values_and_no_nan():
    rows = [check.to_json() for check in sample()]
    assert list(rows[0]) == ["name", "quantity", "expected", "found", "tolerance", "verdict", "source", "detail"]
    assert rows[1]["found"] is None and rows[0]["found"] == 2.01 and rows[2]["tolerance"] is None
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_checks_on_disk_come_back(tmp_path):
    path = write_checks(tmp_path / "deep" / "checks.json", sample())
    assert path.read_text(encoding="utf-8").endswith("]\n")
    found = read_checks(path)
    assert found[0] == sample()[0] and found[2] == sample()[2] and found[1].verdict == FAIL


@pytest.mark.parametrize("text", ("", "{", "3", "[3]", '[{"name": "a"}]', '[{"other": 1}]', "null"))
def test_a_damaged_list_of_checks_is_said(tmp_path, text):
    (tmp_path / "checks.json").write_text(text)
    with pytest.raises(StorageError, match=r"checks\.json cannot be read as a list of checks .*; run the model again"):
        read_checks(tmp_path / "checks.json")
    with pytest.raises(StorageError, match="nowhere"):
        read_checks(tmp_path / "nowhere.json")


def test_counts_in_words():
    assert summary(sample()) == "1 pass, 1 fail, 1 not applicable"
    assert summary(sample()[:1]) == "1 pass" and summary([]) == "0 pass"
    assert [c.name for c in failed(sample())] == ["b"]


def test_values_in_tables():
    assert [shown(v) for v in (2.0, 1.23456e-9, None, "identically zero", np.float64(0.5), 3)] == [
        "2", "1.235e-09", "", "identically zero", "0.5", "3",
    ]  # fmt: skip
    rows = rows_of(sample())
    assert rows[0] == ("a", "slope", "2", "2.01", "0.2", PASS) and rows[2][-2:] == ("", NOT_APPLICABLE)
    assert rows_of([c.to_json() for c in sample()])[0] == rows[0]


class Specification:
    """A stand-in for a limit."""

    name = "the statement"

    def __init__(self, outcome, reason=None):
        self.outcome, self.reason, self.seen = outcome, reason, None

    def applies(self, model):
        self.seen = model
        return self.reason

    def run(self, context):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def test_specifications_become_rows_in_order():
    one, other = sample()[0], sample()[1]
    context = Context("model")
    skipped = Specification([other], "It is formulated for one degree of freedom.")
    rows = run_checks([Specification([one, other]), skipped, Specification([]), Specification([one])], context)
    assert [r.name for r in rows] == ["a", "b", "the statement", "a"] and skipped.seen == "model"
    assert rows[2].verdict == NOT_APPLICABLE and rows[2].detail == "It is formulated for one degree of freedom."


@pytest.mark.parametrize("error", (SolverError("It gave up."), ObligationFailed("It does not hold.")))
def test_a_solver_that_gives_up_is_a_failed_row(error):
    rows = run_checks([Specification(error), Specification(sample()[:1])], Context("model"))
    assert [r.verdict for r in rows] == [FAIL, PASS] and rows[0].detail == str(error)


@pytest.mark.parametrize("error", (InputError("bad"), StorageError("disk"), ZeroDivisionError(), AssertionError()))
def test_an_error_of_the_input_or_the_program_is_an_error(error):
    with pytest.raises(type(error)):
        run_checks([Specification(error)], Context("model"))


@pytest.mark.parametrize("text", ("{}", '[{"name": 1}]', "[" * 100_000, '"rows"'))
def test_what_is_no_list_of_checks_is_damage(tmp_path, text):
    path = tmp_path / "checks.json"
    path.write_text(text)
    with pytest.raises(StorageError, match="run the model again"):
        read_checks(path)


def test_a_verdict_that_there_is_not_is_damage(tmp_path):
    path = write_checks(tmp_path / "checks.json", [Check.below("a", "b", 0.0, 1.0, "c")])
    path.write_text(path.read_text().replace('"pass"', '"maybe"'))
    with pytest.raises(StorageError, match="no check"):
        read_checks(path)
