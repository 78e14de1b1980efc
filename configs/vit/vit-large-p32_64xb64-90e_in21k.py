# ViT-L/32 on ImageNet-21k as the ViT paper pre-trains it:
# 224 px, batch 4096, 90 epochs. The width of the hidden layer of the head is that of the
# model, as in the released weights.
# The paper also trains L for 30 epochs.
#
#   NNODES=8 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/vit/vit-large-p32_64xb64-90e_in21k.py 8 --amp
#
# Published: 80.99 % top-1 on ImageNet-1k once fine-tuned at 384 px. Not trained by us (no GPU
# node).
_base_ = [
    '../_base_/models/vit.py',
    '../_base_/datasets/imagenet21k_vit_224.py',
    '../_base_/schedules/adam_90e_vit.py',
]

model = dict(
    backbone=dict(arch='large', patch_size=32, img_size=224, drop_rate=0.1),
    head=dict(num_classes=21841, in_channels=1024, hidden_dim=1024),
)
