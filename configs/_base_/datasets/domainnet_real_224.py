# DomainNet real, with the settings of domainnet_clipart_224.py: 120,906 images for training,
# 52,041 for the test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='real'))
val_dataloader = dict(dataset=dict(domain='real'))
test_dataloader = val_dataloader
