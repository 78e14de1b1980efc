# ConViT-S fine-tuned from ImageNet-1k on DomainNet sketch at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-sketch/convit-small_in1k-pre_8xb128-100e_domainnet-sketch.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './convit-small_8xb128-100e_domainnet-sketch.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))
