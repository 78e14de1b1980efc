# DeiT III on ImageNet-21k: 240 epochs, a third of the learning rate, less weight decay.
_base_ = './lamb_800e_deit3.py'

optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.02))
train_cfg = dict(max_epochs=240)
