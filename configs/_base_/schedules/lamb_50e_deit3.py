# DeiT III from ImageNet-21k to ImageNet-1k: 50 epochs.
_base_ = './lamb_800e_deit3.py'

optim_wrapper = dict(optimizer=dict(lr=3e-4, weight_decay=0.02))
train_cfg = dict(max_epochs=50)
