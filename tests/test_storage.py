"""Whoever is killed, and whenever: a reader finds the old content or the new one, and the next writer cleans up."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from qnnsym.errors import StorageError
from qnnsym.storage import atomic_directory, atomic_path, atomic_write, in_use, locked, recover

ROOT = Path(__file__).resolve().parents[1]
HEADER = """
import os, signal, sys, time
from pathlib import Path
from qnnsym.storage import atomic_directory, atomic_write, locked, recover
target = Path(sys.argv[1])
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def wait():
    print("ready", flush=True)
    time.sleep(60)
"""


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", HEADER + code, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def killed_by_itself(code, target):
    process = start(code, target)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL


def killed_when_ready(code, target):
    process = start(code, target)
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=30)


def folder_text(folder):
    return {p.name: p.read_text() for p in folder.iterdir()}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_text_and_bytes_arrive_exactly_and_nothing_else_stays(tmp_path):
    target = tmp_path / "deep" / "page.html"
    assert atomic_write(target, "ħ = 1\r\nend\n") == target
    assert target.read_bytes() == "ħ = 1\r\nend\n".encode()
    atomic_write(target, b"\x00\xff")
    assert target.read_bytes() == b"\x00\xff"
    assert names(target.parent) == ["page.html"]


def test_new_files_have_the_permissions_the_user_asked_for(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "file", "text")
        with atomic_directory(tmp_path / "folder") as folder:
            (folder / "inside").write_text("text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_link_to_another_disk_stays_a_link(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "scratch", target_is_directory=True)
    with atomic_directory(tmp_path / "results") as folder:
        (folder / "a").write_text("1")
    assert (tmp_path / "results").is_symlink() and folder_text(tmp_path / "scratch") == {"a": "1"}


def test_temporary_names_keep_the_ending(tmp_path):
    with atomic_path(tmp_path / "figure.png") as temporary:
        assert temporary.suffix == ".png" and temporary.parent == tmp_path
        temporary.write_bytes(b"png")
    assert names(tmp_path) == ["figure.png"]


def test_an_error_in_the_body_leaves_the_old_content_and_no_leftovers(tmp_path):
    atomic_write(tmp_path / "file", "old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    with atomic_directory(tmp_path / "folder") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "folder") as folder:
        (folder / "a").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "file").read_text() == "old" and folder_text(tmp_path / "folder") == {"a": "old"}
    assert names(tmp_path) == ["file", "folder"]


def test_the_folder_is_replaced_not_merged(tmp_path):
    for text in "12":
        with atomic_directory(tmp_path / "folder") as folder:
            (folder / text).write_text(text)
    assert folder_text(tmp_path / "folder") == {"2": "2"} and names(tmp_path) == ["folder"]


def test_a_killed_file_writer_leaves_the_old_file_and_the_next_one_removes_its_leftover(tmp_path):
    target = tmp_path / "file"
    atomic_write(target, "old")
    killed_by_itself("os.replace = die\natomic_write(target, 'new')", target)
    assert target.read_text() == "old" and len(names(tmp_path)) == 3  # the file, a leftover and a dead lock
    other = tmp_path / f".tmp-{'0' * 16}-other-file"
    other.write_text("belongs to the writer of other-file")
    atomic_write(target, "newer")
    assert target.read_text() == "newer" and names(tmp_path) == [other.name, "file"]


def test_a_killed_folder_writer_leaves_the_old_folder_and_its_lock_is_free(tmp_path):
    target = tmp_path / "folder"
    with atomic_directory(target) as folder:
        (folder / "a").write_text("old")
    code = "with atomic_directory(target) as folder:\n    (folder / 'a').write_text('half')\n    wait()"
    assert not in_use(target)
    killed_when_ready(code, target)
    assert folder_text(target) == {"a": "old"} and in_use(target)
    assert any(n.startswith(".tmp-") for n in names(tmp_path))
    with atomic_directory(target) as folder:
        (folder / "a").write_text("new")
    assert folder_text(target) == {"a": "new"} and names(tmp_path) == ["folder"]


CRASH = """
rename, calls = os.rename, []
def limited(*pair):
    if len(calls) == {allowed}:
        die()
    calls.append(pair)
    rename(*pair)
os.rename = limited
import shutil
shutil.rmtree = die
with atomic_directory(target) as folder:
    (folder / "a").write_text("new")
"""


@pytest.mark.parametrize(("allowed", "seen", "recovered"), [(0, "old", "old"), (1, None, "old"), (2, "new", "new")])
def test_a_crash_before_between_and_after_the_renames_is_recovered_from(tmp_path, allowed, seen, recovered):
    target = tmp_path / "folder"
    with atomic_directory(target) as folder:
        (folder / "a").write_text("old")
    killed_by_itself(CRASH.format(allowed=allowed), target)
    assert (folder_text(target) if target.exists() else None) == (seen and {"a": seen})
    assert recover(target)
    assert folder_text(target) == {"a": recovered} and names(tmp_path) == ["folder"]


def test_nothing_to_recover_is_said_without_writing(tmp_path):
    assert not recover(tmp_path / "folder") and not recover(tmp_path / "nowhere" / "folder")
    assert not in_use(tmp_path / "folder") and not in_use(tmp_path / "nowhere" / "folder")
    assert names(tmp_path) == []


def test_two_processes_never_hold_one_lock(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    code = """
for _ in range(150):
    with locked(target):
        value = int(target.read_text())
        time.sleep(0.0002)
        target.write_text(str(value + 1))
"""
    processes = [start(code, counter) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert counter.read_text() == "300" and names(tmp_path) == ["counter"]


def test_readers_beside_two_writers_see_whole_folders_only(tmp_path):
    target = tmp_path / "folder"
    code = """
for n in range(25):
    with atomic_directory(target) as folder:
        for name in "abc":
            (folder / name).write_text(f"{os.getpid()} {n}")
"""
    processes = [start(code, target) for _ in range(2)]
    seen = set()
    while any(p.poll() is None for p in processes):
        if recover(target):
            with locked(target):
                texts = folder_text(target)
            assert sorted(texts) == ["a", "b", "c"] and len(set(texts.values())) == 1
            seen.update(texts.values())
        time.sleep(0.005)
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert seen and names(tmp_path) == ["folder"]


def test_a_thread_may_enter_its_own_lock_again_and_another_thread_waits(tmp_path):
    target, order = tmp_path / "file", []

    def other():
        with locked(target):
            order.append("other")

    with locked(target):
        thread = threading.Thread(target=other)
        thread.start()
        with locked(target):
            atomic_write(target, "text")
        thread.join(0.05)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]


def test_a_lock_that_is_not_let_go_is_reported_with_what_to_do(tmp_path):
    process = start("with locked(target):\n    wait()", tmp_path / "file")
    try:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(StorageError, match=r"Another process has been writing .*file for 0\.05 s; wait for it"):
            with locked(tmp_path / "file", timeout=0.05):
                raise AssertionError("two holders")
    finally:
        process.kill()
        process.communicate()


def test_disk_errors_become_sentences(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="a file stands where a folder is needed; move it away"):
        atomic_write(tmp_path / "file" / "inside", "text")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        with atomic_directory(tmp_path / "file"):
            raise AssertionError("entered")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="a folder stands where the file should go"):
        atomic_write(tmp_path / "folder", "text")
    with pytest.raises(StorageError, match="the name is too long"):
        atomic_write(tmp_path / ("n" * 300), "text")
    assert (tmp_path / "file").read_text() == "in the way" and names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("body", ["atomic_write(target, b'x' * 100_000)", """
with atomic_directory(target) as folder:
    (folder / "large").write_bytes(b"x" * 100_000)
"""])
def test_a_write_the_system_cuts_short_is_a_storage_error_and_leaves_nothing(tmp_path, body):
    code = f"""
import resource
from qnnsym.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    exec({body!r})
except StorageError as error:
    print(error, flush=True)
"""
    process = start(code, tmp_path / "target")
    output, _ = process.communicate(timeout=30)
    assert output.startswith(f"Cannot write {tmp_path / 'target'}: the file is larger than is allowed here")
    assert names(tmp_path) == []


def test_an_error_of_the_body_that_is_no_disk_error_is_left_alone(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), atomic_directory(tmp_path / "folder"):
        (tmp_path / "input.csv").read_text()
    assert names(tmp_path) == []
