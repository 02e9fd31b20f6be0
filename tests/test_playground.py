"""The playground: settings, session, script and server."""

import contextlib
import io
import json
import re
import socket
import subprocess
import sys

import numpy as np
import pytest

from fastnn import cli
from fastnn.playground import data
from fastnn.playground.session import Session
from fastnn.playground.settings import Settings, make_settings
from fastnn.tracing.trace import trace

PORT = 8000
TABLE = "a,b,target\n" + "\n".join(f"{i},{i * i % 17},{i % 3}" for i in range(60))


def run_script(session):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(session.write_script(), {})
    return out.getvalue()


def assert_script_repeats(session):
    numbers = session.measure()
    out = run_script(session)
    assert f"training loss {numbers['loss']!r}\n" in out
    assert f"'loss': {numbers['test_loss']!r}" in out


# ---- settings and data ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"data": "moons"}, {"noise": 2}, {"noise": float("nan")}, {"noise": True},
        {"batch_size": 0}, {"batch_size": 1.5}, {"features": []}, {"features": ["x", "x"]},
        {"features": "x"}, {"units": [8]}, {"units": [17, 8]}, {"activations": ["tanh", "softmax"]},
        {"units": [1] * 7, "activations": ["relu"] * 7}, {"learning_rate": 0}, {"seed": -1},
        {"data": "csv"}, {"csv": 3}, {"unknown": 1}, {"features": [["x"]]}, {"optimizer": []},
    ],
)  # fmt: skip
def test_invalid_settings(values):
    with pytest.raises(ValueError, match="expected"):
        make_settings(values)


@pytest.mark.parametrize("name", data.DATA_SETS)
def test_data_sets(name):
    points, target = data.make_data(name, 0.1, seed=3)
    assert points.shape == (data.N_ROWS, 2)
    assert data.is_classification(target) == (name in data.CLASSIFICATION)
    assert np.abs(points).max() < 10
    np.testing.assert_array_equal(points, data.make_data(name, 0.1, seed=3)[0])


def write_table(n, target):
    return "".join(f"{i},{i % 7},{target}\n" for i in range(n))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "10 to 5,000 rows; got 0"),
        (write_table(9, 1), "10 to 5,000 rows; got 9"),
        (write_table(5001, 1), "10 to 5,000 rows; got 5001"),
        (write_table(20, "nan"), r"three numbers in each row; got \['0', '0', 'nan'\] in row 0"),
        (write_table(20, "inf"), "three numbers"),
        (write_table(20, "1e300"), "three numbers"),
        (write_table(20, "x"), "three numbers"),
        (write_table(20, "1,2"), "three numbers"),
        ("1,2,3\n" * 20, "features that vary"),
        ("x" * 300_000, "at most 200,000 bytes"),
    ],
)
def test_invalid_tables(text, message):
    with pytest.raises(ValueError, match="csv: expected .*" + message):
        data.read_csv(text)


# ---- session and script --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {}, {"data": "hills", "optimizer": "momentum", "l1": 0.001, "l2": 0.01},
        {"units": [], "activations": [], "data": "gaussians", "optimizer": "sgd"},
        {"dropout": 0.2, "schedule": "one_cycle", "schedule_epochs": 9, "noise": 0.1, "seed": 5},
        {"schedule": "cosine", "features": ["x2", "sin_y"], "batch_size": 5000},
    ],
)  # fmt: skip
def test_script_repeats_the_run(values):
    session = Session(make_settings(values))
    session.train(3)
    session.step()
    session.train()
    session.edit(0, 1, 0, 0.25)
    session.edit(0, -1, 0, -0.5)
    session.run(0.02)
    session.step()
    assert_script_repeats(session)
    assert ("fn.Dropout(rate=0.2)" in session.write_script()) == ("dropout" in values)


def test_script_reads_a_table(tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    session = Session(Settings(data="csv", csv=TABLE))
    session.train(4)
    assert_script_repeats(session)


def test_spiral_is_learned():
    session = Session(Settings())
    session.train(500)
    assert session.measure()["value"] > 0.95


def test_steps_cover_the_training_rows_in_order():
    session = Session(Settings(batch_size=200))
    rows = []
    for _ in range(3):
        rows.append(session.next_row)
        session.step()
    assert rows == [0, 200, 0]
    assert session.n_steps == 3


def test_reset_restores_the_initial_weights():
    session = Session(Settings())
    before = session.measure()
    session.train(5)
    session.reset()
    assert session.measure() == before
    assert session.actions == []


@pytest.mark.parametrize(
    "place", [(0, 2, 0, 1.0), (3, 0, 0, 1.0), (0, 0, -1, 1.0), (0, 0, 0, float("nan")),
              (0, 0, 0, 1e9), (0, 0, 0, "1"), (True, 0, 0, 1.0), (None, 0, 0, 1.0)],
)  # fmt: skip
def test_invalid_edits_change_nothing(place):
    session = Session(Settings())
    before = session.measure()
    with pytest.raises(ValueError, match="weight: expected"):
        session.edit(*place)
    assert session.measure() == before
    assert session.actions == []


def test_pictures_show_the_predictions():
    session = Session(Settings())
    session.train(20)
    pixels = np.frombuffer(session.draw(), np.uint8).reshape(-1, 1600)
    assert len(pixels) == 2 + 8 + 8 + 1
    expected = session.net.predict(session.grid.astype("float32"))[:, 0] * 254
    assert np.abs(pixels[-1] - expected).max() <= 1.01


def test_gradient_norms_and_walk():
    session = Session(Settings(units=[4] * 6, activations=["sigmoid"] * 6, batch_size=500))
    norms = session.gradient_norms()
    assert norms[0] < norms[-1] / 10  # vanishing gradients
    rows = trace(session.net, session.X_train, session.y_train, as_dict=True)["layers"][0]
    expected = np.hypot(np.linalg.norm(rows["dL/dW"]), np.linalg.norm(rows["dL/db"]))
    assert norms[0] == pytest.approx(expected, rel=1e-3)


def test_walk_has_the_rows_of_the_next_step():
    session = Session(Settings(batch_size=4))
    session.step()
    walked = session.walk()
    assert walked["title"] == "Training rows 4 to 7"
    numbers = [float(word) for word in re.findall(r"(?<=\s)-?\d[\d.e-]*(?=\s)", walked["text"])]
    _, gradients = session.net.loss_and_gradients(session.X_train[4:8], session.y_train[4:8])
    for value in [*session.X_train[4:8].ravel(), *gradients["weights"][1].ravel()]:
        assert np.isclose(numbers, value, rtol=1e-3).any()


def test_walk_is_limited():
    walked = Session(Settings(batch_size=300, units=[16] * 6, activations=["relu"] * 6)).walk()
    assert walked["title"] == "Training rows 0 to 9, the first 10 of the next batch"
    assert len(walked["text"]) < 100_000


def test_repeat_has_the_run_of_the_session():
    session = Session(Settings())
    session.train(20)
    result = session.repeat(3)
    assert result["values"][0] == session.measure()["value"]
    assert result["epochs"] == 20


@pytest.mark.process
def test_import_of_fastnn_loads_no_playground():
    code = "import sys, fastnn; print([m for m in sys.modules if 'playground' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---- command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "websockets"])
def test_command_names_the_missing_extra(name, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "fastnn.playground.server", raising=False)
    assert cli.main(["playground"]) == 1
    assert "pip install '.[playground]'" in capsys.readouterr().err


def test_port_in_use(capsys):
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
    pytest.importorskip("websockets")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["playground", "--no-browser", "--port", str(port)]) == 1
    assert f"cannot listen on port {port}" in capsys.readouterr().err


# ---- server --------------------------------------------------------------------------------------


@pytest.fixture
def client():
    pytest.importorskip("uvicorn")
    pytest.importorskip("httpx")
    testclient = pytest.importorskip("starlette.testclient")
    from fastnn.playground.server import make_app

    return testclient.TestClient(make_app("secret", PORT), base_url=f"http://127.0.0.1:{PORT}")


def connect(client, token="secret", origin=f"http://127.0.0.1:{PORT}", host=f"127.0.0.1:{PORT}"):
    headers = {"origin": origin, "host": host}
    return client.websocket_connect(f"/session?token={token}", headers=headers)


def ask(socket, kind, expected, **values):
    """Send a message; return the value of the first text message of the expected type."""
    socket.send_text(json.dumps({"type": kind, **values}))
    while True:
        message = socket.receive()
        if "text" in message and (answer := json.loads(message["text"]))["type"] == expected:
            return answer["value"]


def read_frame(socket):
    while True:
        message = socket.receive()
        if "bytes" in message:
            content = message["bytes"]
            length = int.from_bytes(content[:4], "little")
            return json.loads(content[4 : 4 + length])


def test_page_needs_the_token(client):
    assert client.get("/?token=secret").status_code == 200
    assert client.get("/").status_code == 403
    assert client.get("/?token=wrong").status_code == 403


def test_other_hosts_are_refused(client):
    answer = client.get("/?token=secret", headers={"host": "example.org"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [{"token": "wrong"}, {"origin": "http://example.org"}, {"origin": "http://127.0.0.1:1"},
     {"host": "example.org"}],
)  # fmt: skip
def test_session_needs_token_origin_and_host(client, wrong):
    with pytest.raises(Exception), connect(client, **wrong) as socket:  # noqa: B017, PT011
        socket.receive_text()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"type": "other"}', '{"type": []}', "[" * 100_000,
        '{"type": "epoch"}' + " " * 500_000, '{"type": "weight", "layer": 99}',
        '{"type": "configure", "settings": 3}', '{"type": "configure", "settings": {"noise": 7}}',
        '{"type": "configure", "settings": {"csv": "' + "1" * 300_000 + '", "data": "csv"}}',
    ],
)  # fmt: skip
def test_bad_messages_change_nothing(client, text):
    with connect(client) as session:
        ask(session, "configure", "data", settings={"data": "xor"})
        before = read_frame(session)["weights"]
        session.send_text(text)
        assert json.loads(session.receive_text())["type"] == "error"
        edit = {"type": "weight", "layer": 0, "i": 0, "j": 0, "value": before[0][0][0]}
        session.send_text(json.dumps(edit))
        assert read_frame(session)["weights"] == before


def test_session_trains_and_edits(client):
    with connect(client) as socket:
        ask(socket, "configure", "data", settings={"data": "xor"})
        assert read_frame(socket)["epochs"] == 0
        socket.send_text('{"type": "epoch"}')
        assert read_frame(socket)["epochs"] == 1
        socket.send_text('{"type": "weight", "layer": 0, "i": 0, "j": 1, "value": 0.5}')
        assert read_frame(socket)["weights"][0][0][1] == 0.5
        assert "net.weights[0][0, 1] = 0.5" in ask(socket, "script", "script")
        ask(socket, "run", "running", running=True)
        assert read_frame(socket)["epochs"] > 1


def test_number_of_pages_is_limited(client):
    from starlette.websockets import WebSocketDisconnect

    from fastnn.playground.server import MAX_SESSIONS

    with contextlib.ExitStack() as stack:
        for _ in range(MAX_SESSIONS):
            first = stack.enter_context(connect(client))
        with pytest.raises(WebSocketDisconnect), connect(client):
            pass
        first.close()
        ask(stack.enter_context(connect(client)), "configure", "data", settings={})


def test_page_describes_what_can_be_chosen(client):
    with connect(client) as session:
        known = json.loads(session.receive_text())["value"]
        for name, choices in known["choices"].items():
            for choice in set(choices) - {"csv"}:
                sent = {**known["defaults"], name: choice}
                assert ask(session, "configure", "data", settings=sent)["n_train"] == 350
