# IRT_R with DeiT-S on Stanford Online Products, reduced to 128 dimensions by PCA after training.
# The paper does not say on what the PCA is fitted here: on the training images.
#
#   python tools/train.py configs/retrieval/irt-r-deit-small-pca128_1xb64-35k_sop.py
#
# A checkpoint of the recipe without PCA can be tested with this config too. The paper: Recall@1
# 83.4 %. Not trained by us (no data).
_base_ = './irt-r-deit-small_1xb64-35k_sop.py'

model = dict(pca=dict(type='PCAProjection', in_dims=384, out_dims=128))
custom_hooks = [dict(type='FitPCAHook', split='train')]
