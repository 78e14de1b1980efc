# Stanford Online Products as IRT trains with it, with the transforms and the sampler of
# in_shop_224.py: a batch has two images of each of 32 classes (the paper does not say how many).
_base_ = './in_shop_224.py'

train_dataloader = dict(
    dataset=dict(type='StanfordOnlineProducts', data_root='data/Stanford_Online_Products')
)
val_dataloader = dict(
    dataset=dict(type='StanfordOnlineProducts', data_root='data/Stanford_Online_Products')
)
val_evaluator = dict(topk=(1, 10, 100, 1000))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
