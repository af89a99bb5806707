"""Models of others: registries, fetching, and what is not what it says."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.learning import hub
from napari_ebsdml.learning.shipped import WEIGHTS

STEM = "dislocations-default"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Registry of one model, which is a shipped one under another name."""
    monkeypatch.setenv(hub.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(hub.VARIABLE, raising=False)
    folder = tmp_path / "host" / "files"
    folder.mkdir(parents=True)
    files = {}
    for ending in (".safetensors", ".json"):
        shutil.copy(WEIGHTS / f"{STEM}{ending}", folder / f"mine{ending}")
        content = (folder / f"mine{ending}").read_bytes()
        files[f"mine{ending}"] = hashlib.sha256(content).hexdigest()
    path = folder.parent / "registry.json"
    entry = {
        "title": "Mine", "kind": "dislocation-density", "base": "files", "files": files,
        "licence": "CC-BY-4.0", "authors": ["A. Author"], "doi": "10.0/x", "use": "steel",
    }  # fmt: skip
    path.write_text(json.dumps({"version": 1, "models": {"steel-a": entry}}))
    return path


@pytest.fixture
def address(served: Path) -> Iterator[str]:
    """The same registry behind HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(served.parent))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/registry.json"
    server.shutdown()
    server.server_close()
    thread.join()


def test_shipped_models_tell_licence_authors_and_use() -> None:
    found = hub.shipped()
    assert {"dislocations-default", "space-groups-default", "total-density"} <= set(found)
    for entry in found.values():
        assert entry.licence == "GPL-3.0-or-later"
        assert entry.authors
        assert len(entry.use) > 20


def test_fetched_from_a_folder_and_used_by_its_name(served: Path) -> None:
    (entry,) = hub.registry(served).values()
    assert (entry.title, entry.licence, entry.authors) == ("Mine", "CC-BY-4.0", ("A. Author",))
    path = hub.fetch("steel-a", served)
    assert hub.check(path).kind == "dislocation-density"
    assert hub.resolve("steel-a") == path
    # In the cache, it needs no host; damaged there, it is fetched again.
    path.write_bytes(path.read_bytes()[:100])
    assert hub.check(hub.fetch("steel-a", served)).kind == "dislocation-density"


def test_fetched_over_http(address: str) -> None:
    assert hub.check(hub.fetch("steel-a", address)).kind == "dislocation-density"
    with pytest.raises(ebsdml.InputError, match="No model 'other'"):
        hub.fetch("other", address)
    with pytest.raises(ebsdml.DownloadError, match="cannot be read"):
        hub.registry(address.replace("registry", "none"))


def test_what_is_not_what_the_registry_says_is_not_kept(served: Path, address: str) -> None:
    weights = served.parent / "files" / "mine.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    for where in (served, address):
        with pytest.raises(ebsdml.DownloadError, match=r"not what the registry says|hash"):
            hub.fetch("steel-a", where)
    assert not list(hub.cache().rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"../../evil.json": "0" * 64}, "no name of a model's file"),
        ({"a.pkl": "0" * 64}, "no name of a model's file"),
        ({"mine.safetensors": "abc"}, "has no SHA-256"),
        ({"mine.safetensors": "0" * 64}, "must be one .safetensors"),
        ({"a.safetensors": "0" * 64, "b.json": "0" * 64}, "must be one .safetensors"),
    ],
)
def test_registries_that_cannot_be(served: Path, change: dict[str, str], problem: str) -> None:
    content = json.loads(served.read_text())
    content["models"]["steel-a"]["files"] = change
    served.write_text(json.dumps(content))
    with pytest.raises(ebsdml.ModelError, match=problem):
        hub.fetch("steel-a", served)


def test_what_is_no_registry(served: Path) -> None:
    for text, problem in (
        ("{", "no valid JSON"),
        ("[]", "no table 'models'"),
        ('{"version": 9, "models": {}}', "version 9"),
        ('{"version": 1, "models": {"../x": {}}}', "name must be"),
        ('{"version": 1, "models": {"x": []}}', "lists no files"),
    ):
        served.write_text(text)
        with pytest.raises(ebsdml.ModelError, match=problem):
            hub.registry(served)
    assert hub.registry() == {}
    with pytest.raises(ebsdml.InputError, match="name a registry"):
        hub.fetch("steel-a")


def test_commands(
    served: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ebsdml import cli

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["ebsdml", "models", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out + captured.err

    where = ("--registry", str(served))
    code, text = run("list", *where)
    assert code == 0
    assert "steel-a" in text
    assert "total-density" in text
    code, text = run("fetch", "steel-a", *where)
    assert code == 0
    weights = Path("".join(text.split()))
    assert weights.is_file()
    assert "licence: GPL-3.0-or-later" in run("show", "total-density")[1]
    assert json.loads(run("show", "steel-a", "--json")[1])["kind"] == "dislocation-density"
    assert run("check", "steel-a", "total-density")[0] == 0
    # What a model is for people is written into its card, and nothing else changes.
    code, text = run("describe", str(weights), "--licence", "CC-BY-4.0", "--author", "A. Author",
                     "--doi", "10.5281/zenodo.1234", "--reference", "10.1038/x")  # fmt: skip
    assert code == 0, text
    text = " ".join(run("show", str(weights))[1].split())
    assert "licence: CC-BY-4.0 authors: A. Author DOI: 10.5281/zenodo.1234" in text
    assert "references: 10.1038/x" in text
    assert run("check", str(weights))[0] == 0
    assert run("describe", str(weights), "--doi", "none")[0] == 1
    assert run("describe", str(weights))[0] == 1
    weights.write_bytes(weights.read_bytes()[:-10])
    code, text = run("check", "total-density", "steel-a")
    assert code == 1
    assert "damaged" in " ".join(text.split())
    code, text = run("show", "nothing")
    assert code == 1
    assert "No model 'nothing'" in text
