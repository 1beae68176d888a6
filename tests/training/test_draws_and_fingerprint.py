"""What a training draws depends on its seed; a checkpoint is for a training of the same kind alone."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecg.labels.classes import CLASSES
from ecg.labels.diagnoses import Diagnoses
from ecg.methods.reduced_leads import on_leads, with_masked_leads
from ecg.training.member import _MemberTraining
from ecg.training.options import MemberOptions
from tiny import random_dataset, tiny

ROWS = np.arange(30)


def started(method=None, dataset=None, n_training=20, rows=ROWS, **options):
    """A training that has not begun its first epoch."""
    given = {"epochs": 4, "seed": 1, "number": 0, "device": torch.device("cpu")} | options
    dataset = dataset or random_dataset()
    return _MemberTraining(method or tiny(), dataset, rows[:n_training], rows[n_training:], MemberOptions(**given))


def changed_dataset(**changes):
    dataset = random_dataset()
    dataset.entries[4] = replace(dataset.entries[4], **changes)
    return dataset


def with_other_features():
    dataset = random_dataset()
    dataset.features(25)[0] += 1
    return dataset


class Network(torch.nn.Module):
    """Weights to start from, of which the checksum counts."""

    def state_dict(self):
        return tiny().build_network().state_dict()


def model(*checksums):
    return SimpleNamespace(networks=[Network()], checksums=list(checksums))


CHANGES = {
    "settings": {"method": tiny(settings={"depth": 2})},
    "name": {"method": tiny(name="another")},
    "diagnoses": {"method": tiny(Diagnoses("own", ("code", *CLASSES)))},
    "leads": {"method": on_leads(tiny(), ("I", "II"))},
    "masked leads": {"method": with_masked_leads(tiny())},
    "epochs": {"epochs": 5},
    "seed": {"seed": 2},
    "member": {"number": 1},
    "start": {"start": model("aa")},
    "another start": {"start": model("bb")},
    "what validates": {"n_training": 21},
    "the order of recordings": {"rows": ROWS[::-1]},
    "targets": {"dataset": changed_dataset(targets=(0.5,) * 24)},
    "samples": {"dataset": changed_dataset(digest="other")},
    "labels": {"dataset": changed_dataset(labels=())},
    "features of what validates": {"dataset": with_other_features()},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_training_goes_on_from_no_checkpoint_of_another(change):
    other = started(**CHANGES[change])._fingerprint
    assert started()._fingerprint == started()._fingerprint != other
    if change == "another start":
        assert started(**CHANGES["start"])._fingerprint != other


def test_every_draw_depends_on_seed_member_stage_and_epoch():
    def drawn(stage=0, epoch=0, **options):
        training = started(**options)
        with training._seeded(stage, epoch):
            return torch.rand(1).item()

    ways = [{}, {"seed": 2}, {"number": 1}, {"stage": 1}, {"epoch": 1}]
    assert len({drawn(**way) for way in ways}) == len(ways)
    assert drawn(seed=2) == drawn(seed=2)


def test_the_order_of_recordings_depends_on_seed_member_stage_and_epoch():
    def order(stage=0, epoch=0, **options):
        training = started(**options)
        training.stage, training.epoch = stage, epoch
        return tuple(np.concatenate([targets.numpy().argmax(axis=1) for _, targets in training._batches()]).tolist())

    ways = [{}, {"seed": 2}, {"number": 1}, {"stage": 1}, {"epoch": 1}]
    assert len({order(**way) for way in ways}) == len(ways)
    assert order() == order()


def test_first_weights_depend_on_seed_and_member_and_not_on_the_data():
    def weights(**options):
        return tuple(started(**options).network.fc.bias.tolist())

    assert len({weights(), weights(seed=2), weights(number=1)}) == 3
    assert weights() == weights(dataset=random_dataset(30, seed=9)) == weights(epochs=5)
