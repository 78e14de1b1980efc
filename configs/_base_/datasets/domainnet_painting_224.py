# DomainNet painting, with the settings of domainnet_clipart_224.py: 50,416 images for training,
# 21,850 for the test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='painting'))
val_dataloader = dict(dataset=dict(domain='painting'))
test_dataloader = val_dataloader
