"""The weight names of EfficientNet-lite0 files that follow the first PyTorch port.

The port numbers all blocks in a row; timm, whose network is used here, numbers the blocks of
each stage.
"""

from collections.abc import Iterator

REPEATS = (1, 2, 2, 3, 3, 4, 1)  # number of blocks in each stage of B0 and lite0
# The first stage does not widen, so its block has one convolution and one norm fewer.
FIRST = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw', '_bn2': 'bn2'}
OTHERS = {
    '_expand_conv': 'conv_pw',
    '_bn0': 'bn1',
    '_depthwise_conv': 'conv_dw',
    '_bn1': 'bn2',
    '_project_conv': 'conv_pwl',
    '_bn2': 'bn3',
}


def _keys() -> Iterator[tuple[str, str]]:
    for theirs, ours in {'_conv_stem': 'conv_stem', '_bn0': 'bn1', '_conv_head': 'conv_head',
                         '_bn1': 'bn2'}.items():  # fmt: skip
        yield rf'{theirs}\.(\w+)', rf'backbone.timm_model.{ours}.\1'
    places = [(stage, i) for stage, count in enumerate(REPEATS) for i in range(count)]
    for number, (stage, place) in enumerate(places):
        for theirs, ours in (OTHERS if stage else FIRST).items():
            yield (
                rf'_blocks\.{number}\.{theirs}\.(\w+)',
                rf'backbone.timm_model.blocks.{stage}.{place}.{ours}.\1',
            )


EFFICIENTNET_KEYS = tuple(_keys())
