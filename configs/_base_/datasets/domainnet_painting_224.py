# The same of DomainNet's painting: 50,416 images to train, 21,850 to test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='painting'))
val_dataloader = dict(dataset=dict(domain='painting'))
test_dataloader = val_dataloader
