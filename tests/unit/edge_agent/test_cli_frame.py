"""The frame inspector as a program: JSON lines in, JSON lines out, and one frame for a person."""

import json
import subprocess
from pathlib import Path

import pytest

from edge_agent.inspector import inspect_frame
from tests.rig.process import BIN

OWN = json.loads((Path(__file__).parents[2] / "vectors" / "lorawan.json").read_text())
OTHERS = Path(__file__).parents[4] / "shared" / "vectors" / "lorawan.json"

pytestmark = pytest.mark.slow


def run(*arguments, stdin=""):
    return subprocess.run(
        [BIN / "edge-agent", "frame", *arguments], input=stdin, capture_output=True, text=True, check=False
    )


def frames():
    """Requests out of every vector that is a whole frame: our own, and others' where they are at hand."""
    vectors = [{"id": vector["id"], **vector["request"]} for vector in OWN["vectors"]]
    if OTHERS.exists():
        vectors += [v for v in json.loads(OTHERS.read_text())["vectors"] if "keys" in v]
    names = ("id", "hex", "lorawan", "keys", "f_cnt_msb", "context")
    return [{n: v[n] for n in names if n in v} for v in vectors if "hex" in v]


def test_lines_answer_as_the_functions_do():
    requests = frames()
    assert len(requests) > 50
    done = run("--lines", stdin="".join(json.dumps(request) + "\n" for request in requests))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers == [json.loads(json.dumps(inspect_frame(request))) for request in requests]
    assert sum(answer.get("mic_ok") is True for answer in answers) > 30


def test_a_line_that_is_no_request_is_answered_and_the_next_one_too():
    good = json.dumps(frames()[0])
    done = run("--lines", stdin=f"{{\n[]\n{good}\n")
    first, second, third = (json.loads(line) for line in done.stdout.splitlines())
    assert "error" in first
    assert "error" in second
    assert "error" not in third


def test_keys_come_from_a_file_and_never_show(tmp_path):
    request = next(r for r in frames() if inspect_frame(r).get("mic_ok") and r.get("lorawan") == "1.0")
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{name}={value}\n" for name, value in request["keys"].items()))
    done = run(request["hex"], "--keys", keys, "--f-cnt-msb", str(request.get("f_cnt_msb", 0)))
    assert "MIC fits       yes" in done.stdout
    assert not any(value in done.stdout + done.stderr for value in request["keys"].values())


@pytest.mark.parametrize("arguments", [("!!",), (), ("00", "--lines"), ("00", "--keys", "/nowhere")])
def test_nonsense_is_a_usage_error(arguments):
    done = run(*arguments)
    assert done.returncode == 64, done.stdout
    assert "Traceback" not in done.stderr
