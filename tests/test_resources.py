import pytest

from vit_plugins import resources


def test_checkout_has_configs_tools_and_index():
    root = resources.resource_root()
    assert (root / 'configs/convit/convit-tiny_4xb256_in1k.py').is_file()
    assert (root / 'tools/train.py').is_file()
    assert (root / 'model-index.yml').is_file()


def test_wheel_keeps_them_inside(tmp_path, monkeypatch):
    (tmp_path / 'vit_plugins/.mim').mkdir(parents=True)
    (tmp_path / 'vit_plugins/.mim/model-index.yml').touch()
    monkeypatch.setattr(resources, '__file__', str(tmp_path / 'vit_plugins/resources.py'))
    assert resources.resource_root() == tmp_path / 'vit_plugins/.mim'


def test_incomplete_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, '__file__', str(tmp_path / 'vit_plugins/resources.py'))
    with pytest.raises(FileNotFoundError, match='came without its configs'):
        resources.resource_root()
