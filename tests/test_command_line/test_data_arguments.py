"""The name of a run by its arguments."""

import argparse

from vit_plugins.command_line.data_arguments import run_name


def test_runs_on_other_images_have_other_names():
    asked = argparse.Namespace(config='configs/x.py', data='svhn', fraction=0.1, subset='first')
    assert run_name(asked) == 'x_svhn-10pct'
    asked.subset = 'random'
    assert run_name(asked) == 'x_svhn-10pct-random'
    asked.fraction = None
    assert run_name(asked) == 'x_svhn'
