"""The weight names of torchvision's and timm's ResNet files."""

from .official import OfficialNames

REST = r'(weight|bias|running_mean|running_var|num_batches_tracked)'

# ResNet and ResNeXt already have the host's names; SE-ResNet differs in its gates.
PLAIN_KEYS = (
    (r'layer(\d+\.\d+)\.se\.fc([12])\.(weight|bias)', r'backbone.layer\1.se_layer.conv\2.conv.\3'),
    (r'((?:conv1|bn1|layer\d+)\..*)', r'backbone.\1'),
    (r'fc\.(weight|bias)', r'head.fc.\1'),
)
RESNET_NAMES = OfficialNames(
    model='ResNet',
    keys=PLAIN_KEYS,
    example='conv1.weight',
    records_grid=False,
    blocks=('layer1.0', 'layer1.0'),
    required=('conv1.weight',),
)

# timm's ResNet-D has three convolutions at the start. It counts the pooling that does nothing
# when the first stage keeps the size; the host does not count it.
RESNET_D_NAMES = OfficialNames(
    model='ResNetV1d',
    keys=(
        (rf'conv1\.0\.{REST}', r'backbone.stem.0.conv.\1'),
        (rf'conv1\.1\.{REST}', r'backbone.stem.0.bn.\1'),
        (rf'conv1\.3\.{REST}', r'backbone.stem.1.conv.\1'),
        (rf'conv1\.4\.{REST}', r'backbone.stem.1.bn.\1'),
        (rf'conv1\.6\.{REST}', r'backbone.stem.2.conv.\1'),
        (rf'bn1\.{REST}', r'backbone.stem.2.bn.\1'),
        (rf'layer1\.0\.downsample\.1\.{REST}', r'backbone.layer1.0.downsample.0.\1'),
        (rf'layer1\.0\.downsample\.2\.{REST}', r'backbone.layer1.0.downsample.1.\1'),
        *PLAIN_KEYS,
    ),
    example='conv1.weight',
    records_grid=False,
    blocks=('layer1.0', 'layer1.0'),
    required=('conv1.0.weight',),
)
