"""How commands read the files that a person names: alike, whatever is wrong with them."""

from __future__ import annotations

import codecs
import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from compliance_gate.policy.loading import load_pack
from decorum_simulation.audit.records import UnreadableRun, read_run
from decorum_simulation.lender.accounts import COLUMNS, read_accounts
from notifier.settings import SHIPPED_TEMPLATES
from scheduler.settings import SHIPPED_STRATEGIES
from shared import files
from shared.files import Unreadable
from shared.kafka.topics import topics_file
from tests.commands import decorum
from tests.unit.test_gate_conformance import changed

ROOT = Path(__file__).parents[2]
PACK = ROOT / "services/compliance-gate/src/compliance_gate/packs/cn.yaml"
READERS = (
    ("events", "publish", "--check"),
    ("gate", "conformance"),
    ("gate", "explain"),
    ("strategy", "check"),
    ("topics", "check", "--file"),
    ("demo", "--portfolio"),
)
FOLDERS = (
    ("strategy", "path", "--amount-minor", "1", "--due-on", "2026-09-10", "--folder"),
    ("templates", "check", "--folder"),
)
LINES = (("events", "publish", "--check"), ("gate", "conformance"), ("gate", "explain"))


@pytest.fixture(autouse=True)
def _no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DECORUM_CLOCK", "DECORUM_KAFKA_BOOTSTRAP_SERVERS", "DECORUM_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_file_that_is_not_there_is_said_in_the_same_words_by_every_command(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    missing = tmp_path / "missing.file"
    said = decorum(*command, str(missing))
    assert (said.code, said.err, said.out) == (2, f"{missing}: there is no such file", "")


@pytest.mark.parametrize("command", FOLDERS, ids=" ".join)
@pytest.mark.parametrize("name", ["missing", "a file"])
def test_a_folder_that_is_not_there_is_said_in_the_same_words(
    command: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    said = decorum(*command, str(tmp_path / name))
    assert (said.code, said.err) == (2, f"{tmp_path / name}: there is no such folder")


@pytest.mark.parametrize("command", [*LINES, ("topics", "check", "--file")], ids=" ".join)
def test_a_folder_in_place_of_a_file_is_refused(command: tuple[str, ...], tmp_path: Path) -> None:
    said = decorum(*command, str(tmp_path))
    assert (said.code, said.err) == (2, f"{tmp_path}: is a folder, not a file")


@pytest.mark.parametrize("command", LINES, ids=" ".join)
@pytest.mark.parametrize("content", [b"", b"\n \n", codecs.BOM_UTF8], ids=["empty", "blank", "only a mark"])
def test_a_file_with_nothing_in_it_is_no_success(command: tuple[str, ...], content: bytes, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(content)
    for argument, called in ((str(empty), str(empty)), ("-", "standard input")):
        said = decorum(*command, argument, given=content)
        assert said.code == 2
        assert f"{called}: there is no " in said.err


@pytest.mark.parametrize("command", [("gate", "conformance"), ("topics", "check", "--file")], ids=" ".join)
def test_what_is_not_utf8_is_told_with_its_line(command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"a\nb\n\xff\n")
    said = decorum(*command, str(path))
    assert (said.code, said.err) == (2, f"{path}:3: is not UTF-8")


def test_a_file_that_is_too_large_is_refused_and_never_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 2_000)
    with pytest.raises(Unreadable, match="has more than 1 KiB: cut it up"):
        files.read_bytes(path, bytes_max=1_024)
    with pytest.raises(Unreadable, match="has more than 1 KiB"):
        files.read_bytes(Path(os.devnull).with_name("zero"), bytes_max=1_024)


def test_a_byte_order_mark_is_skipped_by_the_commands_that_read_lines(tmp_path: Path) -> None:
    path = tmp_path / "marked"
    example = decorum("events", "example", "payment-received").out
    path.write_bytes(codecs.BOM_UTF8 + example.encode())
    assert decorum("events", "publish", "--check", str(path)).out.startswith("1 good, 0 bad")
    path.write_bytes(codecs.BOM_UTF8 + changed().encode())
    assert decorum("gate", "conformance", str(path)).out.endswith("1 passed, 0 failed, 0 skipped\n")
    assert decorum("gate", "explain", str(path)).code == 0


def test_a_byte_order_mark_is_skipped_by_every_file_of_an_installation(tmp_path: Path) -> None:
    for source, command in ((SHIPPED_STRATEGIES, "strategy check"), (SHIPPED_TEMPLATES, "templates check --folder")):
        folder = tmp_path / source.name
        shutil.copytree(source, folder)
        for path in folder.glob("*.yaml"):
            path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
        said = decorum(*command.split(), str(folder))
        assert said.code == 0, said.err
    pack = tmp_path / PACK.name
    pack.write_bytes(codecs.BOM_UTF8 + PACK.read_bytes())
    assert load_pack(pack) == load_pack(PACK)
    topics = tmp_path / "topics.yaml"
    topics.write_bytes(codecs.BOM_UTF8 + topics_file().read_bytes())
    assert decorum("topics", "check", "--file", str(topics)).err.startswith("DECORUM_KAFKA_BOOTSTRAP_SERVERS")


def test_a_byte_order_mark_is_skipped_by_a_portfolio_and_by_the_audit(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.csv"
    with accounts.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(dict.fromkeys(COLUMNS, 0))
    assert len(list(read_accounts(accounts, None))) == 1
    run = {"seed": 1, "virtual_start": "2026-09-15T00:00:00Z", "virtual_end": "2026-09-16T00:00:00Z"}
    run |= {"packs": [], "overlay": "", "borrowers": 0, "wall_seconds": 1.0}
    (tmp_path / "run.json").write_bytes(codecs.BOM_UTF8 + json.dumps(run).encode())
    with pytest.raises(UnreadableRun, match=r"carrier\.jsonl: there is no such file"):
        read_run(tmp_path)


@pytest.mark.parametrize("command", ["strategy check", "templates check --folder"])
def test_a_control_character_in_a_file_is_a_mistake_and_no_trace(command: str, tmp_path: Path) -> None:
    for source in (*SHIPPED_STRATEGIES.glob("*.yaml"), *SHIPPED_TEMPLATES.glob("*.yaml")):
        (tmp_path / source.name).write_bytes(b"\x00" + source.read_bytes())
    said = decorum(*command.split(), str(tmp_path))
    assert said.code == 1
    assert "YAML" in said.err
