"""Run a grid of trainings and compare them: ``python tools/study.py STUDY.yaml``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.data_arguments import add_data_arguments
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.tool_parser import tool_parser

DESCRIPTION = """\
Run a grid of trainings, each in its own process and folder, and compare them.

If the command is started again, finished cells are kept and an interrupted cell is resumed from
its checkpoint. If the config of a finished cell has changed since, its results are not used, see
--force. With --records the results of the cells are stored in one small file, from which
--collect writes the report on any machine.

At the end, or with --collect, report.md is written to the work dir. It has a table of the
settings (metrics over the seeds, parameters, 10^9 multiplications for one prediction, time,
memory), a table of the differences paired by seed, and plots: learning curves, the metric against
an axis (plot), and against the multiplications if settings differ in them. The tables are also
written as .csv files.
"""

STUDY_FILE = """\
the study file (YAML):
  inherit: other.yaml     start from that file: mappings are merged, null removes an entry, other
                          values are replaced
  name, about             title and description of the report; default name: that of the file
  define                  any content, for YAML anchors
  base: config.py         the config that the cells vary; the path is relative to the study file
  data: NAME              as --data
  data_root: DIR          as --data-root
  options                 settings of every cell: {deep.path.of.setting: value}
  axes                    {axis: {level: settings}}: every combination is a cell. A level may have
                            _base_: other.py       another base config
                            _data_: svhn           another dataset
                            _stages_: [settings]   several trainings, each from the weights of
                                                   the one before; the last one is measured
                            _scale_epochs_: 0.1    epochs / 0.1, for a tenth of the images
                            _x_: 5.7               its number on the x axis
  cells: [{axis: level or [levels]}]    only these combinations; an axis that is not named has
                                        all its levels
  exclude: [{axis: level or [levels]}]  all combinations except these
  tuned: [{where: {axis: level or [levels]}, set: settings}]
                          settings of certain cells that a search chose, such as a learning rate
  seeds: [0, 1, 2]        the seeds of each cell
  seed_keys               settings that are set to the seed; default: [randomness.seed]
  measure: test           run tools/test.py once, on the last weights; or val: take the last
                          validation
  tests: {name: settings} several tests of the same weights; their metrics are name:metric
  metric: accuracy/top1   a metric, or a list of metrics
  compare                 {axis: , baseline: , levels: } or a list: differences paired by seed
  plot: {x: axis, label: of the x axis}   the metric against the number of a level
  train_args, test_args   lists of further arguments of tools/train.py and tools/test.py
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(DESCRIPTION, STUDY_FILE)
    parser.add_argument('study', help='study file')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder for cells and report; default: work_dirs/studies/NAME',
    )
    add_data_arguments(parser)
    parser.add_argument(
        '--jobs', type=int, default=1, metavar='N', help='number of cells that run at once'
    )
    parser.add_argument('--threads', type=int, metavar='N', help='OMP_NUM_THREADS of each cell')
    parser.add_argument(
        '--only',
        metavar='PATTERN',
        help='run only cells whose name matches or contains this, for example "three-augment/*"',
    )
    parser.add_argument(
        '--records',
        type=Path,
        metavar='FILE',
        help='small JSON file to which finished cells are also written; cells in it are not run '
        'again',
    )
    parser.add_argument(
        '--force',
        action='store_true',
        help='delete the cells whose config changed, and run them again',
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--dry-run', action='store_true', help='list the cells and their state')
    mode.add_argument(
        '--collect', action='store_true', help='only write the report of the finished cells'
    )
    args = parser.parse_args(argv)
    if args.jobs < 1 or (args.threads is not None and args.threads < 1):
        parser.error(f'--jobs and --threads must be at least 1, got {args.jobs}, {args.threads}')
    if args.force and (args.collect or args.dry_run):
        parser.error(
            '--force deletes cells and runs them again: do not give --collect or --dry-run with it'
        )
    if args.force and args.records:
        parser.error(
            '--force would run the cells of --records again: first move that file to another '
            'folder'
        )
    if args.only and args.collect:
        parser.error('--collect reports all finished cells: do not give --only with it')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run, list or collect a study."""
    args = parse_args(argv)
    run_command('study', args, argv)


if __name__ == '__main__':
    main()
