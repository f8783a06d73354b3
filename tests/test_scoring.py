"""A candidate's score: what a literal reading of the rule gives, from one look at each picture."""

import pytest
import torch

import litepose_nas as ln
from litepose_nas.inference.batches import predict_batches
from litepose_nas.metrics.coco import coco_ap
from litepose_nas.pose.make_task import make_task
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.steps.common import read_data
from litepose_nas.train.recipe import Recipe
from tests.helpers import tiny

SIZE = (64, 64)


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    source, _ = tiny.make_room(tmp_path_factory.mktemp("scoring"))
    data, recipe = read_data(source, 0, most_in_slice=5), Recipe()
    # A slice of all that is not for gradients has too few pictures to need a second batch.
    split = data.split._replace(heldout=data.split.train)
    task = make_task(data.skeleton, recipe.task_info)
    return Scorer(split, task, recipe, torch.device("cpu"), Protocol(calibration=8, batch=4))


class Counted(torch.nn.Module):
    """A network that knows how many pictures it has been shown in each mode."""

    def __init__(self, net):
        super().__init__()
        self.net, self.shown = net, {True: 0, False: 0}

    def forward(self, images):
        self.shown[self.training] += len(images)
        return self.net(images)


def test_loss_and_ap_are_those_of_a_literal_reading_and_cost_one_look(judge):
    torch.manual_seed(0)
    net = Counted(ln.build(ln.Space.load("litepose-tiny").smallest))
    found = judge(net, SIZE)
    pictures = len(judge.split.heldout)
    assert pictures % 4
    assert net.shown == {True: 8, False: pictures}
    total = 0.0
    with torch.no_grad():  # one by one: a mean over pictures does not know of batches
        for batch, _ in judge.task.eval_batches(judge.split.heldout, SIZE, 1):
            outputs = net(batch.images)
            masks = None if batch.masks is None else batch.masks
            loss = judge.task.target(outputs, batch.joints, masks, SIZE, judge.recipe.loss)
            total += float(loss(outputs)["total"])
    assert found["loss"] == pytest.approx(total / pictures, rel=1e-4)
    results = predict_batches(net, judge.task.eval_batches(judge.split.heldout, SIZE, 1), judge.task)
    assert found["ap"] == pytest.approx(coco_ap(judge.truth, results).ap, abs=1e-9)
    assert judge(net, SIZE, calibrated=True) == found


def test_a_network_without_numbers_scores_nothing(judge):
    net = ln.build(ln.Space.load("litepose-tiny").smallest)
    with torch.no_grad():
        next(net.parameters()).fill_(torch.nan)
    assert judge(net, SIZE) == {"ap": 0.0, "loss": float("inf")}
