# The same of DomainNet's infograph: 36,023 images to train, 15,582 to test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='infograph'))
val_dataloader = dict(dataset=dict(domain='infograph'))
test_dataloader = val_dataloader
