# DeiT III ViT-H on ImageNet-21k: 126 px, batch 2048, 90 epochs.
#
#   NNODES=4 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/deit3/deit3-huge-p14_32xb64-90e_in21k-126px.py 8 --amp
#
# Published: 58.0 % top-1 on the validation images of ImageNet-1k at the last epoch of its
# log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/imagenet21k_deit3_126.py',
    '../_base_/schedules/lamb_240e_deit3.py',
    '../_base_/default_runtime.py',
]

# The official command says 128 px and gets the same 81 tokens by leaving 2 px out; 126 is what the
# paper is recalled to say and deit3-jax uses (unsourced).
model = dict(
    backbone=dict(arch='huge', img_size=126, drop_path_rate=0.5),
    head=dict(num_classes=21841, in_channels=1280),
    train_cfg=dict(augments=[dict(type='CutMix', alpha=1.0)]),
)
train_dataloader = dict(batch_size=64)
train_cfg = dict(max_epochs=90)
