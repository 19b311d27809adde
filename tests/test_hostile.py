"""What a hostile or unlucky user does: damaged files, odd names, killed processes, full disks, hostile expressions."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time

import pytest

from qnnsym import cli, pipeline
from qnnsym.documents.pages import rewrite_page
from qnnsym.errors import InputError, StorageError
from qnnsym.storage import atomic_path, atomic_write, in_use
from qnnsym.workspace import Workspace
from tests.workspaces import write_quartic

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, pipes and limits of POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(folder, monkeypatch, capsys):
    """Run a command; gives (exit status, what it said)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qnnsym", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return left.value.code, out + err

    return run


def start(folder, *arguments, **options):
    """The same in a process of its own."""
    command = [sys.executable, "-c", "from qnnsym.cli import main; main()", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A workspace with the results of a run."""
    folder = tmp_path_factory.mktemp("done")
    write_quartic(folder)
    pipeline.run("well", workspace=Workspace(folder))
    return folder


# errors that nobody foresaw ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StopIteration(), "not foreseen (StopIteration)"),
        (ZeroDivisionError("float\ndivision"), "not foreseen (ZeroDivisionError: float division)"),
        (MemoryError(), "memory is used up"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ValueError("x" * 5000), "x ..."),
    ],
)
def test_an_unforeseen_error_is_a_sentence_and_a_traceback_only_with_debug(call, monkeypatch, error, said):
    def raises(*_):
        raise error

    monkeypatch.setattr(pipeline, "load", raises)
    status, text = call("derive", "quartic_oscillator")
    assert status == 3 and said in text and len(text.splitlines()) == 1 and len(text) < 500
    monkeypatch.setattr(sys, "argv", ["qnnsym", "derive", "quartic_oscillator", "--debug"])
    with pytest.raises((type(error), RuntimeError)):
        cli.main()


def test_an_unforeseen_error_of_one_model_does_not_stop_the_others(call, folder, monkeypatch):
    write_quartic(folder, "first")
    write_quartic(folder, "second")
    tried = []

    def raises(entry, *_, **__):
        tried.append(entry.name)
        raise KeyError("q")

    monkeypatch.setattr(pipeline, "verify", raises)
    status, text = call("verify")
    assert status == 3 and tried == ["first", "second"] and "second: This was not foreseen" in text


def test_ctrl_c_is_answered(call, monkeypatch):
    def raises(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "load", raises)
    assert call("derive", "quartic_oscillator") == (130, "qnnsym: interrupted; what was finished is kept.\n")


# expressions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "x.__class__", "x[0]", "lambda: x", "[x for x in p]", "'abc'", "p:=3",
        "x**10**9", "10**10**10*x", "2**2**2**2**2", "(" * 300 + "x" + ")" * 300, "-" * 500 + "x", "x**\uff14",
        "p**2/2+\u0445**4", "x+\u202ep", "nan*x", "inf*x", "1j*x", "1e400*x", "x/(1-1)", "x/(x-x)", "sqrt(-1)*x",
        "sin(10**400)", "True+x", "...", "p*x if x else 1", "x" * 5000, "abs(x)", "p=3",
    ],
)  # fmt: skip
def test_hostile_hamiltonians_are_refused_in_a_sentence_and_write_nothing(call, folder, text):
    write_quartic(folder)
    began = time.process_time()
    status, said = call("run", "well", "--set", f"H={text}")
    assert status == 2 and said.startswith("qnnsym: ") and time.process_time() - began < 10
    assert [p.name for p in folder.iterdir()] == ["derivations"]


@pytest.mark.parametrize("items", [["hbar=1", "hbar=2"], ["=3"], ["hbar"], ["hbar="], ["hbar==2"], ["2=3"], ["a b=1"]])
def test_assignments_that_assign_nothing_are_refused(call, folder, items):
    write_quartic(folder)
    status, said = call("run", "well", *[part for item in items for part in ("--set", item)])
    assert status == 2 and said.startswith("qnnsym: ")


# names and files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["/", "/" + "a" * 5000, "x\0y.py", "./", "..", "derivations/loop.py"])
def test_names_that_no_file_can_have_are_refused(call, folder, name):
    write_quartic(folder)
    (folder / "derivations" / "loop.py").symlink_to(folder / "derivations" / "loop.py")
    status, said = call("derive", name)
    assert status == 2 and said.startswith("qnnsym: There is no derivation")


@pytest.mark.parametrize("out", ["file", "file/deeper", "/dev/null", "a" * 300])
@pytest.mark.parametrize("verb", ["run", "report"])
def test_results_that_no_folder_can_hold_are_refused_before_anything_is_computed(call, folder, verb, out):
    write_quartic(folder)
    (folder / "file").write_text("mine")
    before = sorted(folder.rglob("*"))
    status, said = call(verb, "well", "--out", out)
    assert status == 2 and "cannot be a folder" in said
    assert sorted(folder.rglob("*")) == before and (folder / "file").read_text() == "mine"


@posix
def test_what_is_no_file_is_listed_and_never_waited_for(call, folder):
    derivations = write_quartic(folder).parent
    os.mkfifo(derivations / "pipe.py")
    (derivations / "folder.py").mkdir()
    (derivations / "lost.py").symlink_to(folder / "nowhere.py")
    status, said = call("list")
    assert status == 0 and said.count("(cannot be read)") == 3
    for name in ("pipe", "folder", "lost"):
        status, said = call("derive", name)
        assert status == 2 and "Error" not in said and f"{name}.py" in said


def test_new_does_not_write_through_a_dangling_link(call, folder):
    write_quartic(folder)
    (folder / "derivations" / "lost.py").symlink_to(folder / "elsewhere.py")
    status, said = call("new", "lost")
    assert status == 2 and "is there already" in said and not (folder / "elsewhere.py").exists()


def test_a_file_that_raises_what_is_no_exception_is_an_error_of_the_file(folder):
    path = folder / "odd.py"
    path.write_text("class Odd(BaseException): pass\nraise Odd('no')\n")
    workspace = Workspace(folder)
    with pytest.raises(InputError, match=r"line 2: Odd: no"):
        workspace.load_model(workspace.resolve("odd.py"))
    path.write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        workspace.load_model(workspace.resolve("odd.py"))


# damaged results --------------------------------------------------------------------------------------------


def _rewritten(done, form="html"):
    workspace = Workspace(done)
    model = pipeline.load("well", workspace=workspace)
    return rewrite_page(model, pipeline.derive(model), done / "results" / "well", form, command="qnnsym run well")


@pytest.fixture
def restored(done):
    """The results, put back afterwards."""
    results = done / "results" / "well"
    before = {p: p.read_bytes() for p in results.iterdir()}
    yield results
    for path, content in before.items():
        path.write_bytes(content)


def test_a_damaged_record_cannot_choose_where_the_page_goes(done, restored):
    record = json.loads((restored / "page.json").read_text())
    (restored / "page.json").write_text(json.dumps({**record, "name": "../../evil"}))
    with pytest.raises(StorageError, match="qnnsym run well"):
        _rewritten(done)
    assert not list(done.rglob("evil*"))


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "[" * 100_000, "\0"])
def test_a_damaged_record_is_named_and_a_new_run_mends_it(done, restored, text):
    (restored / "page.json").write_text(text)
    with pytest.raises(StorageError, match=r"page\.json .*qnnsym run well"):
        _rewritten(done)


def test_a_run_over_a_damaged_record_succeeds(done, restored):
    for text in ("null", "[" * 100_000):
        (restored / "page.json").write_text(text)
        pipeline.run("well", workspace=Workspace(done))
        assert _rewritten(done).is_file()


def test_a_missing_figure_is_named(done, restored):
    figure = next(restored.glob("*.png"))
    figure.unlink()
    with pytest.raises(StorageError, match=re.escape(f"Cannot read {figure}: it is missing; `qnnsym run well`")):
        _rewritten(done)


def test_another_picture_under_the_name_of_a_figure_is_refused(done, restored):
    figure = next(restored.glob("*.png"))
    figure.write_bytes(figure.read_bytes()[:-20])
    with pytest.raises(StorageError, match=r"is not the figure of this run; `qnnsym run well` writes it anew"):
        _rewritten(done)


@pytest.mark.parametrize(("field", "value"), [("title", 5), ("equations", []), ("warnings", "no"), ("kernel", None)])
def test_a_record_with_a_field_of_another_type_is_damaged(done, restored, field, value):
    record = json.loads((restored / "page.json").read_text())
    (restored / "page.json").write_text(json.dumps({**record, field: value}))
    with pytest.raises(StorageError, match=rf"page\.json .*{field}.*qnnsym run well"):
        _rewritten(done)


def test_checks_nested_without_end_do_not_stop_a_listing(done, restored, call, monkeypatch):
    monkeypatch.chdir(done)
    (restored / "checks.json").write_text("[" * 100_000)
    status, said = call("list")
    assert status == 0 and "checks unreadable" in said


# killed processes, full disks -------------------------------------------------------------------------------


def test_what_a_killed_nested_write_left_is_removed_by_the_next_writer(tmp_path):
    target = tmp_path / "result.nc"
    outer = f".tmp-{'0' * 16}-result.nc"
    for name in (outer, f".tmp-{'1' * 16}-{outer}", f".{outer}.lock"):
        (tmp_path / name).write_text("unfinished")
    other = tmp_path / f".tmp-{'2' * 16}-other-result.nc"
    other.write_text("of another writer")
    assert in_use(target)
    with atomic_path(target) as temporary:
        atomic_write(temporary, "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([other.name, "result.nc"])
    assert target.read_text() == "whole" and not in_use(target)


@posix
def test_kills_while_generating_leave_nothing_half_written(folder, call):
    generator = random.Random(1)
    for attempt in range(4):
        write_quartic(folder, divisor=4 + attempt % 2)
        process = start(folder, "generate")
        deadline = time.monotonic() + 60
        while process.poll() is None and not list(folder.glob("generated/.*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(generator.choice([0, 0.002, 0.01]))
        process.kill()
        process.communicate()
        status, said = call("list")
        assert status == 0 and "REFUSED" not in said
        for path in folder.glob("generated/.*.lock"):
            path.unlink()  # so that the next attempt is seen to begin
    assert call("generate")[0] == 0 and call("generate", "--check")[0] == 0
    assert [p.name for p in (folder / "generated").iterdir()] == ["well"]


@posix
def test_a_file_too_large_for_the_disk_is_said_and_leaves_nothing(folder):
    import resource

    write_quartic(folder)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))  # noqa: E731
    process = start(folder, "generate", preexec_fn=limit)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 3 and "Traceback" not in said and "larger than is allowed" in said
    assert not [p for p in folder.rglob("generated/*") if p.is_file()]
