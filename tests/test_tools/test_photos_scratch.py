"""The recipe for photos without weights, from the photos to the report."""

import re

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from vit_plugins.command_line.commands import machine_choice


@pytest.mark.slow
def test_train_report_and_test(tmp_path, train_tool, test_tool, monkeypatch):
    monkeypatch.setattr(machine_choice, 'seconds_of_step', lambda cfg, batch_size: 9.0)
    rng = np.random.default_rng(0)
    for label, shade in (('dark', 60), ('light', 180)):
        (tmp_path / 'photos' / label).mkdir(parents=True)
        for i in range(20):
            pixels = rng.normal(shade, 40, (30, 40, 3)).clip(0, 255).astype('uint8')
            Image.fromarray(pixels).save(tmp_path / 'photos' / label / f'{i}.png')
    words = ['photos-scratch', '--data-root', str(tmp_path / 'photos'), '--batch-size', '16']
    work_dir = tmp_path / 'w'
    train_tool.main([*words, '--time-limit', '4s', '--work-dir', str(work_dir)])
    report = (work_dir / 'report.txt').read_text()
    right = re.search(r'accuracy ([\d.]+) % \(\d+ of 8 images', report)
    assert 'largest class 50.0 %, colour histogram + extra trees' in report
    assert f'vit-plugins test {work_dir}' in report
    metrics = test_tool.main([str(work_dir)])  # from the files, not from memory
    assert metrics['accuracy/top1'] == pytest.approx(float(right[1]), abs=0.05)
    begun = Config.fromfile(work_dir / 'photos-scratch.py')
    assert 'machine_steps' not in begun
    assert begun.data_preprocessor.batch_transforms[0].scale == begun.size == 64
