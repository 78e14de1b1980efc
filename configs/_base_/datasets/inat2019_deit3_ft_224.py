# iNaturalist 2019, with the settings of inat2018_deit3_ft_224.py:
# data/inat2019/{train,val}/CLASS/*.jpg with 1,010 classes.
_base_ = './inat2018_deit3_ft_224.py'

data_preprocessor = dict(num_classes=1010)
train_dataloader = dict(dataset=dict(data_root='data/inat2019'))
val_dataloader = dict(dataset=dict(data_root='data/inat2019'))
test_dataloader = val_dataloader
