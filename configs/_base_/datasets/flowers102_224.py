# Oxford Flowers-102 at 224 px with the Swin augmentation: trained on train and val (2,040 images),
# tested on test (6,149). data/flowers102 contains jpg/, imagelabels.mat and setid.mat.
_base_ = './imagenet100_224.py'

data_preprocessor = dict(num_classes=102)
train_dataloader = dict(
    dataset=dict(type='Flowers102', data_root='data/flowers102', split='trainval')
)
val_dataloader = dict(dataset=dict(type='Flowers102', data_root='data/flowers102', split='test'))
test_dataloader = val_dataloader
