"""Importing the package registers, and does nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from mmengine import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

ROOT = Path(__file__).parents[1]


def python(code, cwd):
    """Run code in a fresh interpreter, from a folder that is not the checkout."""
    done = subprocess.run(
        [sys.executable, '-W', 'error:::vit_plugins', '-c', code],
        cwd=cwd,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


SIDE_EFFECTS = """
import random, sys
import numpy, torch
import mmpretrain.models  # what the host does is not ours to answer for
before = (
    random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist(),
    torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), set(sys.modules),
)
import vit_plugins
after = (
    random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist(),
    torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
)
assert before[:-1] == after
new = {name.split('.')[0] for name in set(sys.modules) - before[-1]}
print(sorted(new & {'sklearn', 'safetensors', 'timm', 'tensorboard', 'matplotlib', 'pandas'}))
"""


def test_import_has_no_side_effects(tmp_path):
    done = python(SIDE_EFFECTS, tmp_path)
    assert done.stdout.splitlines()[-1] == '[]'
    assert 'vit_plugins' not in done.stderr
    assert list(tmp_path.iterdir()) == []


CONFIG = """
custom_imports = dict(imports=['vit_plugins'], allow_failed_imports=False)
model = dict(type='ConViT', arch='tiny', img_size=32)
"""

OTHER_LIBRARY = """
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope
cfg = Config.fromfile('config.py')
cfg.model.type = 'mmpretrain.' + cfg.model.type
with DefaultScope.overwrite_default_scope('mmseg'):
    print(type(MODELS.build(cfg.model)).__name__)
"""


def test_custom_imports_is_all_that_another_library_needs(tmp_path):
    (tmp_path / 'config.py').write_text(CONFIG)
    done = python(OTHER_LIBRARY, tmp_path)
    assert done.stdout.splitlines()[-1] == 'ConViT'
    # The first import of mmcv-lite reminds of its compiled operators, but not through us.
    assert 'MultiScaleDeformableAttention' not in done.stderr


def test_custom_imports_in_the_hosts_scope(tmp_path):
    (tmp_path / 'config.py').write_text(CONFIG)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(tmp_path / 'config.py').model)
    assert type(model).__name__ == 'ConViT'
