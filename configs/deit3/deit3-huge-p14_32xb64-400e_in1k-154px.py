# DeiT III ViT-H on ImageNet-1k from scratch: 154 px, batch 2048, 400 epochs.
#
#   NNODES=4 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/deit3/deit3-huge-p14_32xb64-400e_in1k-154px.py 8 --amp
#
# Published: 85.1 % top-1 at 224 px after fine-tuning. Not trained by us (no GPU node).
_base_ = './deit3-huge-p14_32xb64-800e_in1k-154px.py'

# unsourced: there is no official command for 400 epochs. Both numbers are those of deit3-jax
# (rope-vit: weight decay 0.03); the authors are quoted as raising them for 800 (deit #214).
model = dict(backbone=dict(drop_path_rate=0.5))
optim_wrapper = dict(optimizer=dict(weight_decay=0.02))

train_cfg = dict(max_epochs=400)
