"""Images from addresses: the result, and the errors."""

import io
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from PIL import Image

from vit_plugins import Classifier
from vit_plugins.inference import downloading
from vit_plugins.inference.downloading import DownloadError, downloaded, is_address


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/absent.jpg':
            self.send_error(404)
            return
        if self.path == '/loop':
            self.send_response(302)
            self.send_header('Location', 'file:///etc/passwd')
            self.end_headers()
            return
        self.send_response(200)
        if self.path == '/honest':
            self.send_header('Content-Length', '101')
        self.end_headers()
        for _ in range(4 if self.path == '/ok' else 40):
            try:
                self.wfile.write(b'12345')
                self.wfile.flush()
            except OSError:  # the reader has had enough
                return
            time.sleep(0.05 if self.path == '/slow' else 0)

    def log_message(self, *_):
        pass


@pytest.fixture(scope='module')
def server():
    with HTTPServer(('127.0.0.1', 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch):
    monkeypatch.setattr(downloading, 'MAX_BYTES', 100)
    monkeypatch.setattr(downloading, 'MAX_SECONDS', 0.3)
    monkeypatch.setattr(downloading, 'WAIT_SECONDS', 2.0)


def test_a_file_is_fetched_and_removed_again(server):
    with downloaded(f'{server}/ok') as file:
        assert file.read_bytes() == b'12345' * 4
    assert not file.exists()


@pytest.mark.parametrize(
    ('path', 'told'),
    [
        ('/absent.jpg', 'the server answers 404 Not Found'),
        ('/honest', 'it is larger than 0 MB'),
        ('/large', 'it is larger than 0 MB'),
        ('/slow', 'it takes longer than 0.3 seconds'),
        ('/loop', 'the server answers 302 .*'),
    ],
)
def test_limits(server, path, told, tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    with pytest.raises(DownloadError, match=told), downloaded(server + path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'address', ['http://127.0.0.1:9/x', 'http://[', 'https://x y/', 'http://']
)
def test_addresses_that_lead_nowhere(address):
    with pytest.raises(DownloadError, match='it cannot be fetched: '), downloaded(address):
        pass


def test_what_is_an_address():
    assert is_address('HTTPS://x.org/a.jpg')
    assert not any(map(is_address, ('file:///x.jpg', 'http.jpg', '/http://x')))


def test_images_behind_addresses_are_classified(server, monkeypatch, tmp_path, config):
    monkeypatch.setattr(downloading, 'MAX_BYTES', 10**6)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8))
    data = io.BytesIO()
    picture.save(data, 'PNG')
    blocks = [data.getvalue(), b'']
    monkeypatch.setattr(downloading, '_next_block', lambda _: blocks.pop(0))
    cfg = config(3)
    cfg.dump(tmp_path / 'recipe.py')
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, tmp_path / 'epoch_1.pth')
    classifier = Classifier(tmp_path, device='cpu')
    answers = classifier([f'{server}/ok', f'{server}/absent.jpg', picture])
    assert answers[0].image == f'{server}/ok'
    assert answers[0].classes == answers[2].classes
    assert answers[1].problem == 'the server answers 404 Not Found'
