# scikit-learn's handwritten digits at four angles, with the transforms of digits.py. The test uses
# classes (and images) that are not in the training.
_base_ = './digits.py'

data_preprocessor = dict(
    _delete_=True,  # a retriever has no num_classes
    type='StackedDataPreprocessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    to_rgb=False,  # three equal channels
)
train_dataloader = dict(
    dataset=dict(type='RotatedDigits'),
    sampler=dict(_delete_=True, type='MPerClassSampler', batch_size=64, samples_per_class=4),
)
val_dataloader = dict(batch_size=128, dataset=dict(type='RotatedDigits'))
val_evaluator = dict(type='RetrievalMetric', topk=(1, 2, 4, 8))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
