"""Downloads over real HTTP, from a server on this machine that misbehaves."""

import hashlib

import pytest

from prunelab.data import download

CONTENT = bytes(range(256)) * 1000


def md5(content):
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "file.bin"


def fetch(mirrors, target):
    for mirror in mirrors:
        mirror.files.setdefault("file.bin", CONTENT)
    download.fetch([mirror.url + "file.bin" for mirror in mirrors], target, md5(CONTENT))


def fails(*words, call):
    with pytest.raises(RuntimeError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith("load: ") and "\n" not in message
    assert [word for word in words if word not in message] == []


def test_a_broken_connection_is_resumed_where_it_broke(mirrors, target):
    mirrors[0].cut = 100_000
    fetch(mirrors[:1], target)
    assert target.read_bytes() == CONTENT
    assert [start for _, start in mirrors[0].log] == [0, 100_000, 200_000]
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_a_download_of_an_earlier_run_is_resumed(mirrors, target):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(CONTENT[:70_000])
    fetch(mirrors, target)
    assert target.read_bytes() == CONTENT and mirrors[0].log == [("file.bin", 70_000)]


def test_a_whole_part_is_taken_without_its_bytes_being_sent_again(mirrors, target):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(CONTENT)
    fetch(mirrors[:1], target)
    assert target.read_bytes() == CONTENT and len(mirrors[0].log) == 1


@pytest.mark.parametrize("length", [70_000, len(CONTENT), len(CONTENT) + 5])
def test_a_part_with_wrong_bytes_is_fetched_again_from_the_start(mirrors, target, length):
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(bytes(length))
    fetch(mirrors[:1], target)
    assert target.read_bytes() == CONTENT
    assert [start for _, start in mirrors[0].log] == [length, 0]


def test_a_mirror_that_cannot_resume_sends_all_again(mirrors, target):
    mirrors[0].ranges = False
    target.parent.mkdir()
    target.with_name("file.bin.part").write_bytes(b"?" * 70_000)
    fetch(mirrors[:1], target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["wrong file", "gone", "no resume"])
def test_the_second_mirror_helps_when_the_first_fails(mirrors, target, fault):
    if fault == "wrong file":
        mirrors[0].files["file.bin"] = b"a login page"
    elif fault == "gone":
        mirrors[0].files["file.bin"] = None
    else:
        mirrors[0].ranges, mirrors[0].cut = False, 100_000
    fetch(mirrors, target)
    assert target.read_bytes() == CONTENT and mirrors[1].log


def test_when_all_mirrors_fail_each_is_named_with_its_reason(mirrors, target):
    mirrors[0].files["file.bin"] = None
    mirrors[1].files["file.bin"] = b"a login page"
    reasons = ("HTTP Error 404", f"gave MD5 {md5(b'a login page')}, expected {md5(CONTENT)}")
    named = [f"{m.url}file.bin: {why}" for m, why in zip(mirrors, reasons)]
    by_hand = f"put the file with MD5 {md5(CONTENT)} at '{target}'"
    fails(*named, by_hand, call=lambda: fetch(mirrors, target))
    assert list(target.parent.iterdir()) == []


def test_a_server_that_is_not_there_is_a_reason(target):
    call = lambda: download.fetch(["http://127.0.0.1:9/x", "nonsense"], target, "0")  # noqa: E731
    fails("refused", "nonsense: unknown url type", call=call)


def test_what_a_mirror_sent_before_it_failed_is_kept_for_the_next_run(mirrors, target):
    mirrors[0].ranges, mirrors[0].cut = False, 100_000
    fails("broke off", call=lambda: fetch(mirrors[:1], target))
    assert [path.name for path in target.parent.iterdir()] == ["file.bin.part"]
    assert target.with_name("file.bin.part").read_bytes() == CONTENT[:100_000]
