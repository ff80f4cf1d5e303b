"""Settings of a command line."""

from __future__ import annotations

import pytest

from MedSegDLLib.errors import InputError
from MedSegTrainLib.data.settings import parsed_settings


def test_values_are_yaml_and_dots_go_deeper():
    given = ["patch=[1, 2, 3]", "orientation = LPS", "optimisation.steps=100", "optimisation.clip=null", "a.b.c=x=y"]
    assert parsed_settings(given, "") == {
        "patch": [1, 2, 3],
        "orientation": "LPS",
        "optimisation": {"steps": 100, "clip": None},
        "a": {"b": {"c": "x=y"}},
    }
    assert parsed_settings([], "") == {}
    assert parsed_settings(["a=1", "a=2"], "") == {"a": 2}


@pytest.mark.parametrize("wrong", [["optimisation.steps"], ["=3"], ["patch="], ["a.=1"], ["a=1", "a.b=2"]])
def test_what_is_no_setting_is_named_with_an_example(wrong):
    with pytest.raises(InputError, match=f"'{wrong[-1]}' is no setting. Write it as patch=3"):
        parsed_settings(wrong, "patch=3")


def test_what_is_no_yaml_is_named():
    with pytest.raises(InputError, match="is no value. Write it as in YAML"):
        parsed_settings(["loss.name=["], "")
