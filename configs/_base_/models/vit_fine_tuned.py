# The model of vit.py for the fine-tuning of a trained backbone, whose checkpoint a recipe names.
_base_ = './vit.py'

model = dict(backbone=dict(init_cfg=dict(_delete_=True, type='Pretrained', prefix='backbone.')))
