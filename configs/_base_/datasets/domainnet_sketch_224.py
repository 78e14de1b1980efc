# DomainNet sketch, with the settings of domainnet_clipart_224.py: 48,212 images for training,
# 20,916 for the test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='sketch'))
val_dataloader = dict(dataset=dict(domain='sketch'))
test_dataloader = val_dataloader
