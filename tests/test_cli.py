"""The command line: what each verb writes and says, and how it ends."""

from __future__ import annotations

import json
import sys

import pytest

from qnnsym import cli
from tests.workspaces import files_below, write_network, write_quartic


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(folder, monkeypatch, capsys):
    """Run a command; gives (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qnnsym", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


def sentence(err):
    """The one sentence of an error: no traceback, and it ends like one."""
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("qnnsym: ")]
    assert len(lines) == 1 and lines[0].rstrip().endswith((".", ")")), err
    return lines[0]


# listing and deriving ---------------------------------------------------------------------------------------


def test_list_shows_own_and_shipped_derivations_and_executes_none(folder, call):
    (folder / "derivations").mkdir()
    (folder / "derivations" / "dangerous.py").write_text('"""Never executed."""\nraise RuntimeError("executed")\n')
    status, out, _ = call("list")
    assert status == 0
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "here" in rows["dangerous"] and "Never executed." in rows["dangerous"]
    assert "shipped" in rows["quartic_oscillator"] and "kernels" in rows["recurrent_network"]


def test_derive_prints_each_step_with_its_proof(folder, call):
    write_quartic(folder)
    status, out, _ = call("derive", "well")
    assert status == 0 and "Liouville" in out and "symbolic zero" in out and "50-digit" in out
    assert files_below(folder) == {"derivations/well.py"}


def test_derive_gives_json_that_parses(folder, call):
    write_network(folder)
    status, out, _ = call("derive", "pair", "--format", "json")
    assert status == 0 and json.loads(out)["steps"]


@pytest.mark.parametrize("arguments", [["--order", "-2"], ["--format", "word"]])
def test_derive_refuses_what_it_cannot_print(folder, call, arguments):
    write_quartic(folder)
    status, _, err = call("derive", "well", *arguments)
    assert status == 2 and arguments[1] in sentence(err)


# generating -------------------------------------------------------------------------------------------------


def test_generate_writes_and_check_finds_no_difference(folder, call):
    write_quartic(folder)
    status, out, _ = call("generate")
    assert status == 0 and "generated" in out
    assert (folder / "generated/well/kernels.py").is_file() and (folder / "generated/well/manifest.json").is_file()
    assert call("generate", "--check")[0] == 0


def test_check_finds_a_model_that_changed_and_writes_nothing(folder, call):
    write_quartic(folder)
    call("generate")
    write_quartic(folder, divisor=5)
    before = (folder / "generated/well/kernels.py").read_text()
    status, out, err = call("generate", "--check")
    assert status == 1 and "kernels.py differs" in out and "qnnsym generate" in err
    assert (folder / "generated/well/kernels.py").read_text() == before


def test_check_finds_a_folder_without_a_derivation(folder, call):
    write_quartic(folder)
    call("generate")
    (folder / "derivations/well.py").unlink()
    write_network(folder)
    call("generate")
    status, out, _ = call("generate", "--check")
    assert status == 1 and "well belongs to no derivation" in out


def test_stale_kernels_are_reported_and_rebuilt_elsewhere(folder, call):
    write_quartic(folder)
    call("generate")
    committed = (folder / "generated/well/kernels.py").read_text()
    write_quartic(folder, divisor=5)
    status, _, err = call("verify", "well")
    assert status == 0 and "stale" in err and "qnnsym generate well" in err
    assert (folder / "generated/well/kernels.py").read_text() == committed


@pytest.mark.parametrize("damage", ["edited", "foreign", "manifest", "missing"])
def test_kernels_that_do_not_match_their_manifest_are_refused(folder, call, damage):
    write_quartic(folder)
    call("generate")
    kernels = folder / "generated/well"
    if damage == "edited":
        (kernels / "kernels.py").write_text((kernels / "kernels.py").read_text().replace("0.25", "0.26"))
    elif damage == "foreign":
        (kernels / "extra.py").write_text("print('hello')\n")
    elif damage == "manifest":
        (kernels / "manifest.json").write_text("{}")
    else:
        (kernels / "kernels.py").unlink()
    before = files_below(folder)
    status, _, err = call("run", "well")
    assert status == 2 and "qnnsym generate well" in sentence(err)
    assert files_below(folder) == before
    assert call("list")[1].count("REFUSED") == 1
    assert call("generate", "well")[0] == 0 or damage == "foreign"


def test_shipped_kernels_are_never_written(folder, call):
    status, _, err = call("generate", "quartic_oscillator")
    assert status == 2 and "never written to" in sentence(err)


# running ----------------------------------------------------------------------------------------------------


def test_run_writes_results_checks_and_a_page(folder, call):
    write_quartic(folder)
    status, out, _ = call("run", "well")
    assert status == 0 and "3 pass" in out
    results = folder / "results/well"
    assert {"well.nc", "well.html", "checks.json"} <= {p.name for p in results.iterdir()}
    rows = json.loads((results / "checks.json").read_text())
    assert {"name", "quantity", "expected", "found", "tolerance", "verdict", "source"} <= set(rows[0])
    assert not (folder / "generated").exists()


def test_a_variant_has_a_folder_of_its_own(folder, call):
    write_quartic(folder)
    assert call("run", "well", "--set", "g=2", "--set", "hbar=0.4")[0] == 0
    (variant,) = (folder / "results/well").iterdir()
    assert len(variant.name) == 12 and (variant / "well.nc").is_file()


def test_several_names_go_to_folders_and_an_index(folder, call):
    write_quartic(folder)
    write_network(folder)
    status, out, _ = call("run", "--out", "there")
    assert status == 0 and "All pages" in out
    assert (folder / "there/well/well.html").is_file() and (folder / "there/pair/pair.html").is_file()


def test_a_broken_derivation_does_not_stop_the_others(folder, call):
    write_quartic(folder)
    (folder / "derivations/broken.py").write_text("from sympy import no_such_function\n")
    status, out, err = call("verify")
    assert status == 2 and "well: 3 pass" in out and "broken.py, line 1" in err


def test_a_failed_check_ends_with_one(folder, call):
    write_quartic(folder, checked="'energy', tolerance=1e-30")
    status, out, _ = call("run", "well")
    assert status == 1 and "fail" in out
    assert (folder / "results/well/checks.json").is_file()


def test_verify_prints_rows_as_json(folder, call):
    write_network(folder)
    status, out, _ = call("verify", "pair", "--json")
    rows = json.loads(out)
    assert status == 0 and rows[0]["verdict"] == "pass" and rows[0]["tolerance"] > 0


def test_an_interrupted_solve_keeps_what_it_reached_and_ends_with_130(folder, call, monkeypatch):
    from qnnsym.solvers import split_record

    write_quartic(folder)
    measure = split_record.Record.measure

    def interrupted(self, n, *state):
        if n == 2:
            raise KeyboardInterrupt
        measure(self, n, *state)

    monkeypatch.setattr(split_record.Record, "measure", interrupted)
    status, _, err = call("run", "well")
    assert status == 130 and "nothing was checked" in err
    from qnnsym import Solution

    assert len(Solution.load(folder / "results/well/well.nc").times) == 2


def test_report_writes_the_page_again_in_other_forms(folder, call):
    write_network(folder)
    assert call("report", "pair")[0] == 2
    call("run", "pair")
    for form in ("html", "md", "tex"):
        status, out, _ = call("report", "pair", "--format", form)
        assert status == 0 and (folder / "results/pair" / f"pair.{form}").is_file(), out


@pytest.mark.parametrize("kind", ["phase-space", "neural"])
def test_new_writes_a_file_that_derives_at_once(folder, call, kind):
    status, out, _ = call("new", "mine", "--kind", kind)
    assert status == 0 and "qnnsym run mine" in out
    assert call("derive", "mine")[0] == 0
    status, _, err = call("new", "mine", "--kind", kind)
    assert status == 2 and "there already" in sentence(err)


def test_doctor_solves_a_problem_with_a_known_solution(folder, call):
    status, out, _ = call("doctor")
    assert status == 0 and "self-test works" in out


# bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        "H=p**2/2 + q**2",  # an unknown symbol
        "H=p**2/2 + x**4/4 + I*x",  # not real
        "H=__import__('os').system('true')",
        "H=x.__class__",
        "H=p**2/2 + x**(10**9)",
        "H=p**2/2 + " + "(" * 300 + "x" + ")" * 300,
        "H=p**2/2 + \u0445**2",  # a Cyrillic letter that looks like x
        "H=cos(p*x)",  # neither kinetic + potential nor a polynomial: its table has no end
        "H=p**2/2 + 1/0",
        "H=",
        "hbar=0",
        "hbar=-1",
        "hbar=nan",
        "hbar=x",
        "times=(0, 1)",
        "times=(0, 0, 5)",
        "g=x",
        "hbaar=1",
        "state=GaussianState(a=-1)",
        "state=os.system('true')",
        "method=leapfrog",
        "tolerance=2",
        "order=1",
        "g",
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_a_sentence(folder, call, setting):
    write_quartic(folder)
    status, _, err = call("run", "well", "--set", setting)
    assert status == 2, err
    assert sentence(err)
    assert files_below(folder) == {"derivations/well.py"}


@pytest.mark.parametrize("name", ["quartic_osillator", "no/such/file.py", "../well", "", "we ll", "-"])
def test_unknown_names_are_refused(folder, call, name):
    status, _, err = call("run", name)
    assert status == 2 and sentence(err)


def test_a_misspelt_name_is_recognised(folder, call):
    assert "Did you mean quartic_oscillator?" in call("run", "quartic_osillator")[2]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("state=GaussianState(a=0.7, x0=0.5)", "state=__import__('numpy').full((8, 8), float('nan'))"),
        ("state=GaussianState(a=0.7, x0=0.5)", "state=__import__('numpy').ones((3, 5))"),
        ("hbar=0.5", "hbar=-0.5"),
        ("hamiltonian=p**2 / (2 * m)", "hamiltonian=1j * p**2 / (2 * m)"),
    ],
)
def test_models_that_cannot_be_solved_are_refused(folder, call, change, what):
    path = write_quartic(folder)
    path.write_text(path.read_text().replace(change, what))
    status, _, err = call("run", "well")
    assert status == 2 and sentence(err)
    assert files_below(folder) == {"derivations/well.py"}


def test_options_that_exclude_each_other_are_refused(folder, call):
    assert call("run", "quartic_oscillator", "--shipped")[0] == 2
    assert call("run", "--tour", "--shipped")[0] == 2


def test_unknown_options_end_with_two(folder, call):
    assert call("run", "--frobnicate")[0] == 2


def test_debug_shows_the_traceback(folder, call, monkeypatch):
    from qnnsym.errors import InputError

    monkeypatch.setattr(sys, "argv", ["qnnsym", "--debug", "run", "nothing"])
    with pytest.raises(InputError):
        cli.main()
