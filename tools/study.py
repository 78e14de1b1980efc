"""Run a grid of trainings and compare them: ``python tools/study.py STUDY.yaml``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.data_arguments import add_data_arguments
from vit_plugins.command_line.late_import import run_command

DESCRIPTION = """\
Run a grid of trainings, each in a process and a folder of its own, and compare them.

Started again, it goes on: finished cells stay, one that was cut off resumes from its checkpoint.
A cell whose config is no longer that of its results is never mixed in: see --force. --records
keeps what the cells found in one small file, from which --collect makes the report anywhere.

At the end, or by --collect, report.md in the work dir has a table of the settings (metrics over
the seeds, parameters, 10^9 multiplications for one prediction, time, memory), one of the
differences paired by seed, and pictures: learning curves, the metric against an axis (plot) and,
where settings differ in it, against the multiplications. The tables are there as .csv, too.
"""

STUDY_FILE = """\
the study file (YAML):
  inherit: other.yaml     start from that file: mappings merge, null removes, the rest replaces
  name, about             of the report; the name is that of the file if not given
  define                  anything: a place for YAML anchors
  base: config.py         what the cells vary; relative to the study file
  data: NAME              as --data
  data_root: DIR          as --data-root
  options                 settings of every cell: {deep.path.of.setting: value}
  axes                    {axis: {level: settings}}: every combination is a cell. A level may have
                            _base_: other.py       another base config
                            _data_: svhn           another dataset
                            _stages_: [settings]   trainings that start from the weights of the
                                                   one before; the last one is measured
                            _scale_epochs_: 0.1    epochs / 0.1, for a tenth of the images
                            _x_: 5.7               its number on the x axis
  cells: [{axis: level or [levels]}]    only these combinations (an axis left out: all levels)
  exclude: [{axis: level or [levels]}]  not these
  tuned: [{where: {axis: level or [levels]}, set: settings}]
                          what a search chose for certain cells, as a learning rate
  seeds: [0, 1, 2]        of each cell
  seed_keys               settings that take the seed; [randomness.seed] if not given
  measure: test           tools/test.py once, on the last weights; or val: the last validation
  tests: {name: settings} several tests of the same weights; their metrics are name:metric
  metric: accuracy/top1   or a list
  compare                 {axis: , baseline: , levels: } or a list: differences paired by seed
  plot: {x: axis, label: of the x axis}   the metric against the number of a level
  train_args, test_args   lists of further arguments of tools/train.py and tools/test.py
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION,
        epilog=STUDY_FILE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('study', help='study file')
    parser.add_argument(
        '--work-dir', type=Path, help='folder of cells and report; work_dirs/studies/NAME'
    )
    add_data_arguments(parser)
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='cells at a time')
    parser.add_argument('--threads', type=int, metavar='N', help='OMP_NUM_THREADS of each cell')
    parser.add_argument(
        '--only',
        metavar='PATTERN',
        help='cells whose name matches, or contains this; as in "three-augment/*"',
    )
    parser.add_argument(
        '--records',
        type=Path,
        metavar='FILE',
        help='small JSON file that finished cells are also written to; those in it are done',
    )
    parser.add_argument(
        '--force', action='store_true', help='delete and run again the cells that changed'
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--dry-run', action='store_true', help='list the cells and their state')
    mode.add_argument(
        '--collect', action='store_true', help='only write the report of what is finished'
    )
    args = parser.parse_args(argv)
    if args.jobs < 1 or (args.threads is not None and args.threads < 1):
        parser.error(f'--jobs and --threads must be at least 1, got {args.jobs}, {args.threads}')
    if args.force and (args.collect or args.dry_run):
        parser.error('--force deletes cells to run them again: not with --collect or --dry-run')
    if args.force and args.records:
        parser.error('--force would run what --records holds again: move that file away first')
    if args.only and args.collect:
        parser.error('--collect reports all cells that are finished: not with --only')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run, list or collect a study."""
    args = parse_args(argv)
    run_command('study', args, argv)


if __name__ == '__main__':
    main()
