"""A GPU, or a reason why there is none. ``python -m pytest -m gpu`` runs these tests.

With VIT_PLUGINS_GPU_TESTS_ON=cpu the tests compare the CPU with itself, which shows that they run.
"""

import os

import pytest

DEVICE = os.environ.get('VIT_PLUGINS_GPU_TESTS_ON', 'cuda')


@pytest.fixture
def device(monkeypatch):
    """Return the device to compare with the CPU, with convolutions in whole float32."""
    import torch

    if DEVICE == 'cuda' and not torch.cuda.is_available():
        pytest.skip(f'torch {torch.__version__} finds no CUDA device')
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    return torch.device(DEVICE)
