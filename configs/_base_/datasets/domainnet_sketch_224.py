# The same of DomainNet's sketch: 48,212 images to train, 20,916 to test.
_base_ = './domainnet_clipart_224.py'

train_dataloader = dict(dataset=dict(domain='sketch'))
val_dataloader = dict(dataset=dict(domain='sketch'))
test_dataloader = val_dataloader
