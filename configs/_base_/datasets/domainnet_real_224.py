# The same of DomainNet's real: 120,906 images to train, 52,041 to test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='real'))
val_dataloader = dict(dataset=dict(domain='real'))
test_dataloader = val_dataloader
