"""Find the checkpoint of a work dir to resume from, and the one to use."""

import logging
import pickle
import re
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader

from ..evaluation.functional.finite import non_finite_in_checkpoint
from ..fileio.run_record import read_record
from .safe_reading import DamagedCheckpointError, load_checkpoint_file

PUBLISHED = re.compile(r'.+-[0-9a-f]{8}\.pth')
NUMBERED = re.compile(r'(epoch|iter)_(\d{1,18})\.pth$')
STEP_CHECKPOINT = re.compile(r'(?:epoch|iter)_(\d{1,18})\.pth')


def newest_whole_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the checkpoint from which a run in this folder can be resumed.

    The folder itself is searched. The host's ``last_checkpoint`` file is not used, because it may
    name a file that is truncated, removed, or from another machine. The newest checkpoint is the
    one with the most steps: dates change when files are copied, and clocks of machines differ.

    Args:
        work_dir: The work dir of the run.

    Returns:
        The ``epoch_*.pth`` or ``iter_*.pth`` with the most steps that is complete and has finite
        weights; others are skipped with a warning. None if there is no such file.
    """
    found = {}
    for kind in ('iter', 'epoch'):
        for path in _by_step(work_dir, kind):
            fault, steps = _fault_and_steps(path)
            if fault is None:
                found[path] = steps
                break
            print_log(f'{path} {fault}: skipped', logger='current', level=logging.WARNING)
    # at the end of an epoch both may exist: the file of the epoch is written later
    return max(found, key=lambda path: (found[path], path.name.startswith('epoch')), default=None)


def _by_step(work_dir: str | Path, kind: str) -> list[Path]:
    """Return the checkpoints of one type, the one with the most steps first."""
    steps = {
        path: int(match[1])
        for path in Path(work_dir).glob(f'{kind}_*.pth')
        if (match := STEP_CHECKPOINT.fullmatch(path.name))
    }
    return sorted(steps, key=steps.__getitem__, reverse=True)


def checkpoint_fault(path: str | Path) -> str | None:
    """Return why a checkpoint should neither be resumed from nor used.

    Args:
        path: A checkpoint of a training.

    Returns:
        The fault, as the end of a sentence; None if there is no fault.
    """
    return _fault_and_steps(path)[0]


def is_saved_later(path: Path, other: Path) -> bool:
    """Check whether a whole checkpoint of a run has more steps than another one.

    Their files are read only where their names do not tell that it has not.

    Args:
        path: The checkpoint.
        other: The other one.
    """
    names = [NUMBERED.search(file.name) for file in (path, other)]
    if all(names) and names[0][1] == names[1][1] and int(names[0][2]) <= int(names[1][2]):
        return False
    (fault, steps), (other_fault, other_steps) = map(_fault_and_steps, (path, other))
    return fault is other_fault is None and steps > other_steps


def _fault_and_steps(path: str | Path) -> tuple[str | None, int]:
    """Return why a checkpoint cannot be used, and the steps that its training had taken."""
    try:
        content = load_checkpoint_file(path, map_location='cpu')
    except DamagedCheckpointError:
        return 'is damaged or truncated', 0
    except OSError as error:  # a link to nowhere, a folder of this name, no permission
        return f'cannot be read ({error.strerror or error})', 0
    except (RuntimeError, pickle.UnpicklingError):
        return None, 0  # another type of file: loading it reports what is in it
    meta = content.get('meta') if isinstance(content, dict) else None
    steps = meta.get('iter') if isinstance(meta, dict) else None
    names = non_finite_in_checkpoint(content)
    fault = f'holds weights that are not finite (such as {names[0]})' if names else None
    return fault, steps if isinstance(steps, int) else 0


def find_trained(
    work_dir: str | Path, config: Path | None = None, checkpoint: Path | None = None
) -> tuple[Path, Path]:
    """Return the config of a training and the checkpoint to use.

    Args:
        work_dir: The work dir of a training.
        config: The config to use, if it is known.
        checkpoint: The checkpoint to use, if it is known.

    Returns:
        The config, and the best checkpoint (by validation) if the run kept one, else the newest.

    Raises:
        FileNotFoundError: If the folder holds no config, several, or no whole checkpoint.
    """
    return config or config_of(work_dir), checkpoint or _checkpoint_of(work_dir)


def config_of(work_dir: str | Path) -> Path:
    """Return the config that a training wrote.

    Args:
        work_dir: The work dir of the training.

    Raises:
        FileNotFoundError: If the folder holds no config, or several and no record.
    """
    record = read_record(work_dir)
    configs = sorted(Path(work_dir).glob('*.py'))
    if record is not None and (named := Path(work_dir, record.config)).is_file():
        configs = [named]  # also if configs of other runs are beside it
    if len(configs) != 1:
        raise FileNotFoundError(
            f'{work_dir} holds {len(configs)} configs (*.py), and the work dir of a training '
            'holds one: name such a folder, or config and checkpoint'
        )
    return configs[0]


def _checkpoint_of(work_dir: str | Path) -> Path:
    best = {path: _fault_and_steps(path) for path in sorted(Path(work_dir).glob('best_*.pth'))}
    whole = {path: steps for path, (fault, steps) in best.items() if fault is None}
    checkpoint = max(whole, key=whole.__getitem__, default=None)
    if checkpoint is None:
        checkpoint = newest_whole_checkpoint(work_dir)
    if checkpoint is None:
        checkpoint = _published_weights(work_dir)
    if checkpoint is None:
        raise FileNotFoundError(f'{work_dir} holds no whole checkpoint (*.pth)')
    return checkpoint


def _published_weights(folder: str | Path) -> Path | None:
    """Return the one weights file of a folder that ``vit-plugins publish`` wrote."""
    found = [path for path in Path(folder).glob('*.pth') if PUBLISHED.fullmatch(path.name)]
    return found[0] if len(found) == 1 and checkpoint_fault(found[0]) is None else None


def trained_classes(checkpoint: str) -> tuple[str, ...] | None:
    """Return the classes of the model in a checkpoint.

    Args:
        checkpoint: A file or address.

    Returns:
        The class names, or None if the file does not hold them (weights from elsewhere).
    """
    content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    classes = content.get('meta', {}).get('dataset_meta', {}).get('classes')
    return None if classes is None else tuple(classes)


def resume_from(cfg: Config, checkpoint: str) -> Config:
    """Set in a config that it resumes from a checkpoint.

    Args:
        cfg: The config, with its ``work_dir``; edited.
        checkpoint: A file, or ``'auto'`` for the newest complete one of the work dir. If there is
            none, the run starts anew (from the config's ``load_from``, if any) and logs this.

    Returns:
        The same config.

    Raises:
        FileNotFoundError: If the named file does not exist.
    """
    if checkpoint == 'auto':
        found = newest_whole_checkpoint(cfg.work_dir)
        if found is None:
            print_log(f'No checkpoint in {cfg.work_dir}: starting fresh', logger='current')
            cfg.resume = False
            return cfg
        checkpoint = str(found)
    elif '://' not in checkpoint and not Path(checkpoint).is_file():
        raise FileNotFoundError(f'--resume {checkpoint}: there is no such file')
    print_log(f'Resuming from {checkpoint}', logger='current')
    cfg.resume = True
    cfg.load_from = checkpoint
    return cfg
