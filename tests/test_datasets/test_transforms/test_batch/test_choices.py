import torch

from vit_plugins.datasets.transforms.batch._choices import apply_choices


def test_each_operation_gets_the_images_that_chose_it_and_their_strengths():
    seen = []

    def adding(images, strength):
        seen.append((images[:, 0, 0, 0].tolist(), strength.tolist()))
        return images + 100

    def never(images, strength):
        raise AssertionError('nobody chose it')

    images = torch.arange(5).view(5, 1, 1, 1)
    choice, strength = torch.tensor([2, 0, 2, 3, 0]), torch.arange(5.0) / 10
    results = apply_choices(images, choice, strength, [adding, never, None, adding])
    assert results.flatten().tolist() == [0, 101, 2, 103, 104]
    assert images.flatten().tolist() == [0, 1, 2, 3, 4]
    expected = [([1, 4], strength[[1, 4]].tolist()), ([3], strength[[3]].tolist())]
    assert seen == expected


def test_strengths_may_have_more_axes():
    images = torch.zeros(2, 1, 1, 1)
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    results = apply_choices(
        images, torch.tensor([0, 0]), rows, [lambda x, s: x + s.sum(1)[:, None, None, None]]
    )
    assert results.flatten().tolist() == [3, 7]
