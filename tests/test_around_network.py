"""What is measured beside a network's milliseconds: preparing a picture and decoding, each by itself."""

import time

import pytest

from litepose_nas import Space
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.inference import around_network, pictures
from litepose_nas.pose import bottomup
from litepose_nas.steps.around_network import around, in_words


@pytest.mark.parametrize(
    ("name", "joints", "people"),
    [
        ("litepose-tiny", 17, 3),
        ("litepose", 14, 3),
        ("hrnet_davit", 17, 3),
        ("topdown-tiny", 16, 1),
        ("t_vipnas-tiny", 17, 1),
    ],
)
def test_everybody_is_found_whom_a_perfect_network_shows(name, joints, people, monkeypatch):
    monkeypatch.setattr(around_network, "SECONDS", 0.0)
    found = around(Subnet(Space.load(name).smallest, joints))
    assert found.people == people
    assert 0 < found.prepare_ms < 1000
    assert 0 < found.decode_ms < 1000


def test_each_part_is_timed_by_itself(monkeypatch):
    monkeypatch.setattr(around_network, "SECONDS", 0.0)
    subnet = Subnet(Space.load("litepose-tiny").smallest, 17)
    before = around(subnet)

    def later(function, seconds):
        def slow(*args, **kwargs):
            time.sleep(seconds)
            return function(*args, **kwargs)

        return slow

    monkeypatch.setattr(pictures, "warp_picture", later(pictures.warp_picture, 0.05))
    prepared = around(subnet)
    assert prepared.prepare_ms > 50
    assert prepared.decode_ms < before.decode_ms + 40
    monkeypatch.setattr(bottomup, "decode", later(bottomup.decode, 0.1))
    decoded = around(subnet)
    assert decoded.decode_ms > 100
    assert decoded.prepare_ms < 100
    words = in_words(decoded, "25 ms, measured")
    assert words.startswith("the network alone 25 ms, measured; preparing the picture ")
    assert "not in the budget (a picture of 640x480 with 3 people, one thread of " in words
