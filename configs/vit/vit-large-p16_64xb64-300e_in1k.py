# ViT-L/16 on ImageNet-1k as the ViT paper pre-trains it:
# 224 px, batch 4096, 300 epochs. The width of the hidden layer of the head is that of the
# model, as in the released weights.
#
#   NNODES=8 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/vit/vit-large-p16_64xb64-300e_in1k.py 8 --amp
#
# Published: 76.53 % top-1 on ImageNet-1k once fine-tuned at 384 px. Not trained by us (no GPU
# node).
_base_ = [
    '../_base_/models/vit.py',
    '../_base_/datasets/imagenet_vit_224.py',
    '../_base_/schedules/adam_300e_vit.py',
]

model = dict(
    backbone=dict(arch='large', img_size=224, drop_rate=0.1),
    head=dict(in_channels=1024, hidden_dim=1024),
)
