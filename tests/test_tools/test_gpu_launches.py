"""What a GPU waits for: the tool runs on a CPU at toy size, and asks for a GPU otherwise."""

import json

import pytest
import torch
from tool_loading import load_tool

from vit_plugins.models.layers import positional_attention


@pytest.fixture
def tool(monkeypatch):
    module = load_tool('benchmarks/gpu_launches')
    monkeypatch.setattr(positional_attention, 'MAP_TOKENS', positional_attention.MAP_TOKENS)
    monkeypatch.setattr(module, 'TENSORS', 4)
    return module


def test_toy(tool, tmp_path, capsys):
    tool.main(['--toy', '--json', str(tmp_path / 'out' / 'launches.json')])
    found = json.loads((tmp_path / 'out' / 'launches.json').read_text())
    assert found['machine']['versions']['torch'] in torch.__version__
    names = [case['case'] for case in found['cases']]
    assert len(names) == 12
    assert names[0] == 'GPSA by axes, inference, N=16, batch 2'
    assert names[-1] == 'AdamW, 4 tensors, 2 groups'
    assert all(case['wall_ms'] > 0 for case in found['cases'])
    assert names[0] in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu(tool):
    with pytest.raises(SystemExit, match='finds no CUDA device: --toy runs on a CPU'):
        tool.main([])
