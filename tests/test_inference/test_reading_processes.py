"""The default number of processes that read photos, and what they send."""

import multiprocessing

import pytest
import torch
from mmpretrain.structures import DataSample

from vit_plugins.datasets.image_check import ImageReport
from vit_plugins.inference import photos
from vit_plugins.inference.photos import default_workers

NOTED = ImageReport(notes=('several frames or pages: only the first one is shown',))


@pytest.mark.parametrize(
    ('chosen', 'of_system', 'some'),
    [
        (None, ['fork', 'spawn'], True),  # Linux
        (None, ['spawn', 'fork'], False),  # macOS
        (None, ['spawn'], False),  # Windows
        ('spawn', ['fork', 'spawn'], False),
        ('fork', ['spawn', 'fork'], True),
    ],
)
def test_none_are_started_that_would_run_the_program_of_the_caller(
    monkeypatch, chosen, of_system, some
):
    monkeypatch.setattr(multiprocessing, 'get_start_method', lambda allow_none: chosen)
    monkeypatch.setattr(multiprocessing, 'get_all_start_methods', lambda: of_system)
    assert (default_workers(1000) > 0) == some
    assert default_workers(10) == 0


def test_a_worker_sends_the_photos_of_a_batch_as_one_tensor():
    """Each tensor takes an open file, of which systems allow some 1,000."""
    photo = {'inputs': torch.zeros(3, 4, 4, dtype=torch.uint8), 'data_samples': DataSample()}
    refused = ('b', None, ImageReport('the file is empty'))
    reports, batches = photos._collate([('a', photo, ImageReport()), refused, ('c', photo, NOTED)])
    assert reports == [('a', ImageReport()), ('b', refused[2]), ('c', NOTED)]
    assert [batch['inputs'].shape for batch in batches] == [(2, 3, 4, 4)]
    assert [len(batch['data_samples']) for batch in batches] == [2]


def test_photos_of_several_sizes_and_none_at_all():
    reads = [
        (f'{side}', {'inputs': torch.zeros(3, side, side)}, ImageReport()) for side in (4, 5, 4)
    ]
    batches = photos._collate(reads)[1]
    assert [batch['inputs'].shape[-1] for batch in batches] == [4, 5, 4]
    assert photos._collate([('a', None, ImageReport('empty'))])[1] == []
