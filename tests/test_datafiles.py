"""Downloads: the first mirror that has the right bytes, nothing else kept, and an error that says what to do.

The network is a server on this machine that answers rightly or in one of the wrong ways.
"""

import errno
import gzip
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import io
from pathlib import Path
import socket
import threading

import numpy as np
import pytest
import tqdm

from bbbnp import datafiles
from bbbnp.cli import main
from bbbnp.data import DataError, load_mnist
from bbbnp.datafiles import DataSet, File, idx_header

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
ARRAYS = {IMAGES: np.arange(84, dtype=np.uint8).reshape(7, 4, 3), LABELS: np.arange(7, dtype=np.uint8)}
CONTENT = {name: idx_header(array.shape) + array.tobytes() for name, array in ARRAYS.items()}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


class Handler(BaseHTTPRequestHandler):
    """The first folder of the address says how to answer."""

    def do_GET(self):
        _, manner, name = self.path.split("/")
        self.server.asked.append(manner)
        plain = CONTENT[name.removesuffix(".gz")]
        getattr(self, manner)(plain, gzip.compress(plain))

    def answer(self, body, *, status=200, length=None, **headers):
        self.send_response(status)
        for key, value in {"Content-Length": length or len(body), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def good(self, plain, body):
        self.answer(body)

    def uncompressed(self, plain, body):
        self.answer(plain)

    def encoded(self, plain, body):
        self.answer(body, Content_Encoding="gzip")

    def broken(self, plain, body):
        self.answer(b"", status=500)

    def silent(self, plain, body):
        self.server.released.wait(5)  # at most, so that code without a time-out fails

    def stalling(self, plain, body):
        self.answer(body[:9], length=len(body))
        self.server.released.wait(5)  # at most, so that code without a time-out fails

    def short(self, plain, body):
        self.answer(body[:-9], length=len(body))

    def cut(self, plain, body):
        self.answer(body[:-9])

    def cut_before(self, plain, body):
        self.answer(gzip.compress(plain[:-3]))

    def wrong(self, plain, body):
        self.answer(gzip.compress(plain[:-1] + b"!"))

    def page(self, plain, body):
        self.answer(b"<html>Please log in.</html>")

    def nonsense(self, plain, body):
        self.answer(body, length="many")

    def log_message(self, *_):
        """Say nothing."""


BAD = {"broken": "answered with status 500", "silent": "did not answer in time", "stalling": "did not answer in time",
       "short": "broke off", "cut": "is truncated or damaged gzip data", "cut_before": "is truncated: 97 bytes",
       "wrong": "has other values", "page": "begins with 3c68746d", "nonsense": "failed (ValueError)"}


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Take small files for MNIST, an empty cache, and as mirrors the ways in which the server is to answer."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.released = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.delenv("BBBNP_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("BBBNP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datafiles, "TIMEOUT", (5, 1))
    files = tuple(File(name, SUMS[name], array.shape) for name, array in ARRAYS.items())

    def choose(*manners, port=server.server_port):
        mirrors = tuple(f"http://127.0.0.1:{port}/{manner}/" for manner in manners)
        monkeypatch.setitem(datafiles.DATASETS, "mnist", DataSet("digits", mirrors, {"train": files}))
        return server.asked

    yield choose
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path):
    """The folder of MNIST in the cache."""
    folder = tmp_path / "cache" / "mnist"
    folder.mkdir(parents=True)
    return folder


def assert_loaded():
    for array, name in zip(load_mnist("train"), (IMAGES, LABELS), strict=True):
        np.testing.assert_array_equal(array, ARRAYS[name])


def assert_cached(cache):
    """Both files are in the cache, right, and nothing else."""
    assert {path.name for path in cache.iterdir()} == {f"{IMAGES}.gz", f"{LABELS}.gz"}
    for name, content in CONTENT.items():
        assert gzip.decompress((cache / f"{name}.gz").read_bytes()) == content


def test_a_download_is_kept_and_not_repeated(use, cache):
    asked = use("good", "broken")
    cache.rmdir()
    assert_loaded()
    assert_loaded()
    assert asked == ["good"] * 2
    assert_cached(cache)


@pytest.mark.parametrize("manner", BAD)
def test_the_next_mirror_has_its_turn(use, cache, manner):
    asked = use(manner, "good")
    assert_loaded()
    assert asked == [manner, "good"] * 2
    assert_cached(cache)


@pytest.mark.parametrize("manner", BAD)
def test_a_bad_download_is_one_line_and_is_not_kept(use, cache, manner):
    use(manner)
    with pytest.raises(DataError) as error:
        load_mnist("train")
    message = str(error.value)
    assert f"/{manner}/{IMAGES}.gz {BAD[manner]}" in message and "\n" not in message
    assert message.startswith(IMAGES) and f"expected {SUMS[IMAGES]}" in message and "--data-dir" in message
    if manner == "wrong":
        assert f"is {hashlib.sha256(CONTENT[IMAGES][:-1] + b'!').hexdigest()}" in message
    assert not list(cache.iterdir())


@pytest.mark.parametrize("manner", ["uncompressed", "encoded"])
def test_a_server_may_uncompress_on_the_way(use, manner):
    asked = use(manner)
    assert_loaded()
    assert_loaded()
    assert asked == [manner] * 2


def test_no_network_says_what_to_put_where(use, capsys):
    with socket.socket() as taken:  # bound and not listening: refuses
        taken.bind(("127.0.0.1", 0))
        use("one", "two", port=taken.getsockname()[1])
        assert main(["data", "mnist"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    for word in (f"/one/{IMAGES}.gz cannot be reached", f"/two/{IMAGES}.gz cannot be reached", SUMS[IMAGES],
                 f"put {IMAGES}, {LABELS}", "--data-dir", "BBBNP_DATA"):
        assert word in line


@pytest.mark.parametrize("damaged", [b"", b"\x1f\x8bno", CONTENT[LABELS]])
def test_a_damaged_file_in_the_cache_is_replaced_or_removed(use, cache, damaged):
    (cache / f"{IMAGES}.gz").write_bytes(damaged)
    use("broken")
    with pytest.raises(DataError, match="status 500"):
        load_mnist("train")
    assert not list(cache.iterdir())
    (cache / f"{IMAGES}.gz").write_bytes(damaged)
    use("good")
    assert_loaded()
    assert_cached(cache)


def test_ctrl_c_leaves_nothing_behind(use, cache, monkeypatch):
    def interrupted(_self, _url, output_file, _pooch):
        Path(output_file).write_bytes(b"half")
        raise KeyboardInterrupt

    use("good")
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", interrupted)
    assert main(["data", "mnist"]) == 1
    assert not list(cache.iterdir())


def test_a_cache_that_cannot_be_written_is_an_error_only_when_it_must_be(use, cache, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    asked = use("good")
    with monkeypatch.context() as patch:  # as in a folder of mode 0555, which does not stop every user
        patch.setattr("tempfile.TemporaryDirectory", refused)
        with pytest.raises(DataError, match=f"{cache} cannot be written .Permission.*{SUMS[IMAGES]}.*set BBBNP_CACHE"):
            load_mnist("train")
        assert not asked
    assert_loaded()
    monkeypatch.setattr("tempfile.TemporaryDirectory", refused)
    assert_loaded()


def test_a_cache_that_is_not_a_folder(use, tmp_path):
    use("good")
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written.*set BBBNP_CACHE"):
        load_mnist("train")


def test_a_download_shows_its_progress_on_a_terminal(use, monkeypatch):
    bars = []

    class Bar(tqdm.tqdm):
        monitor_interval = 0  # no thread that watches it

        def __init__(self, **settings):
            assert settings.pop("disable") is None  # tqdm's word for: only on a terminal
            super().__init__(**settings, file=io.StringIO())
            bars.append(self)

    monkeypatch.setattr("tqdm.tqdm", Bar)
    use("good")
    load_mnist("train")
    sizes = {name: len(gzip.compress(content)) for name, content in CONTENT.items()}
    assert [(bar.desc, bar.n, bar.total) for bar in bars] == [
        (f"{name}.gz", sizes[name], sizes[name]) for name in (IMAGES, LABELS)]
