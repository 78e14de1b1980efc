# Find similar photos of classes that are not in the training: `vit-plugins train similar
# --data-root DIR`. IRT_R with a DeiT-S on your own class folders, half of whose classes are for
# the test.
#
#   python tools/train.py configs/similar.py --data-root DIR
#   python tools/retrieve.py index GALLERY PHOTOS --work-dir work_dirs/similar
#
# The recipe of retrieval/irt-r-deit-small_1xb64-2k_folder.py under a short name. Not trained by us
# (no GPU node).
_base_ = './retrieval/irt-r-deit-small_1xb64-2k_folder.py'

# the result as a page that can be sent to a colleague
default_hooks = dict(report_page=dict(enable=True))
