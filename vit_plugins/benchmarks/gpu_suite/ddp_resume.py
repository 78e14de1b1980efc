"""Train with ``tools/dist_train.sh`` on one rank, kill it, resume, and check where it resumed.

python -m vit_plugins.benchmarks.gpu_suite.ddp_resume CONFIG WORK_DIR [OPTION...]

CONFIG trains by epochs and saves each epoch; options go to ``tools/train.py``. The result is in
WORK_DIR/resumed.json.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ...resources import resource_root
from ...studies.cell_folder import read_logs
from .process_tree import kill_tree


def start(config: str, work_dir: Path, options: Sequence[str]) -> subprocess.Popen:
    """Start a training of one rank.

    Args:
        config: The config file.
        work_dir: Its work dir.
        options: Options of ``tools/train.py``.
    """
    script = str(resource_root() / 'tools' / 'dist_train.sh')
    command = ['bash', script, config, '1', '--work-dir', str(work_dir), *options]
    return subprocess.Popen(command, env={**os.environ, 'PYTHON': sys.executable})


def kill_when_saved(process: subprocess.Popen, work_dir: Path) -> str:
    """Kill a training as soon as it has saved a checkpoint.

    Args:
        process: The training.
        work_dir: The work dir of the training.

    Returns:
        The name of the checkpoint.

    Raises:
        RuntimeError: If it ended before it could be killed.
    """
    while not (saved := sorted(work_dir.glob('epoch_*.pth'))):
        if process.poll() is not None:
            raise RuntimeError(f'the training ended with {process.returncode} before it saved')
        time.sleep(0.02)
    if process.poll() is not None:
        raise RuntimeError('the training ended before it was killed')
    kill_tree(process.pid)
    process.wait()
    return saved[0].name


def main(argv: Sequence[str] | None = None) -> None:
    """Train, kill, resume and check.

    Args:
        argv: Config, work dir, options; those of this process by default.

    Raises:
        RuntimeError: If a training fails, or the second does not resume the first.
    """
    config, folder, *options = sys.argv[1:] if argv is None else argv
    work_dir = Path(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process = start(config, work_dir, options)
    try:
        killed_after = kill_when_saved(process, work_dir)
        process = start(config, work_dir, [*options, '--resume'])
        if process.wait():
            raise RuntimeError(f'the resumed training ended with {process.returncode}')
    finally:
        if process.poll() is None:
            kill_tree(process.pid)
    said = '\n'.join(
        log.read_text(errors='replace') for log in sorted(work_dir.glob('*/*.log'))[1:]
    )
    resumed = re.findall(r'resumed epoch: (\d+), iter: (\d+)', said)
    if not resumed or not int(resumed[0][1]):
        raise RuntimeError(
            'the second training did not go on with the first: its log has no line "resumed epoch"'
        )
    logs = read_logs(work_dir)
    if int(resumed[0][1]) >= logs['steps']:
        raise RuntimeError('the first training was at its end when it was killed: more epochs')
    result = {
        'killed_after': killed_after,
        'resumed_at_step': int(resumed[0][1]),
        'steps': logs['steps'],
        'metrics': logs['metrics'],
        'loss': logs['curves']['loss'],
    }
    (work_dir / 'resumed.json').write_text(json.dumps(result, indent=1))
    print(result)


if __name__ == '__main__':
    main()
