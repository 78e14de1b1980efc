"""Measure speed and memory against peers; each part is one file.

A part is a module with two functions: ``cases(size)`` returns the names and the arguments of its
cases, ``build(setting, **arguments)`` returns the :class:`~.comparison.Comparison` of a case.
``vit-plugins bench PART`` runs it, each case in a fresh process. A new part needs a new
file and its name in ``PARTS``.
"""

PARTS = {
    'gpsa': 'gated positional self-attention against timm, and plain attention as the limit',
    'model': "ConViT against timm's and against a ViT of equal width and depth",
    'drloc': 'the localization loss: its form, and its share of a training step',
    'augment': 'crop and 3-Augment from JPEG, arrays and batches, against torchvision and kornia',
    'loader': 'data loaders: ways to collate, and pipelines of photos',
    'encode': 'networks with published weights: photos encoded, nothing compared',
    'export': "exported ViTs in onnxruntime against timm's, exported and run the same way",
    'retrieval': 'exact Recall@1/10/100/1000 against faiss and others',
    'contrastive': 'the contrastive step with a memory against pytorch-metric-learning',
    'train': 'an epoch of the digits recipe against the bare steps of its model',
    'ranks': 'training steps on one and on two ranks of a CPU, with gloo',
    'predict': "photos from files to probabilities against timm's model in a plain loop",
    'startup': 'help and import against Python and the host',
    'resume': 'checkpoints, written and read, against torch',
}
