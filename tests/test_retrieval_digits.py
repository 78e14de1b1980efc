"""The embedded default of retrieval: it learns, and says from where."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def load_tool(name):
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_training_gains_what_the_untrained_model_lacks(tmp_path):
    config = str(ROOT / 'configs/retrieval_digits.py')
    load_tool('train').main([config, '--work-dir', str(tmp_path)])
    (log,) = tmp_path.rglob('*.log')
    logged = log.read_text()
    metrics = load_tool('test').main([config, str(tmp_path / 'epoch_16.pth')])
    for title in ('raw_pixels', 'untrained'):
        for name in ('Recall@1', 'MAP@R'):
            assert f'{title}/{name}: {metrics[f"{title}/{name}"]:.4f}' in logged
    assert metrics['retrieval/MAP@R'] >= metrics['untrained/MAP@R'] + 5
    assert metrics['retrieval/Recall@1'] > metrics['untrained/Recall@1']
