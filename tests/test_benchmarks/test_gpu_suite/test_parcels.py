"""Checkpoints sent in parts of a few kilobytes arrive with the same content."""

import copy

import pytest
import torch
from torch import nn

from vit_plugins.benchmarks.gpu_suite.parcels import find_parts, pack, unpack


@pytest.fixture
def checkpoint():
    """Return what the runner saves after some steps: weights, their average, Adam's moments."""
    model = nn.Sequential(nn.Linear(40, 60), nn.BatchNorm1d(60))
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        model(torch.randn(8, 40)).square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            for a, b in zip(average.parameters(), model.parameters(), strict=True):
                a.lerp_(b, 0.1)
    ema = {f'module.{name}': value for name, value in average.state_dict().items()}
    return {
        'meta': {'epoch': 3},
        'state_dict': model.state_dict(),
        'ema_state_dict': {**ema, 'steps': torch.tensor(20)},
        'optimizer': optimizer.state_dict(),
    }


def test_round_trip(checkpoint, tmp_path):
    file = tmp_path / 'epoch_3.pth'
    torch.save(checkpoint, file)
    target = tmp_path / 'out' / 'long'
    parts = pack(file, target, part_bytes=2000)
    assert len(parts) > 10  # so that the order of names is not that of numbers
    assert parts == find_parts(target)
    assert all(part.stat().st_size <= 2000 for part in parts)
    found_file = unpack(target, tmp_path / 'run')
    assert found_file == tmp_path / 'run' / 'epoch_3.pth'
    found = torch.load(found_file, weights_only=False)
    assert found['meta'] == {'epoch': 3}
    for name, value in checkpoint['state_dict'].items():
        assert torch.equal(found['state_dict'][name], value)
    for name, value in checkpoint['ema_state_dict'].items():
        assert found['ema_state_dict'][name].dtype == value.dtype
        apart = value - checkpoint['state_dict'].get(name.removeprefix('module.'), value)
        error = (found['ema_state_dict'][name] - value).abs()
        assert (error <= 2**-8 * apart.abs() + 1e-6).all()  # that of bfloat16, of the difference
    optimizer = torch.optim.AdamW(
        nn.Sequential(nn.Linear(40, 60), nn.BatchNorm1d(60)).parameters()
    )
    optimizer.load_state_dict(found['optimizer'])
    for key, state in checkpoint['optimizer']['state'].items():
        again = found['optimizer']['state'][key]
        assert again['step'] == state['step']
        assert torch.allclose(again['exp_avg_sq'], state['exp_avg_sq'], rtol=2**-8)
        assert not again['exp_avg'].any()


def test_parts_of_an_earlier_checkpoint_are_removed(checkpoint, tmp_path):
    file = tmp_path / 'epoch_3.pth'
    torch.save(checkpoint, file)
    many = pack(file, tmp_path / 'long', part_bytes=2000)
    few = pack(file, tmp_path / 'long', part_bytes=20_000)
    assert len(few) < len(many)
    assert find_parts(tmp_path / 'long') == few


def test_no_parts(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'there is no .*long.part0: run the '):
        unpack(tmp_path / 'long', tmp_path)
