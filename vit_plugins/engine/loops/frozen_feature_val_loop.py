"""Score a head on features that the training has computed."""

from __future__ import annotations

import torch
from mmengine.runner import ValLoop
from mmpretrain.registry import LOOPS
from mmpretrain.structures import DataSample

from ...weights.bare_model import bare_model
from .frozen_feature_loop import FrozenFeatureLoop


@LOOPS.register_module()
class FrozenFeatureValLoop(ValLoop):
    """Score the head of a ``FrozenFeatureLoop`` without encoding the images again.

    Metrics and hooks get the same as from a ``ValLoop``, but features instead of images. A test
    of the saved model with the host's ``TestLoop`` encodes images and gives the same scores.
    """

    @torch.no_grad()
    def run(self) -> dict[str, float]:
        """Score each image once on any number of ranks.

        Raises:
            TypeError: If the training uses another loop.
        """
        loop = self.runner.train_loop
        if not isinstance(loop, FrozenFeatureLoop):
            raise TypeError(
                'FrozenFeatureValLoop needs train_cfg.type=FrozenFeatureLoop, got '
                f'{type(loop).__name__}: set val_cfg.type=ValLoop'
            )
        for moment in ('before_val', 'before_val_epoch'):
            self.runner.call_hook(moment)
        model = bare_model(self.runner.model).eval()
        features = loop.features('val')
        places = torch.tensor(list(self.dataloader.sampler))
        for number, chosen in enumerate(places.split(self.dataloader.batch_size)):
            samples = [self._sample(int(i)) for i in chosen]
            batch = {'inputs': features[chosen], 'data_samples': samples}
            self.runner.call_hook('before_val_iter', batch_idx=number, data_batch=batch)
            inputs = features[chosen].to(model.head.fc.weight)
            outputs = model.head.predict((inputs,), samples)
            self.evaluator.process(data_samples=outputs, data_batch=batch)
            self.runner.call_hook(
                'after_val_iter', batch_idx=number, data_batch=batch, outputs=outputs
            )
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics

    def _sample(self, index: int) -> DataSample:
        info = self.dataloader.dataset.get_data_info(index)
        known = {key: info[key] for key in ('img_path', 'sample_idx') if key in info}
        return DataSample(metainfo=known).set_gt_label(info['gt_label'])
