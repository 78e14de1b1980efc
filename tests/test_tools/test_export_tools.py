"""The tools that export and publish a trained model: arguments and output."""

import subprocess
import sys

import pytest

from vit_plugins.inference.export_formats import SUFFIXES


def test_formats_are_those_of_the_package(export_tool):
    assert export_tool.FORMATS == SUFFIXES


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone'], 'gone is not a folder'),
        (['.', '--out', 'x.pth'], '--out must end in .onnx for --format onnx'),
    ],
)
def test_wrong_arguments(export_tool, capsys, arguments, message):
    with pytest.raises(SystemExit):
        export_tool.parse_args(arguments)
    assert message in capsys.readouterr().err


def test_default_file(export_tool, tmp_path):
    args = export_tool.parse_args([str(tmp_path), '--format', 'torch'])
    assert args.out == tmp_path / 'export' / 'model.pt2'


def test_a_folder_without_a_training_is_named(export_tool, publish_tool, tmp_path):
    pytest.importorskip('safetensors')
    with pytest.raises(SystemExit, match=r'holds 0 configs'):
        export_tool.main([str(tmp_path), '--format', 'safetensors'])
    with pytest.raises(SystemExit, match=r'holds 0 configs'):
        publish_tool.main([str(tmp_path), str(tmp_path / 'out')])


@pytest.mark.slow
def test_digits_from_training_to_onnxruntime(tmp_path):
    """Train an epoch, export with free sizes, publish, and classify a digit by the program."""
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name)

    def run(*words):
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    command = ('-m', 'vit_plugins')
    work = tmp_path / 'digits'
    epochs = ('--cfg-options', 'train_cfg.max_epochs=1')
    run(*command, 'train', 'convit_drloc_digits', '--work-dir', work, *epochs)
    told = run(*command, 'export', work, '--dynamic-size')
    assert 'batch size free, height and width free from 5 x 5' in told
    assert 'on 8 images of the test set, preprocessing included' in told
    told = run(*command, 'publish', work, tmp_path / 'out', '--license', 'CC0-1.0')
    from PIL import Image
    from sklearn.datasets import load_digits

    photo = tmp_path / 'digit.png'
    pixels = (load_digits().images[7] * (255 / 16)).astype('uint8')
    Image.fromarray(pixels).convert('RGB').save(photo)
    told = run('-I', work / 'export/run_onnx.py', work / 'export/model.onnx', photo)
    named = run(*command, 'predict', tmp_path / 'out', photo)
    assert told.split()[1:3] == named.split()[1:3]  # class and per cent
