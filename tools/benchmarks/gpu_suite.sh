#!/usr/bin/env bash
# Everything that only a GPU can tell, in stages, for a machine with one GPU, some cores, torch with
# CUDA and no network, where minutes count:
#
#   bash tools/benchmarks/gpu_suite.sh OUT            # all stages, by value, as far as 540 s go
#   bash tools/benchmarks/gpu_suite.sh OUT 6 7        # these alone
#   bash tools/benchmarks/gpu_suite.sh OUT --dry-run  # all at toy size on a CPU
#   bash tools/benchmarks/gpu_suite.sh --help         # the stages, and more options
#
# Each stage has a time limit and writes OUT/NUMBER_NAME.json at once, also if it fails or is ended:
# "partial" has whole cases and names the missing ones. Copy those that passed to docs/gpu/: their
# stages are skipped from then on. What fits into one call of 540 s:
#
#   1 2 3      tests and DDP side by side, then ConViT, GPSA and losses against peers (440 s at most)
#   9d 9e      compiled, and a million vectors (420 s)
#   4 6        the tenth of CIFAR-10, a small ResNet (450 s)
#   5 7        DRLoc on and off, the recipe in 20 epochs (520 s)
#   8, 9a, 9b  each takes the whole call
#   9c         (300 s)
#
# The trainings end in time by TimeBudgetHook; the JSON says how many steps there were.
#
# What such a machine lacks comes along in two folders that git ignores:
#   .whl/   wheels of the OpenMMLab host and what it needs, for the Python there: mmengine,
#           mmcv-lite, mmpretrain, addict, yapf, termcolor, platformdirs, mat4py, modelindex,
#           model-index, ordered-set, importlib-metadata, zipp, lazy-importer; for the comparisons
#           pytorch-metric-learning and, where it is missing, timm
#           (pip download --no-deps -d .whl NAME...)
#   .data/  cifar10-jpeg.tar.gz: CIFAR-10 as train/CLASS/*.jpg and test/CLASS/*.jpg
# 9a leaves its checkpoint in OUT/epochs300.part*, of 15 MiB each: bring them along in OUT for 9b.
set -euo pipefail
if [ $# -eq 0 ] || [ "$1" = --help ]; then
    set -- --help
fi
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-python3}
site=$PWD/work_dirs/gpu_suite_site
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
if [ "$1" != --help ]; then
    case $1 in /*) ;; *) set -- "$here/$1" "${@:2}" ;; esac
fi
case " $* " in
*" --dry-run "* | *" --help "*) ;;
*)
    if compgen -G '.whl/*.whl' >/dev/null; then
        # They are pure Python, so that unpacking installs them.
        "$python" -c 'import sys, zipfile
for wheel in sys.argv[2:]:
    zipfile.ZipFile(wheel).extractall(sys.argv[1])' "$site" .whl/*.whl
        export PYTHONPATH=$PWD:$site:$PYTHONPATH
        # Once for all: where Python keeps no bytecode, each process would compile a thousand files.
        "$python" -W ignore -m compileall -q -j 0 "$site" vit_plugins >/dev/null || true
    fi
    if [ -f .data/cifar10-jpeg.tar.gz ] && [ ! -d data/cifar10/train ]; then
        mkdir -p data/cifar10
        tar -xzf .data/cifar10-jpeg.tar.gz -C data/cifar10
        if [ ! -d data/cifar10/train ]; then # a folder of its own in the archive
            mv data/cifar10/*/train data/cifar10/*/test data/cifar10/
        fi
    fi
    ;;
esac
exec "$python" -m vit_plugins.benchmarks.gpu_suite "$@" --spent "$SECONDS"
