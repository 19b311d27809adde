"""Derivations are found in their order, listed without being run, and their errors name file and line."""

import subprocess
import sys
from pathlib import Path

import pytest

from qnnsym import workspace as module
from qnnsym.errors import InputError
from qnnsym.workspace import Workspace, shipped_root

ROOT = Path(__file__).resolve().parents[1]
MODEL = '''"""{title}

More about it.
"""
from qnnsym.derivation.model import Model
from qnnsym.phase_space.space import PhaseSpace

space = PhaseSpace("x", "p")
(x,), (p,) = space.x, space.p
model = Model(name="{name}", hamiltonian=p**2 / 2 + x**4 / 4, space=space)
'''
EXPLODES = '"""Never to be run by a listing."""\nraise SystemExit("executed")\n'


def write(root, name, text=None, title="A title."):
    path = root / "derivations" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text is not None else MODEL.format(name=name, title=title))
    return path


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """An installed package with shipped derivations inside, apart from the user's folder."""
    package = tmp_path / "site-packages" / "qnnsym"
    write(package / "_shipped", "quartic", title="The shipped quartic.")
    write(package / "_shipped", "network")
    monkeypatch.setattr("qnnsym.__file__", str(package / "__init__.py"))
    return package / "_shipped"


@pytest.fixture
def here(tmp_path):
    root = tmp_path / "here"
    root.mkdir()
    return Workspace.find(root)


def test_the_workspace_is_the_folder_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = Workspace.find()
    assert space == Workspace.find(tmp_path) == Workspace(tmp_path.resolve())
    assert space.derivations == tmp_path / "derivations" and space.generated == tmp_path / "generated"
    assert space.results == tmp_path / "results" and space.kernels == tmp_path / ".qnnsym" / "kernels"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="There is no folder nowhere; make it"):
        Workspace.find("nowhere")


def test_the_cache_is_made_when_asked_for(here):
    assert here.cache == here.root / ".qnnsym" / "cache" and here.cache.is_dir() and here.cache_note == ""


def test_without_a_place_to_write_there_is_no_cache_and_a_sentence(here):
    (here.root / ".qnnsym").write_text("a file in the way")
    assert here.cache is None
    assert here.cache_note.startswith("Kernels are compiled anew in every process, because there is no cache: Cannot")


def test_shipped_files_are_inside_the_package_or_in_the_checkout(tmp_path, monkeypatch):
    package = tmp_path / "qnnsym"
    package.mkdir()
    monkeypatch.setattr("qnnsym.__file__", str(package / "__init__.py"))
    assert shipped_root() is None and Workspace(tmp_path).entries() == []
    (tmp_path / "derivations").mkdir()
    assert shipped_root() is None
    (tmp_path / "pyproject.toml").write_text("")
    assert shipped_root() == tmp_path
    (package / "_shipped").mkdir()
    assert shipped_root() == package / "_shipped"


def test_the_installed_package_resolves_to_this_checkout():
    assert shipped_root() == ROOT


def test_listing_executes_nothing_and_says_what_cannot_be_read(here, shipped):
    write(here.root, "explodes", EXPLODES)
    write(here.root, "broken", '"""Title."""\nx = (\n')
    write(here.root, "binary", "x\x00y")
    write(here.root, "silent", "x = 1\n")
    write(here.root, "_private")
    assert [(e.name, e.origin, e.title) for e in here.entries()] == [
        ("binary", "here", here.entries()[0].title),
        ("broken", "here", "(cannot be read: '(' was never closed, line 2)"),
        ("explodes", "here", "Never to be run by a listing."),
        ("silent", "here", ""),
        ("network", "shipped", "A title."),
        ("quartic", "shipped", "The shipped quartic."),
    ]
    assert here.entries()[0].title.startswith("(cannot be read: ")


def test_ones_own_derivation_hides_the_shipped_one_of_the_same_name(here, shipped):
    path = write(here.root, "quartic", title="Mine.")
    assert [(e.name, e.origin) for e in here.entries()] == [("quartic", "here"), ("network", "shipped")]
    assert [(e.name, e.title) for e in here.entries("here")] == [("quartic", "Mine.")]
    assert [(e.name, e.title) for e in here.entries("shipped")] == [
        ("network", "A title."), ("quartic", "The shipped quartic."),
    ]
    assert here.resolve("quartic").path == path
    assert here.resolve("quartic", origin="shipped").path == shipped / "derivations" / "quartic.py"


def test_in_the_checkout_here_and_shipped_are_one(shipped):
    space = Workspace(shipped)
    assert space.entries() == space.entries("shipped") == space.entries("here")
    assert {e.origin for e in space.entries()} == {"here"}


def test_kernels_belong_to_the_origin_and_shipped_ones_are_never_written(here, shipped):
    write(here.root, "mine")
    mine, quartic = here.resolve("mine"), here.resolve("quartic")
    assert here.generated_for(mine) == here.root / "generated" / "mine" and here.writable(mine)
    assert here.generated_for(quartic) == shipped / "generated" / "quartic" and not here.writable(quartic)
    assert not Workspace(shipped).writable(Workspace(shipped).resolve("quartic"))


def test_a_checkout_may_generate_its_own_kernels():
    space = Workspace(ROOT)
    entry = module._entry(ROOT / "derivations" / "model.py", "here", ROOT)
    assert space.writable(entry) and not Workspace(ROOT / "tests").writable(entry)


def test_a_path_means_the_file_wherever_it_is(here, shipped, tmp_path):
    other = write(tmp_path / "elsewhere", "special")
    for text in (str(other), "../elsewhere/derivations/special.py", "../elsewhere/derivations/special"):
        entry = here.resolve(text)
        assert entry.path == other and entry.origin == "here"
        assert entry.generated == here.root / "generated" / "special"
    entry = here.resolve(str(shipped / "derivations" / "quartic.py"))
    assert entry == here.resolve("quartic") and entry.origin == "shipped"
    with pytest.raises(InputError, match=r"There is no derivation file missing\.py; give the path of a \.py file"):
        here.resolve("missing.py")


def test_an_unknown_name_is_refused_with_the_nearest_one(here, shipped):
    with pytest.raises(InputError, match=r"no derivation 'quartik' in .*Did you mean quartic\? `qnnsym list` shows"):
        here.resolve("quartik")
    with pytest.raises(InputError, match=r"no derivation 'zzz' in ./derivations. `qnnsym list`"):
        here.resolve("zzz", origin="here")


def test_a_model_is_loaded_and_leaves_no_trace(here):
    (here.root / "derivations").mkdir()
    (here.root / "derivations" / "beside.py").write_text("TEN = 10\n")
    text = MODEL.format(name="quartic", title="T")
    text += "from beside import TEN\nfrom dataclasses import dataclass\n@dataclass\nclass Own:\n    a: 'int' = TEN\n"
    text += "assert __file__.endswith('quartic.py') and __name__ != '__main__'\n"
    path = write(here.root, "quartic", text)
    before, paths, bytecode = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    model = here.load_model(here.resolve("quartic"))
    assert model.name == "quartic" and str(model.hamiltonian) == "p**2/2 + x**4/4"
    assert not {m for m in set(sys.modules) - before if "beside" in m or "quartic" in m}
    assert sys.path == paths and sys.dont_write_bytecode == bytecode
    assert sorted(p.name for p in path.parent.iterdir()) == ["beside.py", "quartic.py"]


def test_loading_again_sees_the_edited_file(here):
    path = write(here.root, "quartic")
    here.load_model(here.resolve("quartic"))
    path.write_text(path.read_text().replace("x**4 / 4", "x**2"))
    assert str(here.load_model(here.resolve("quartic")).hamiltonian) == "p**2/2 + x**2"


def test_the_only_model_may_have_any_variable_name_and_aliases(here):
    write(here.root, "quartic", MODEL.format(name="quartic", title="T").replace("model = ", "mine = also = "))
    assert here.load_model(here.resolve("quartic")).name == "quartic"
    text = MODEL.format(name="quartic", title="T")
    write(here.root, "quartic", text + "other = model.changed(name='other')\n")
    assert here.load_model(here.resolve("quartic")).name == "quartic"


@pytest.mark.parametrize(
    ("tail", "sentence"),
    [
        ("x = (\n", r"quartic\.py, line 11: SyntaxError: '\(' was never closed"),
        ("import nothing_of_that_name\n", r"line 11: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("\nundefined + 1\n", r"line 12: NameError: name 'undefined' is not defined"),
        ("def f():\n    return 1 / 0\nf()\n", r"line 12: ZeroDivisionError: division by zero"),
        ("class Odd(Exception): pass\nraise Odd\n", r"line 12: Odd$"),
        ("import sys\nsys.exit(3)\n", r"line 12: it ends the program; a derivation file only defines a model"),
        ("Model(name='two words', hamiltonian=x, space=space)\n", r"line 11: The model name 'two words' cannot name"),
        ("del model\n", r"quartic\.py defines no model; call the one to be run `model`"),
        ("a = model.changed(name='b')\nb = model\ndel model\n", r"defines several models \(a, b\); call the one"),
        ("model = model.changed(name='other')\n", r"defines the model 'other'; give it the name of its file, 'qu"),
    ],
)
def test_mistakes_in_the_file_are_told_with_their_line(here, tail, sentence):
    write(here.root, "quartic", MODEL.format(name="quartic", title="T") + tail)
    with pytest.raises(InputError, match=sentence):
        here.load_model(here.resolve("quartic"))


def test_the_original_error_is_kept_as_the_cause(here):
    write(here.root, "quartic", "1 / 0\n")
    with pytest.raises(InputError) as caught:
        here.load_model(here.resolve("quartic"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_interrupt_in_the_file_stays_an_interrupt(here):
    write(here.root, "quartic", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        here.load_model(here.resolve("quartic"))
    assert str(here.root / "derivations") not in sys.path


def test_a_file_that_vanished_is_a_sentence(here):
    path = write(here.root, "quartic")
    entry = here.resolve("quartic")
    path.unlink()
    with pytest.raises(InputError, match=r"quartic\.py"):
        here.load_model(entry)
    with pytest.raises(InputError, match=r"quartic\.py cannot be read: No such file"):
        here.source_hash(entry)


def test_the_source_hash_follows_the_text_and_not_the_line_ends(here):
    path = write(here.root, "quartic")
    entry = here.resolve("quartic")
    first = here.source_hash(entry)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert here.source_hash(entry) == first and len(first) == 32
    path.write_text(path.read_text() + "# a note\n")
    assert here.source_hash(entry) != first


def test_results_of_variants_have_folders_of_their_own(here):
    plain = here.results_dir("quartic")
    assert plain == here.results_dir("quartic", {}) == here.root / "results" / "quartic"
    one = here.results_dir("quartic", {"H": "p**2/2 + x**2", "hbar": "0.05"})
    assert one == here.results_dir("quartic", {"hbar": " 0.05", "H": "p**2/2+x**2"})
    assert one.parent == plain and len(one.name) == 12 and int(one.name, 16) >= 0
    others = [{"hbar": "0.05"}, {"H": "p**2/2 + x**2"}, {"H": "p**2/2 + x**2", "hbar": "0.5"}]
    others.append({"H": "0.05", "hbar": "p**2/2 + x**2"})
    assert len({one, *(here.results_dir("quartic", o) for o in others)}) == 5
    assert here.results_dir("quartic", {"hbar": "1"}, out="chosen") == here.root / "chosen"
    elsewhere = here.root.parent / "elsewhere"
    assert here.results_dir("quartic", out=str(elsewhere)) == elsewhere
    assert list(here.root.iterdir()) == []


def test_listing_needs_neither_sympy_nor_numpy():
    code = "import sys\nfrom qnnsym.workspace import Workspace\nWorkspace.find().entries()\n"
    code += "print(sorted({'sympy', 'numpy', 'numba'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
