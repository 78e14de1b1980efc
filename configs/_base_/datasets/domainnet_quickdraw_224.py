# The same of DomainNet's quickdraw: 120,750 images to train, 51,750 to test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='quickdraw'))
val_dataloader = dict(dataset=dict(domain='quickdraw'))
test_dataloader = val_dataloader
