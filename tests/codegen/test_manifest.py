"""Kernels on disk are what their manifest says, or they are refused with the file and the command that mends it."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from qnnsym.codegen import manifest as module
from qnnsym.codegen.emit import emit_numba
from qnnsym.codegen.lower import lower
from qnnsym.codegen.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    Manifest,
    check_folder,
    compare_folders,
    file_hashes,
    folder_files,
    header,
    signature,
    write_folder,
)
from qnnsym.errors import KernelRefused
from qnnsym.storage import atomic_directory
from tests.networks import characteristic_equations

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "qnnsym generate quartic"


def example(line="dx/dt = p/m", text="def rhs():\n    return 1\n"):
    bodies = {"kernel.py": text}
    name = signature(bodies)
    files = {n: header("quartic", line, name, COMMAND) + body for n, body in bodies.items()}
    return files, Manifest(
        "quartic", "phase-space", name, file_hashes(files), ("rhs",), ("hbar", "m", "g"), ("nx", "np"), line, COMMAND
    )


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "quartic", *example())


def test_a_manifest_is_read_back_as_it_was_written(folder):
    _, manifest = example()
    assert check_folder(folder) == manifest == Manifest.from_json(manifest.to_json())
    text = (folder / MANIFEST).read_text()
    assert text == manifest.to_json() and text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text)) and json.loads(text)["format"] == FORMAT_VERSION
    assert sorted(p.name for p in folder.parent.iterdir()) == ["quartic"]


def test_the_manifest_holds_the_digest_of_the_bytes_on_disk(folder):
    digest = hashlib.sha256((folder / "kernel.py").read_bytes()).hexdigest()
    assert json.loads((folder / MANIFEST).read_text())["files"] == {"kernel.py": digest}


def test_the_signature_knows_names_texts_and_format_but_no_order(monkeypatch):
    name = signature({"a.py": "1", "b.py": "2"})
    assert name == signature({"b.py": "2", "a.py": "1"}) and len(name) == 32 and int(name, 16) >= 0
    others = [{"a.py": "1"}, {"a.py": "2", "b.py": "1"}, {"a.py": "1", "b.py": "2 "}, {"a.py": "1b.py", "": "2"}]
    assert len({name, *map(signature, others)}) == 5
    monkeypatch.setattr(module, "FORMAT_VERSION", FORMAT_VERSION + 1)
    assert signature({"a.py": "1", "b.py": "2"}) != name


def test_the_header_is_a_docstring_without_anything_that_changes_by_itself():
    name = signature({"kernel.py": "x"})
    equations = 'dW/dt = \\frac{g}{4}\n  [x^4, W] """end'
    text = header("quartic", equations, name, COMMAND)
    assert text == header("quartic", equations, name, COMMAND)
    docstring = ast.get_docstring(ast.parse(text + "x = 1\n"))
    lines = docstring.splitlines()
    assert lines[0].endswith(f"run: {COMMAND}") and "model quartic" in lines[0]
    assert lines[2:] == [
        "Equations: dW/dt = \\frac{g}{4} [x^4, W] '''end", f"Model signature: {name}",
        f"Generator format: {FORMAT_VERSION}",
    ]
    assert str(ROOT) not in text and "sympy" not in text.lower() and "20" not in text.replace(name, "")


def test_a_generated_kernel_with_its_header_is_the_body_with_a_docstring():
    functions = [lower(characteristic_equations())]
    body = emit_numba(functions, "")
    name = signature({"kernel.py": body})
    tree = ast.parse(emit_numba(functions, header("network", "dy/dt = ...", name, "qnnsym generate network")))
    assert name in ast.get_docstring(tree)
    assert ast.dump(ast.Module(tree.body[1:], [])) == ast.dump(ast.parse(body))


def test_signature_and_manifest_are_the_same_under_any_hash_seed():
    code = """
import sys
from qnnsym.codegen.manifest import Manifest, file_hashes, signature
files = {name: name for name in ("b.py", "a.py", "c.py")}
sys.stdout.write(Manifest("m", "neural", signature(files), file_hashes(files), ("f", "g")).to_json())
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in "017"
    }
    assert len(found) == 1 and Manifest.from_json(found.pop()).functions == ("f", "g")


def test_a_changed_file_was_tampered_with(folder):
    (folder / "kernel.py").write_text((folder / "kernel.py").read_text().replace("return 1", "return 2"))
    with pytest.raises(KernelRefused, match=r"quartic/kernel\.py was tampered with: .*; qnnsym generate quartic mends"):
        check_folder(folder)
    with pytest.raises(KernelRefused, match=r"rm -r kernels mends"):
        check_folder(folder, command="rm -r kernels")


def test_one_added_blank_is_tampering_and_other_line_ends_are_not(folder):
    path = folder / "kernel.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert check_folder(folder).model == "quartic"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(KernelRefused, match="tampered"):
        check_folder(folder)


def test_a_missing_file_is_named(folder):
    (folder / "kernel.py").unlink()
    with pytest.raises(KernelRefused, match=r"kernel\.py is missing, although .*qnnsym generate quartic mends it"):
        check_folder(folder)


def test_bytes_that_are_no_text_were_tampered_with(folder):
    (folder / "kernel.py").write_bytes(b"\xff\xfe")
    with pytest.raises(KernelRefused, match=r"kernel\.py was tampered with"):
        check_folder(folder)


@pytest.mark.parametrize("name", ["other.py", "deep/other.py"])
def test_a_python_file_that_is_not_listed_is_foreign(folder, name):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise SystemExit\n")
    with pytest.raises(KernelRefused, match=r"other\.py is foreign: .* qnnsym generate quartic mends the folder"):
        check_folder(folder)


def test_caches_and_notes_beside_the_kernels_are_left_alone(folder):
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "kernel.cpython-311.pyc").write_bytes(b"\x00")
    (folder / "notes.txt").write_text("mine")
    assert check_folder(folder).model == "quartic"


def test_a_folder_that_is_not_there_or_has_no_manifest_is_refused(folder, tmp_path):
    with pytest.raises(KernelRefused, match=r"There are no kernels in .*other; qnnsym generate other writes them"):
        check_folder(tmp_path / "other")
    (folder / MANIFEST).unlink()
    with pytest.raises(KernelRefused, match=r"manifest\.json is missing, so nothing vouches .* generate quartic"):
        check_folder(folder)


def changed(**changes):
    data = json.loads(example()[1].to_json())
    data.update(changes)
    return json.dumps({k: v for k, v in data.items() if v is not None})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is damaged: it is not JSON"),
        (example()[1].to_json()[:-40], "is damaged: it is not JSON"),
        ("[" * 100_000, "is damaged: it is not JSON"),
        ("[1, 2]", "is foreign: it is no manifest of qnnsym"),
        ('{"name": "other"}', "is foreign: it is no manifest of qnnsym"),
        (changed(format=FORMAT_VERSION + 1), f"has the generator format {FORMAT_VERSION + 1} and .* reads"),
        (changed(files=None), "is damaged: look at files"),
        (changed(extra=1), "is damaged: look at extra"),
        (changed(model=3), "is damaged: look at model"),
        (changed(signature="abc"), "is damaged: look at signature"),
        (changed(functions="rhs"), "is damaged: look at functions"),
        (changed(parameters=[1]), "is damaged: look at parameters"),
        (changed(files={"kernel.py": "short"}), "is damaged: look at files"),
        (changed(files={"../../kernel.py": "0" * 64}), "is damaged: look at files"),
    ],
)
def test_a_damaged_or_foreign_manifest_is_refused(folder, text, sentence):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(KernelRefused, match=rf"manifest\.json {sentence}.*; qnnsym generate quartic writes it anew"):
        check_folder(folder)


def test_a_manifest_that_is_no_text_is_refused(folder):
    (folder / MANIFEST).write_bytes(b"\xff")
    with pytest.raises(KernelRefused, match="is damaged: it is not text"):
        check_folder(folder)


def test_a_manifest_of_other_files_is_never_written(tmp_path):
    files, manifest = example()
    with pytest.raises(KernelRefused, match="does not belong to these files"):
        write_folder(tmp_path / "quartic", {**files, "more.py": ""}, manifest)
    with pytest.raises(KernelRefused, match="does not belong to these files"):
        write_folder(tmp_path / "quartic", files, replace(manifest, files={"kernel.py": "0" * 64}))
    assert list(tmp_path.iterdir()) == []


def test_writing_mends_the_folder_and_removes_what_is_not_generated(folder):
    (folder / "other.py").write_text("")
    (folder / "kernel.py").write_text("")
    write_folder(folder, *example())
    assert check_folder(folder) == example()[1] and sorted(p.name for p in folder.iterdir()) == ["kernel.py", MANIFEST]


def test_a_folder_whose_writer_died_between_the_renames_is_brought_back(folder):
    folder.rename(folder.with_name(f".old-{'0' * 16}-quartic"))
    assert check_folder(folder) == example()[1]
    assert sorted(p.name for p in folder.parent.iterdir()) == ["quartic"]


def test_a_reader_waits_for_the_writer_instead_of_refusing_what_it_is_about_to_replace(folder):
    (folder / "kernel.py").write_text("half")
    begun, seen = threading.Event(), []

    def write():
        with atomic_directory(folder) as fresh:
            begun.set()
            for name, text in folder_files(*example()).items():
                (fresh / name).write_text(text)

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait(10)
    seen.append(check_folder(folder))
    writer.join(10)
    assert seen == [example()[1]]


def test_equal_folders_have_no_differences(folder):
    expected = folder_files(*example())
    assert compare_folders(expected, folder) == []
    (folder / "kernel.py").write_bytes((folder / "kernel.py").read_bytes().replace(b"\n", b"\r\n"))
    assert compare_folders(expected, folder) == []


def test_differences_are_told_with_an_excerpt(folder, tmp_path):
    lines = "".join(f"    a{i} = {i}\n" for i in range(40))
    files, manifest = example(text=f"def rhs():\n{lines}")
    expected = folder_files(files, manifest)
    (folder / "other.py").write_text("")
    differences = compare_folders({**expected, "new.py": "x"}, folder)
    assert [d.splitlines()[0] for d in differences] == [
        f"{folder}/kernel.py differs from what is generated now:",
        f"{folder}/{MANIFEST} differs from what is generated now:",
        f"{folder}/new.py is missing.",
        f"{folder}/other.py is not generated any more.",
    ]
    excerpt = differences[0].splitlines()[1:]
    assert "    -Model signature: " + example()[1].signature in [e.rstrip() for e in excerpt]
    assert "    +Model signature: " + manifest.signature in excerpt
    assert len(excerpt) == 13 and excerpt[-1].endswith("more lines")
    missing = f"{tmp_path}/nowhere is missing; it was never generated."
    assert compare_folders(expected, tmp_path / "nowhere") == [missing]


def test_a_trailing_line_end_is_a_difference(folder):
    with (folder / "kernel.py").open("a") as file:
        file.write("\n\n")
    (difference,) = compare_folders(folder_files(*example()), folder)
    assert "kernel.py differs" in difference
    path = folder / "kernel.py"
    path.write_text(path.read_text().rstrip("\n"))
    (difference,) = compare_folders(folder_files(*example()), folder)
    assert difference.endswith("(line ends only)")
