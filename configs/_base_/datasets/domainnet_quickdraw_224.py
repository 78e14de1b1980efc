# DomainNet quickdraw, with the settings of domainnet_clipart_224.py: 120,750 images for training,
# 51,750 for the test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='quickdraw'))
val_dataloader = dict(dataset=dict(domain='quickdraw'))
test_dataloader = val_dataloader
