"""A config as one file."""

from pathlib import Path

from mmengine.config import Config

from vit_plugins.config_edits.dataset_by_name import apply_data
from vit_plugins.config_edits.literal import literal_text

CONFIGS = Path(__file__).parents[2] / 'configs'


def test_the_file_says_all_and_stands_on_no_other(tmp_path):
    cfg = apply_data(Config.fromfile(CONFIGS / 'drloc/resnet50-drloc_8xb128-100e.py'), 'svhn')
    text = literal_text(cfg, 'ResNet-50\non SVHN')
    assert text.startswith('# ResNet-50\n# on SVHN\n')
    assert '_base_' not in text
    assert 'rgb_mean' not in text  # nothing reads it
    (tmp_path / 'all.py').write_text(text)
    read = Config.fromfile(tmp_path / 'all.py').to_dict()
    assert read == {key: value for key, value in cfg.to_dict().items() if key in read}
    assert {'model', 'optim_wrapper', 'custom_imports', 'train_dataloader'} <= read.keys()
