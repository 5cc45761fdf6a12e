"""`python -m limbeck.models`: JSON, or one line and status 2."""

import json

import pytest

from limbeck.models.__main__ import main


def test_describe_prints_the_agreed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["describe", "tiny-unet", "--latent-size=32", "--set=attention=mha", "--set", "expansion=1"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["name", "latent_size", "text_tokens", "parameters", "macs", "stages"]
    assert (found["name"], found["latent_size"], found["text_tokens"]) == ("tiny-unet", 32, 6)
    assert list(found["stages"][0]) == ["name", "parameters", "macs"]
    assert sum(stage["parameters"] for stage in found["stages"]) == found["parameters"] < 240_244


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["describe", "none"], "there are: imagenet-256"),
        (["describe", "tiny-unet", "--set", "rope"], 'PATH=VALUE, got "rope"'),
        (["describe", "tiny-unet", "--set", "attention=mhq"], "'mqa' or 'mha'"),
        (["describe", "tiny-unet", "--latent-size", "15"], "cannot be halved"),
        (["describe", "tiny-unet", "--latent-size", "1.5"], "from 1 to 512"),
        (["describe", "tiny-unet", "--text-tokens", "0"], "from 1 to 8192"),
        (["describe"], "preset"),
    ],
)
def test_an_error_is_one_line(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
