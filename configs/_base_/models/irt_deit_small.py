# IRT with DeiT-S: the class token without projection, and a contrastive loss with a margin of 0.5
# on the cosine and a memory. IRT_O removes the head, IRT_R adds KoLeo. The weights are the
# original ones of DeiT, which the paper uses; OpenMMLab's DeiT-S comes from another training.
model = dict(
    type='EmbeddingRetriever',
    backbone=dict(type='VisionTransformer', arch='deit-small', img_size=224, patch_size=16),
    neck=dict(type='TokenPooling', mode='cls'),
    head=dict(
        type='ContrastiveRetrievalHead',
        loss=dict(type='ContrastiveLoss', margin=0.5),
    ),
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://dl.fbaipublicfiles.com/deit/deit_small_patch16_224-cd65a155.pth',
    ),
)
