# Your own class folders, split by class, with the transforms of cub_retrieval_224.py, but a loader
# for photos. A batch has four images of each of 16 classes.
_base_ = './cub_retrieval_224.py'

train_pipeline = [dict(type='LoadPhoto'), *_base_.train_pipeline[1:]]
test_pipeline = [dict(type='LoadPhoto'), *_base_.test_pipeline[1:]]

train_dataloader = dict(
    dataset=dict(
        type='RetrievalFolder',
        data_root='data/my_images',
        split='trainval',
        pipeline=train_pipeline,
    ),
    sampler=dict(
        _delete_=True, type='MPerClassSampler', batch_size=64, samples_per_class=4, infinite=True
    ),
)
val_dataloader = dict(
    dataset=dict(type='RetrievalFolder', data_root='data/my_images', pipeline=test_pipeline)
)
test_dataloader = val_dataloader
