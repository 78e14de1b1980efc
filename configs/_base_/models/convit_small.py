# ConViT-S with the drop path of its authors.
_base_ = './convit.py'

model = dict(backbone=dict(arch='small'), head=dict(in_channels=432))

# For configs/drloc, which has ConViT beside the paper's nets: weight and grids as for T2T-ViT. The
# pre-trained weights are the authors', at the address of configs/convit/metafile.yml.
drloc = dict(
    backbone=dict(out_type='raw'),
    head=dict(
        type='DRLocHead',
        in_channels=432,
        num_extra_tokens=1,
        patch_size=16,
        loss_grid_size=(7, 7),
        loss_weight=0.1,
    ),
)
drloc_official = dict(preset='official', loss_grid_size=None, pool=(3, 2, 1))
pretrained = dict(
    type='Pretrained',
    checkpoint='https://huggingface.co/timm/convit_small.fb_in1k/resolve/main/model.safetensors',
)
