"""Each choice of class features, on maps, on tokens and on other inputs of a head."""

import pytest
import torch

from vit_plugins.models.heads.class_features import class_features

TOKENS, MAP = torch.randn(2, 2 + 12, 8), torch.randn(2, 8, 3, 4)


@pytest.mark.parametrize(
    ('last', 'source', 'extra', 'expected'),
    [
        (TOKENS, 'cls_token', 2, TOKENS[:, 0]),
        (TOKENS, 'extra_tokens', 2, (TOKENS[:, 0], TOKENS[:, 1])),
        (TOKENS, 'gap', 2, TOKENS[:, 2:].mean(1)),
        (TOKENS, 'feats', 2, TOKENS),
        (TOKENS, None, 2, (TOKENS[:, 0], TOKENS[:, 1])),
        (TOKENS, None, 1, TOKENS[:, 0]),
        (TOKENS, None, 0, TOKENS.mean(1)),
        (MAP, 'gap', 1, MAP.flatten(2).mean(2)),
        (MAP, None, 1, MAP.flatten(2).mean(2)),
        (MAP, 'feats', 1, MAP),
        (TOKENS[:, 0], None, 1, TOKENS[:, 0]),
        ((TOKENS, MAP), None, 1, (TOKENS, MAP)),
    ],
)
def test_last_feature(last, source, extra, expected):
    first = object()
    found = class_features((first, last), source, extra)
    assert found[0] is first
    torch.testing.assert_close(found[1], expected)
