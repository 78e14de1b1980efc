# DomainNet infograph, with the settings of domainnet_clipart_224.py: 36,023 images for training,
# 15,582 for the test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='infograph'))
val_dataloader = dict(dataset=dict(domain='infograph'))
test_dataloader = val_dataloader
