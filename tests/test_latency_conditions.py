"""What a device tells of its clocks, heat and throttling, from files as Linux has them and a Pi's program."""

import pytest

from litepose_nas.latency.standalone import conditions

GIVEN = {
    "devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand",
    "devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1500345",
    "devices/system/cpu/cpufreq/policy0/scaling_min_freq": "600000",
    "devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1800000",
    "devices/system/cpu/cpufreq/policy4/scaling_governor": "performance",
    "devices/system/cpu/cpufreq/policy4/scaling_cur_freq": "2400000",
    "devices/system/cpu/cpufreq/policy4/scaling_min_freq": "1000000",
    "devices/system/cpu/cpufreq/policy4/scaling_max_freq": "2400000",
    "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3",
    "devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4",
    "class/thermal/thermal_zone0/temp": "48312",
    "class/thermal/thermal_zone1/temp": "-274000",  # a sensor that is off
    "class/thermal/cooling_device0/type": "pwm-fan",
    "class/thermal/cooling_device0/cur_state": "3",
    "class/thermal/cooling_device1/type": "cpufreq-cpu0",
    "class/thermal/cooling_device1/cur_state": "2",
}


@pytest.fixture
def pi(tmp_path, monkeypatch):
    """Return a function that puts a `vcgencmd` on the path which says this."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def says(text):
        program = tmp_path / "vcgencmd"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    return says


def test_what_the_system_tells_is_read(tmp_path, pi):
    for name, text in GIVEN.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    pi('[ "$1" = get_throttled ] && echo throttled=0x50005')
    told = conditions.conditions_now(str(tmp_path / "sys"))
    assert told == {
        "governor": "ondemand+performance",
        "mhz": [1500, 2400],
        "mhz_limits": [600, 2400],
        "celsius": 48.312,
        "cooling": 2,
        "throttle_count": 7,
        "pi_throttled": 0x50005,
    }
    assert conditions.in_words([told]) == "governor ondemand+performance, clocks of 1500 to 2400 MHz, 48 °C"


@pytest.mark.parametrize("text", ["exit 1", "echo error=1", "echo throttled=none"])
def test_what_tells_nothing_is_no_error(tmp_path, pi, text):
    assert conditions.conditions_now(str(tmp_path)) == {}
    pi(text)
    assert conditions.conditions_now(str(tmp_path)) == {}
    assert conditions.in_words([]) == ""


def test_complaints():
    calm = [
        {"celsius": 50.0, "cooling": 0, "throttle_count": 7, "pi_throttled": 0x50000, "mhz_limits": [600, 1800]}
    ] * 4
    assert conditions.complaints(calm, 0.02, 0.01) == []
    assert conditions.complaints(calm, 0.04, 0.05) == []  # no more than noise
    hot = {"cooling": 2, "throttle_count": 9, "pi_throttled": 0x50005, "mhz_limits": [600, 1500]}
    assert conditions.complaints([*calm, hot], -0.04, 0.01) == [
        "drift: the anchors took 4.0% less long in the last rounds than in the first",
        "in 1 of 5 rounds the Pi said: the voltage is too low",
        "in 1 of 5 rounds the Pi said: throttled",
        "in 1 of 5 rounds the clock was held down against heat",
        "the processor throttled 2 times",
        "the highest clock allowed changed between 1500 and 1800 MHz",
    ]
