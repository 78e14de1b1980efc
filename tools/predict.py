"""Name what is on images, with the model of a training run.

python tools/predict.py work_dirs/convit_drloc_folder photo.jpg more_photos --out classes.csv
"""

from __future__ import annotations

import vit_plugins  # noqa: F401  (first: how threads wait is set before torch is loaded)

# isort: split
import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.config import Config

from vit_plugins.engine.resume import find_trained
from vit_plugins.photo_inference import default_workers, gather_images
from vit_plugins.prediction import load_classifier, predict_images, write_predictions


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path, help='the work dir of a training run')
    parser.add_argument('images', nargs='+', help='image files, or folders that hold them')
    parser.add_argument('--out', type=Path, help='FILE.csv or FILE.json; default: a table')
    parser.add_argument('--top-k', type=int, default=5, help='classes per image')
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--workers', type=int, help='reading processes')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')
    args = parser.parse_args(argv)
    if not args.work_dir.is_dir():
        parser.error(f'{args.work_dir} is not a folder: give the work dir of a training run')
    if args.out and args.out.suffix not in ('.csv', '.json'):
        parser.error(f'--out must end in .csv or .json, got {args.out}')
    if args.top_k < 1 or args.batch_size < 1:
        parser.error('--top-k and --batch-size must be 1 or more')
    return args


def main(argv: list[str] | None = None) -> int:
    """Classify the images; the exit code is 1 if none could be read.

    Args:
        argv: The arguments. Default: those of the process.
    """
    args = parse_args(argv)
    try:
        config, checkpoint = args.config, args.checkpoint
        if config is None or checkpoint is None:
            found_config, found_checkpoint = find_trained(args.work_dir)
            config, checkpoint = config or found_config, checkpoint or found_checkpoint
        print(f'config {config}, checkpoint {checkpoint}', file=sys.stderr)
        with redirect_stdout(sys.stderr):  # the host's log would stand in the table
            classifier = load_classifier(Config.fromfile(config), checkpoint, args.device)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    images = gather_images(args.images)
    workers = default_workers(len(images)) if args.workers is None else args.workers
    try:
        found = list(
            predict_images(classifier, images, batch_size=args.batch_size, workers=workers)
        )
    except FloatingPointError as error:
        sys.exit(str(error))
    if args.out:
        about = {'config': str(config), 'checkpoint': str(checkpoint)}
        with args.out.open('w', newline='', encoding='utf-8', errors='surrogateescape') as file:
            write_predictions(found, file, args.out.suffix[1:], args.top_k, about)
    else:
        write_predictions(found, sys.stdout, 'table', args.top_k)
    unreadable = [(path, answer) for path, answer in found if isinstance(answer, str)]
    for path, reason in unreadable:
        print(f'skipped, unreadable: {path}: {reason}', file=sys.stderr)
    read = len(found) - len(unreadable)
    where = f', written to {args.out}' if args.out else ''
    print(f'{read} images classified, {len(unreadable)} skipped{where}', file=sys.stderr)
    return 0 if read else 1


if __name__ == '__main__':
    sys.exit(main())
