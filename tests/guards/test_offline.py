"""Guards: neither the tests nor an import of the package use the network."""

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch.hub
from offline import NetworkError
from test_configs import RECIPES

TESTS = Path(__file__).parents[1]
ADDRESS = '192.0.2.1'  # of no machine, RFC 5737: a connection that is let through fails, too
BUILD_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
from offline import go_offline
go_offline()
import torch, vit_plugins
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.utils import register_all_modules
register_all_modules()
for path in sys.argv[2:]:
    cfg = Config.fromfile(path)
    cfg.model.pop('init_cfg', None)
    try:
        with torch.device('meta'):
            MODELS.build(cfg.model)
    except RuntimeError:  # the host's ResNet and Swin read numbers out of tensors
        MODELS.build(cfg.model)
print(len(sys.argv) - 2, 'models')
"""


def datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b'', (ADDRESS, 9))


@pytest.mark.parametrize(
    'ask',
    [
        lambda: socket.create_connection((ADDRESS, 80), timeout=1),
        lambda: socket.socket().connect_ex((ADDRESS, 80)),
        lambda: socket.getaddrinfo('example.com', 80),
        lambda: socket.getaddrinfo(b'example.com', 80),
        lambda: urllib.request.urlopen('https://example.com', timeout=1),
        lambda: torch.hub.load_state_dict_from_url('https://example.com/x.pth', '/nowhere'),
        datagram,
    ],
)
def test_other_machines_are_refused(ask, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetworkError, match='The tests do not use the network'):
        ask()


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
def test_this_machine_is_not(host):
    with socket.create_server(('127.0.0.1', 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
    left, right = socket.socketpair()
    left.close()
    right.close()


@pytest.mark.slow
def test_import_and_all_models_need_no_network(tmp_path):
    """In a process of its own, because here the package is imported already."""
    paths = [str(path) for path in RECIPES]
    assert len(paths) > 50
    run = subprocess.run(
        [sys.executable, '-c', BUILD_ALL, str(TESTS), *paths],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert f'{len(paths)} models' in run.stdout
