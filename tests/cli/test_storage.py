"""`danku storage`, against a server that stands in for a node and for a gateway."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from danku.roles.storage import needs
from danku.roles.workspace import Workspace
from danku.storage.settings import VARIABLES
from tests.cli.driver import NAME, Danku
from tests.storage.servers import Server, running

At = Callable[[str], Danku]


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def wanted(danku: Danku) -> set[str]:
    workspace = Workspace(danku.folder)
    (challenge,) = workspace.state().challenges.values()
    return {need.cid for need in needs(workspace, challenge)}


def give(danku: Danku, server: Server) -> set[str]:
    """Move the shared blobs to the server; their CIDs."""
    blobs = danku.folder / "challenges" / "blobs"
    found = {server.hold(path.read_bytes()) for path in blobs.iterdir()}
    shutil.rmtree(blobs)
    return found


def config(danku: Danku) -> str:
    return (danku.folder / "danku.toml").read_text("utf-8")


def test_a_node_is_chosen_and_shown(at: At, server: Server) -> None:
    danku = at("final")
    before = config(danku)
    said = danku("storage", "use", "ipfs", "--api", server.api, "--gateway", server.url)
    assert said["node"] == "Kubo 0.38.1"
    assert config(danku).startswith(before.rstrip("\n"))
    stored = tomllib.loads(config(danku))["storage"]
    assert (stored["kind"], stored["api"]) == ("ipfs", server.api)
    assert ".cache/" in (danku.folder / ".gitignore").read_text("utf-8")
    shown = danku("storage", "status")
    assert [(each["name"], each["ok"]) for each in shown["sources"]] == [
        ("own node", True),
        (f"gateway {server.url}", True),
    ]
    danku("storage", "use", "embedded", "--gateway", server.url, "--keep-days", "7")
    stored = tomllib.loads(config(danku))["storage"]
    assert (stored["kind"], stored["api"], stored["keep_days"]) == ("embedded", server.api, 7)
    assert config(danku).count("[storage]") == 1


def test_what_does_not_work_is_not_chosen(at: At) -> None:
    danku = at("final")
    before = config(danku)
    use = ("storage", "use", "ipfs", "--api")
    danku.refused(*use, "/ip4/127.0.0.1/tcp/9", code=6, error="NodeUnreachable")
    danku.refused(*use, "localhost:5001", code=2, error="BadAddress")
    danku.refused("storage", "use", "dropbox", code=2, error="UsageError")
    gateway = ("storage", "use", "embedded", "--gateway", "gateway.example")
    danku.refused(*gateway, code=2, error="BadGateway")
    assert config(danku) == before


def test_tables_around_it_stay_and_one_that_is_not_understood_is_not_touched(at: At) -> None:
    danku = at("final")
    path = danku.folder / "danku.toml"
    public = config(danku)
    path.write_text("# mine\n" + public + '[storage]\nkind = "embedded"\n# gone\n')
    danku("storage", "use", "embedded")
    assert config(danku).startswith("# mine\n" + public.rstrip("\n"))
    path.write_text(public + "storage.keep_days = 5\n")
    before = config(danku)
    danku.refused("storage", "use", "embedded", code=5, error="DataError")
    assert config(danku) == before


def test_status_tells_which_source_does_not_work(at: At, server: Server) -> None:
    danku = at("final")
    danku("storage", "use", "ipfs", "--api", server.api, "--gateway", server.url)
    server.hold(b"")
    server.fault = lambda what, before: "lie" if "/ipfs/" in what else "status 500"
    run = danku.try_("storage", "status", "--json")
    assert run.code == 6
    assert [each["ok"] for each in run.json["sources"]] == [False, False]
    assert "wrong bytes" in danku.try_("storage", "status").out


def test_pinning_has_the_node_keep_all_that_a_challenge_needs(at: At, server: Server) -> None:
    danku = at("final")
    danku("storage", "use", "ipfs", "--api", server.api)
    (said,) = danku("storage", "pin", NAME)
    assert server.pins == set(server.blobs) == wanted(danku) == set(said["here"])
    assert said["missing"] == []
    assert said["pinned"] == len(server.pins)
    (again,) = danku("storage", "pin", NAME)
    assert again["pinned"] == 0
    danku.refused("storage", "pin", "nothing", code=2, error="UnknownName")


def test_a_workspace_without_blobs_lives_from_a_gateway(at: At, server: Server) -> None:
    danku = at("final").of("alice")
    danku("storage", "use", "embedded", "--gateway", server.url)
    given = give(danku, server)
    (said,) = danku("storage", "fetch", NAME)
    assert set(said["here"]) == given
    assert danku("storage", "status")["blobs"] == len(given)
    asked = len(server.asked)
    assert danku("verify", NAME)["ok"]
    assert len(server.asked) == asked, "everything is here"
    assert not (danku.folder / "challenges" / "blobs").exists()


def test_what_cannot_be_had_is_listed(at: At, server: Server) -> None:
    danku = at("final")
    danku("storage", "use", "embedded", "--gateway", server.url)
    give(danku, server)
    (challenge,) = Workspace(danku.folder).state().challenges.values()
    server.fault = lambda what, before: "status 404" if str(challenge.test) in what else ""
    run = danku.try_("storage", "fetch", NAME, "--json")
    assert run.code == 6
    (said,) = run.json
    assert [(each["cid"], each["what"]) for each in said["missing"]] == [
        (challenge.test, "test bundle")
    ]
    assert "404" in said["missing"][0]["why"]
    run = danku.try_("storage", "fetch", NAME)
    assert f"test bundle {challenge.test}" in run.out


def test_one_blob_is_fetched_to_a_file(at: At, server: Server, tmp_path: Path) -> None:
    danku = at("made")
    danku("storage", "use", "embedded", "--gateway", server.url)
    data = bytes(3 * 2**18)
    cid = server.hold(data)
    danku("storage", "fetch", cid, "--to", str(tmp_path / "blob"))
    assert (tmp_path / "blob").read_bytes() == data
    danku.refused("storage", "fetch", "--to", "x", code=2, error="UsageError")


def test_what_nobody_needs_any_more_is_taken_back(at: At, server: Server) -> None:
    danku = at("final")
    foreign = server.hold(b"the user's own")
    server.pins.add(foreign)
    danku("storage", "use", "ipfs", "--api", server.api)
    danku("storage", "pin", NAME)
    pinned = set(server.pins)
    assert danku("storage", "gc")["unpinned"] == []
    assert server.pins == pinned
    danku("storage", "use", "ipfs", "--keep-days", "0")
    planned = danku("storage", "gc", "--dry-run")
    assert set(planned["unpinned"]) == pinned - {foreign}
    assert server.pins == pinned
    assert danku.try_("storage", "gc").code == 2
    assert server.pins == pinned
    danku("storage", "gc")
    assert server.pins == {foreign}
    assert danku("storage", "gc") == {"dry_run": False, "unpinned": [], "removed": [], "kept": 0}


def test_nothing_is_taken_back_from_an_unfinished_challenge(at: At, server: Server) -> None:
    danku = at("revealing")
    danku("storage", "use", "ipfs", "--api", server.api, "--keep-days", "0")
    danku("storage", "pin", NAME)
    said = danku("storage", "gc")
    assert (said["unpinned"], said["kept"]) == ([], len(server.pins))
    (challenge,) = Workspace(danku.folder).state().challenges.values()
    bundle = str(challenge.train)
    shutil.rmtree(danku.folder / "challenges" / "blobs")
    server.fault = lambda what, before: "status 500" if bundle in what else ""
    danku.refused("storage", "gc", code=6, error="NeedsUnknown")
    assert bundle in server.pins


def test_without_node_and_gateway_there_is_nothing_to_do(at: At) -> None:
    danku = at("final")
    for words in (("pin",), ("fetch",), ("gc",)):
        run = danku.refused("storage", *words, code=2, error="UsageError")
        assert "danku storage use" in run.json["fix"]


def test_the_environment_stands_above_the_file(at: At, server: Server) -> None:
    danku = at("final")
    environment = {
        "DANKU_STORAGE": "ipfs",
        "DANKU_IPFS_API": server.api,
        "DANKU_IPFS_GATEWAYS": f"{server.url}, {server.url}",
        "DANKU_IPFS_PEERS": "",
        "DANKU_STORAGE_KEEP_DAYS": "3",
        "DANKU_STORAGE_BLOCK_SECONDS": "2",
        "DANKU_STORAGE_CACHE": "elsewhere",
    }
    assert set(environment) == set(VARIABLES.values())
    shown = Danku(danku.folder, environment)("storage", "status")
    assert (shown["kind"], shown["api"]) == ("ipfs", server.api)
    assert shown["gateways"] == [server.url] * 2
    assert (shown["keep_days"], shown["block_seconds"], shown["cache"]) == (3, 2, "elsewhere")
    assert danku("storage", "status")["kind"] == "embedded"
    told = danku.try_("storage", "status").out
    assert "none" in told and "()" not in told
    for name, value in (
        ("DANKU_STORAGE", "dropbox"),
        ("DANKU_STORAGE_KEEP_DAYS", "-1"),
        ("DANKU_STORAGE_BLOCK_SECONDS", "soon"),
    ):
        run = Danku(danku.folder, {name: value}).refused(
            "status", code=2, error="BadStorageSetting"
        )
        assert name in run.json["why"]
