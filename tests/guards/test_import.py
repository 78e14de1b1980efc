"""Importing the package registers, and does nothing else."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

ROOT = Path(__file__).parents[2]


CONFIG = """
custom_imports = dict(imports=['vit_plugins'], allow_failed_imports=False)
model = dict(type='ConViT', arch='tiny', img_size=32)
"""

# As a user of another OpenMMLab library does it, who never imports us by hand.
ANOTHER_LIBRARY = """
import random, sys
import numpy, torch
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope

def state():
    return (
        random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist(),
        torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
    )

before = state()
cfg = Config.fromfile('config.py')
assert state() == before
assert 'vit_plugins' in sys.modules
assert 'vit_plugins.inference' not in sys.modules  # Classifier and Searcher, when asked for
from mmpretrain import ModelHub
assert not ModelHub._models_dict  # read when a model is asked for

cfg.model.type = 'mmpretrain.' + cfg.model.type
with DefaultScope.overwrite_default_scope('mmseg'):
    print(type(MODELS.build(cfg.model)).__name__)
"""


@pytest.mark.slow
def test_custom_imports_registers_and_does_nothing_else(tmp_path):
    (tmp_path / 'config.py').write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, '-c', ANOTHER_LIBRARY],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == 'ConViT'
    # The first import of mmcv-lite reminds of its compiled operators, but not through us.
    assert 'MultiScaleDeformableAttention' not in done.stderr
    assert 'vit_plugins' not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ['config.py']


# What the package cannot work without; all else is imported where it is used.
NEEDED = {'torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmpretrain'}
# Hard requirements of the host's own distributions.
NEEDED |= {'cv2', 'PIL', 'matplotlib', 'rich', 'yaml', 'modelindex', 'vit_plugins'}


def optional_imports(file):
    """Return the optional packages that a module imports at its top."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
    return {name.split('.')[0] for name in names} - NEEDED - sys.stdlib_module_names


def test_modules_import_nothing_optional_at_their_top():
    found = {file.name: optional_imports(file) for file in (ROOT / 'vit_plugins').rglob('*.py')}
    assert {name: names for name, names in found.items() if names} == {}


def test_custom_imports_in_the_hosts_scope(tmp_path):
    (tmp_path / 'config.py').write_text(CONFIG)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(tmp_path / 'config.py').model)
    assert type(model).__name__ == 'ConViT'
