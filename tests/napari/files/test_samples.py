"""Samples that are downloaded: the real download code against a server on this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml import InputError, Scan
from napari_ebsdml._napari.files import samples
from napari_ebsdml.errors import DownloadError
from napari_ebsdml.samples import downloads
from napari_ebsdml.samples.downloads import fetch, registry

MakeScan = Callable[..., Scan]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a web server."""
    folder = tmp_path / "server"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(folder))
    ) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", folder
        httpd.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(downloads.CACHE_VARIABLE, str(tmp_path / "cache"))
    # A proxy of the machine must not stand between the test and its own server.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


def _redirect(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    real = registry()
    patched = {**real, "dc06_steel": dataclasses.replace(real["dc06_steel"], **changes)}
    monkeypatch.setattr(downloads, "registry", lambda: patched)


def test_download_is_checked_cached_and_shown(
    server: tuple[str, Path], cache: Path, make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    ebsdml.write(folder / "DC06_2uniax.ang", make_scan())
    digest = hashlib.sha256((folder / "DC06_2uniax.ang").read_bytes()).hexdigest()
    _redirect(monkeypatch, url=f"{address}/DC06_2uniax.ang", sha256=digest)
    layers = samples.dc06_steel()
    assert layers[-1][1]["name"] == "phase · DC06_2uniax"
    # The second time the server is not asked.
    (folder / "DC06_2uniax.ang").unlink()
    assert fetch("dc06_steel") == cache / "DC06_2uniax.ang"


def test_wrong_content_is_refused_and_not_kept(
    server: tuple[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    (folder / "DC06_2uniax.ang").write_text("<html>please log in</html>")
    _redirect(monkeypatch, url=f"{address}/DC06_2uniax.ang")
    with pytest.raises(DownloadError, match=r"DC06_2uniax\.ang could not be downloaded.*hash"):
        fetch("dc06_steel")
    assert not list(cache.glob("*"))


def test_absent_file_and_absent_server_are_one_clear_error(
    server: tuple[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = server
    _redirect(monkeypatch, url=f"{address}/moved.ang")
    with pytest.raises(DownloadError, match="404"):
        fetch("dc06_steel")
    _redirect(monkeypatch, url="http://127.0.0.1:9/x.ang")
    with pytest.raises(DownloadError, match="Check the network, or put the file"):
        fetch("dc06_steel")
    with pytest.raises(InputError, match="No sample 'gold'"):
        fetch("gold")


def test_registry_is_complete() -> None:
    assert set(registry()) == {"duplex_steel", "dc06_steel"}
    for entry in registry().values():
        assert entry.url.startswith("https://")
        assert entry.url.endswith(entry.file)
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.licence


def test_checksums_are_those_of_the_real_files(shared: Path) -> None:
    from orix.data._registry import registry_hashes, registry_urls

    entry = registry()["dc06_steel"]
    content = (shared / "maps" / entry.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry.sha256
    entry = registry()["duplex_steel"]
    assert registry_hashes[f"sdss/{entry.file}"] == entry.sha256
    assert registry_urls[f"sdss/{entry.file}"] == entry.url


def test_nickel_patterns_come_with_kikuchipy() -> None:
    path = fetch("nickel_patterns")
    assert path.is_file()
    assert path.suffix == ".h5"
