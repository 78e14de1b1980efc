# R50+ViT-B/16 from ImageNet-21k to ImageNet-1k: 384 px, batch 512, 20k steps. The whole head is
# taken off; its successor starts at zero. The paper pre-trains hybrids on JFT-300M, which is not
# public; the weights on ImageNet-21k that this one starts from are Google's release:
# R50+ViT-B_16.npz of gs://vit_models/imagenet21k, converted once,
#
#   python tools/convert_checkpoint.py R50+ViT-B_16.npz r50-vit-base-p16.pth --arch hybrid-vit
#   bash tools/dist_train.sh configs/vit/r50-vit-base-p16_in21k-pre_8xb64-20k_in1k-384px.py \
#       8 --amp
#
# No result of the paper. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/hybrid_vit.py',
    '../_base_/datasets/imagenet_vit_384.py',
    '../_base_/schedules/sgd_20k_vit.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='r50-vit-base-p16.pth', prefix='backbone.'),
    ),
)
