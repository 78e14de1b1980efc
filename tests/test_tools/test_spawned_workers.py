"""Workers that are spawned, as on macOS and Windows, instead of forked."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Run by the workers, too: each imports the main file, without what stands under the condition.
PROGRAM = """
import importlib.util
import multiprocessing
import sys


def run(name, *words):
    path = f'{root}/tools/{{name}}.py'
    spec = importlib.util.spec_from_file_location(f'tool_{{name}}', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.main(list(words))


if __name__ == '__main__':
    multiprocessing.set_start_method('spawn')
    run('train', 'convit_drloc_folder', '--data-root', 'photos', '--epochs', '1', '--img-size',
        '32', '--batch-size', '8', '--workers', '2', '--work-dir', 'w', '--balance', 'sampler',
        '--device', 'cpu', '--cfg-options', 'env_cfg.mp_cfg.mp_start_method=spawn')
    run('test', 'w', '--device', 'cpu')
    run('predict', 'w', 'photos', '--workers', '2', '--out', 'classes.csv')
    run('retrieve', 'index', 'gallery', 'photos', '--work-dir', 'w', '--workers', '2')
    run('retrieve', 'query', 'gallery', 'photos/cat', '--workers', '2', '--out', 'found')
    assert multiprocessing.get_start_method() == 'spawn'
"""
TOOLS = Path(__file__).parents[2]


@pytest.mark.slow
def test_train_test_predict_and_search(tmp_path):
    rng = np.random.default_rng(0)
    for label in ('cat', 'dog'):
        (tmp_path / 'photos' / label).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'photos' / label / f'{i}.png')
    (tmp_path / 'program.py').write_text(PROGRAM.format(root=TOOLS))
    done = subprocess.run(
        [sys.executable, 'program.py'], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / 'classes.csv').read_text().splitlines()) == 21
    assert (tmp_path / 'found' / 'index.html').is_file()
    assert (tmp_path / 'w' / 'report.txt').is_file()
