"""The embedded default of retrieval: it learns, and prints its baselines."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from tool_loading import load_tool

from vit_plugins.weights.safe_reading import load_checkpoint_file

ROOT = Path(__file__).parents[1]


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


# The recipe with all that a retriever can carry over.
CARRIED = f"""
_base_ = ['{ROOT}/configs/retrieval_digits.py']
custom_hooks = []
model = dict(momentum_encoder=0.9)
optim_wrapper = dict(accumulative_counts=2)
train_cfg = dict(max_epochs=4)
default_hooks = dict(checkpoint=dict(interval=1))
"""


def start(config, work_dir, *flags):
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), str(config), '2', *flags]
    return subprocess.Popen(
        [*command, '--work-dir', str(work_dir)],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    """Wait for the end; return the last validation and the whole output."""
    printed = process.communicate()[0]
    assert process.returncode == 0, printed[-3000:]
    return re.findall(r'retrieval/\S+: [\d.]+', printed), printed


def kill_all(work_dir):
    """Send SIGKILL to every process whose command line names the folder."""
    for process in Path('/proc').glob('[0-9]*'):
        try:
            arguments = (process / 'cmdline').read_bytes().split(b'\0')
            if os.fsencode(work_dir) in arguments:
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='two ranks of a CPU')
def test_two_ranks_train_are_killed_and_resume_as_if_they_were_not(tmp_path):
    config, straight, killed = (tmp_path / name for name in ('recipe.py', 'straight', 'killed'))
    config.write_text(CARRIED)
    expected, _ = finish(start(config, straight))
    process = start(config, killed)
    while not (killed / 'epoch_2.pth').exists():
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.05)
    kill_all(killed)
    assert process.wait() != 0
    assert not (killed / 'epoch_4.pth').exists()
    found, printed = finish(start(config, killed, '--resume'))
    assert re.search('resumed epoch: [23]', printed)
    assert found == expected
    assert len(found) > 5
    one, other = (
        load_checkpoint_file(folder / 'epoch_4.pth')['state_dict'] for folder in (straight, killed)
    )
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
    assert one['head.memory.labels'].shape == (3448,)
    assert one['head.memory.iter'] == one['momentum_encoder.steps'] == 4 * (3448 // 128)
