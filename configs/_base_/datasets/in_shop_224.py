# In-Shop Clothes Retrieval as IRT trains with it, with the transforms of cub_retrieval_224.py: a
# batch has two images of each of 32 classes (the paper does not say how many).
_base_ = './cub_retrieval_224.py'

train_dataloader = dict(
    dataset=dict(type='InShopRetrieval', data_root='data/In-shop'),
    sampler=dict(
        _delete_=True, type='MPerClassSampler', batch_size=64, samples_per_class=2, infinite=True
    ),
)
val_dataloader = dict(dataset=dict(type='InShopRetrieval', data_root='data/In-shop'))
val_evaluator = dict(topk=(1, 10, 20, 30))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
