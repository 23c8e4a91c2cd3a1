"""Downloading, from a hub of our own that cuts, lies, refuses and is not there."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import huggingface_hub.constants
import pytest
from filelock import FileLock

from audiox_core.hub import download as module
from audiox_core.hub.download import fetch, plan
from audiox_core.hub.models import HubError

ROOT = Path(__file__).parents[3]
REPO = "HKUSTAudio/AudioX"
MODEL = bytes(range(256)) * 4096  # 1 MiB
CONFIG = b'{"sample_rate": 44100}'


@pytest.fixture
def hub(hub_module):
    hub = hub_module.Hub()
    hub.files[f"{REPO}/model.ckpt"] = hub_module.Served(MODEL)
    hub.files[f"{REPO}/config.json"] = hub_module.Served(CONFIG, git=True)
    yield hub
    hub.close()


@pytest.fixture
def served(hub):
    """The large file, to misbehave with."""
    return hub.files[f"{REPO}/model.ckpt"]


@pytest.fixture
def get(hub, tmp_path, monkeypatch):
    """Fetch `audiox` from our hub; returns the folder of the model."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "PAUSE", 0.01)

    def run(names=("audiox",), folder=tmp_path / "models"):
        fetch(names, folder, endpoint=hub.url)
        return folder / "audiox" / "audiox"

    return run


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_the_files_of_the_model_are_in_its_folder(get):
    folder = get()
    assert (folder / "model.ckpt").read_bytes() == MODEL
    assert (folder / "config.json").read_bytes() == CONFIG
    assert left(folder) == ["config.json", "model.ckpt"]


def test_complete_files_are_not_downloaded_again(hub, get):
    get()
    hub.requests.clear()
    get()
    assert hub.gets("model.ckpt") == []


def test_a_lost_connection_is_resumed(hub, served, get):
    served.cuts = [300_000, 300_000]
    assert (get() / "model.ckpt").read_bytes() == MODEL
    starts = [start for start, _ in hub.gets("model.ckpt")]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert len(starts) == 3


def test_the_next_run_continues_an_interrupted_download(hub, served, get, tmp_path):
    served.cuts = [300_000, *[0] * 20]
    with pytest.raises(HubError, match=r"could not be downloaded.*continues the download"):
        get()
    (part,) = (tmp_path / "models/audiox/audiox").glob(".model.ckpt.*.part")
    have = part.stat().st_size
    assert have >= 1 << 18
    served.cuts.clear()
    hub.requests.clear()
    assert (get() / "model.ckpt").read_bytes() == MODEL
    assert hub.gets("model.ckpt") == [[have, len(MODEL) - have]]


def test_a_server_that_cannot_resume_sends_the_whole_file(hub, served, get):
    served.cuts, served.ranges = [300_000], False
    assert (get() / "model.ckpt").read_bytes() == MODEL
    assert [start for start, _ in hub.gets("model.ckpt")] == [0, 0]


def test_a_partial_download_of_another_version_is_deleted(hub, served, get, hub_module):
    served.cuts = [300_000, *[0] * 20]
    with pytest.raises(HubError):
        get()
    hub.files[f"{REPO}/model.ckpt"] = hub_module.Served(MODEL[::-1])
    folder = get()
    assert (folder / "model.ckpt").read_bytes() == MODEL[::-1]
    assert left(folder) == ["config.json", "model.ckpt"]


def test_a_damaged_partial_download_starts_again(hub, get, tmp_path):
    folder = tmp_path / "models" / "audiox" / "audiox"
    folder.mkdir(parents=True)
    plan(["audiox"], tmp_path / "models", endpoint=hub.url)[0].part.write_bytes(b"x" * 1000)
    assert (get() / "model.ckpt").read_bytes() == MODEL


def test_a_file_with_a_wrong_hash_is_deleted(served, get, tmp_path):
    served.sha = "0" * 64
    with pytest.raises(HubError, match=r"has the hash .*the hub says 0000.*in a browser"):
        get()
    assert left(tmp_path / "models" / "audiox" / "audiox") == []


@pytest.mark.parametrize("size", [len(MODEL) + 10, len(MODEL) - 10])
def test_a_file_of_a_wrong_size_is_reported_and_never_gets_its_final_name(
    served, get, tmp_path, size
):
    served.size = size
    with pytest.raises(HubError, match=r"model\.ckpt"):
        get()
    assert not (tmp_path / "models" / "audiox" / "audiox" / "model.ckpt").exists()
    served.size = None
    assert (get() / "model.ckpt").read_bytes() == MODEL


def test_a_wrong_file_is_only_replaced_by_a_complete_download(served, get):
    folder = get()
    wrong = MODEL[:-1] + b"?"
    (folder / "model.ckpt").write_bytes(wrong)
    served.cuts = [0] * 20
    with pytest.raises(HubError):
        get()
    assert (folder / "model.ckpt").read_bytes() == wrong
    served.cuts.clear()
    get()
    assert (folder / "model.ckpt").read_bytes() == MODEL


@pytest.mark.parametrize("change", [str.upper, "W/{}".format, '"{}"'.format, 'W/"{}"'.format])
def test_a_hash_is_recognised_however_the_etag_is_written(hub, served, get, tmp_path, change):
    served.header = change(served.etag)
    folder = get()
    assert [job.hash for job in fetch(["audiox"], folder.parents[1], endpoint=hub.url)] == [
        served.etag,
        hub.files[f"{REPO}/config.json"].etag,
    ]
    served.header = change("0" * 64)  # other contents of the same length
    with pytest.raises(HubError, match="has the hash"):
        get()


@pytest.mark.parametrize(
    "header", ["", '"ab/../c"', 'W/"5e-1/a\\b"', "''\"/x/y", '"%s"' % ("z" * 500)]
)
def test_a_file_without_a_hash_is_downloaded_and_never_called_verified(
    hub, served, get, tmp_path, header
):
    served.header, served.cuts = header, [300_000]
    folder = get()
    assert (folder / "model.ckpt").read_bytes() == MODEL
    assert left(folder) == ["config.json", "model.ckpt"]
    model, config = fetch(["audiox"], tmp_path / "models", endpoint=hub.url)
    assert (model.done, model.hash) == (True, None)
    assert config.hash


@pytest.mark.parametrize(
    "address",
    [
        "",
        "huggingface.co",
        "ftp://x.org",
        "http://",
        "https://a b",
        "http://[::1",
        "http://x:99999",
    ],
)
def test_an_address_of_the_hub_without_sense_is_one_line(tmp_path, monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(HubError, match=r"is not a web address: set HF_ENDPOINT"):
        plan(["audiox"], tmp_path)


def test_a_server_that_is_not_a_hub_is_reported(hub, hub_module, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "COMMIT", "")
    with pytest.raises(HubError, match="is not a Hugging Face hub"):
        plan(["audiox"], tmp_path, endpoint=hub.url)


def test_an_optional_file_may_be_missing(hub, get):
    del hub.files[f"{REPO}/config.json"]
    assert left(get()) == ["model.ckpt"]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, r"There is no model\.ckpt at https://huggingface\.co/HKUSTAudio/AudioX"),
        (401, r"hf auth login.*download model\.ckpt of .*into .*audiox as model\.ckpt"),
        (403, r"accept its terms.*hf auth login"),
        (500, r"the hub answered 500.*in a browser"),
    ],
)
def test_each_refusal_of_the_hub_is_one_line_with_a_manual_remedy(served, get, status, message):
    served.status = status
    with pytest.raises(HubError, match=message) as caught:
        get()
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_is_reported(hub, get):
    hub.close()
    with pytest.raises(HubError, match=r"Check the connection.*in a browser"):
        get()


def test_existing_files_are_accepted_without_the_hub(hub, get):
    folder = get()
    hub.close()
    assert get() == folder


def test_the_cache_of_huggingface_hub_is_used(hub, served, get, tmp_path):
    blobs = tmp_path / "cache" / f"models--{REPO.replace('/', '--')}"
    snapshot = blobs / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.ckpt").write_bytes(MODEL)
    assert (get() / "model.ckpt").read_bytes() == MODEL
    assert hub.gets("model.ckpt") == []


def test_too_little_disk_space_is_reported_before_the_first_byte(hub, get, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(HubError, match=r"needs 0\.00 GB more.*choose another folder with --dir"):
        get()
    assert hub.gets("model.ckpt") == []


@pytest.fixture
def naps(monkeypatch):
    """How long a busy server was waited for."""
    naps = []
    monkeypatch.setattr(module.transfer, "sleep", naps.append)
    return naps


def test_a_busy_server_is_asked_again_when_it_says(served, get, naps):
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=40))
    served.busy = ["7", later, "soon"]
    assert (get() / "model.ckpt").read_bytes() == MODEL
    assert naps[0] == 7
    assert 30 < naps[1] <= 40
    assert naps[2:] == [module.transfer.WAIT]


@pytest.mark.parametrize(("header", "minutes"), [("600", 10), ("9" * 400, 1440)])
def test_a_server_that_is_busy_for_long_is_not_waited_for(served, get, naps, header, minutes):
    served.busy = [header] * 9
    with pytest.raises(HubError, match=rf"is busy .*429.* again in {minutes} min"):
        get()
    assert naps == []


def test_a_server_that_stays_busy_is_given_up(served, get, naps):
    served.busy = ["1"] * 99
    with pytest.raises(HubError, match=r"is busy .* again in 1 min"):
        get()
    assert naps == [1.0] * module.transfer.WAITS


def test_a_server_that_sends_single_bytes_is_given_up_and_the_next_run_continues(
    hub, served, get, tmp_path, monkeypatch
):
    monkeypatch.setattr(module.transfer, "WINDOW", 1.0)
    served.cuts = [300_000, *[0] * 9]
    with pytest.raises(HubError):
        get()
    served.cuts, served.trickle = [], 0.05
    with pytest.raises(
        HubError, match=r"too slowly \(\d\d bytes a second\).*continues the download"
    ):
        get()
    (part,) = (tmp_path / "models/audiox/audiox").glob(".model.ckpt.*.part")
    assert part.read_bytes() == MODEL[: part.stat().st_size]
    assert part.stat().st_size > 300_000
    have, served.trickle = part.stat().st_size, 0
    hub.requests.clear()
    assert (get() / "model.ckpt").read_bytes() == MODEL
    assert hub.gets("model.ckpt") == [[have, len(MODEL) - have]]


def test_a_server_that_answers_in_single_bytes_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module.transfer, "WINDOW", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 500:
                    connection.send(bytes([byte]))
                    time.sleep(0.05)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(HubError, match=r"could not be downloaded \(no answer within"):
            plan(["audiox"], tmp_path, endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")


@pytest.fixture
def tiny_disk(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (no rights)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_partial_download(get, tiny_disk, monkeypatch):
    monkeypatch.setattr(module, "_check_room", lambda jobs: None)
    with pytest.raises(HubError, match=r"The disk is full.*continues the download"):
        get(folder=tiny_disk)
    folder = tiny_disk / "audiox" / "audiox"
    assert not (folder / "model.ckpt").exists()
    assert [path.suffix for path in folder.iterdir()] == [".part"]


def test_a_folder_without_write_permission_is_named(get, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HubError, match=r"cannot be written.*--dir"):
        get(folder=tmp_path / "file")


def test_two_processes_do_not_write_the_same_file(hub, served, get, tmp_path):
    folder = tmp_path / "models" / "audiox" / "audiox"
    folder.mkdir(parents=True)
    with (
        FileLock(folder / ".model.ckpt.lock"),
        pytest.raises(HubError, match="Another process"),
    ):
        get()


def test_unknown_models_are_refused(tmp_path):
    with pytest.raises(HubError, match=r"Unknown model 'audio-x'.*audiox-maf-mmdit"):
        plan(["audio-x"], tmp_path, ask=False)


def test_a_file_is_stored_without_the_folders_of_its_repository(tmp_path):
    jobs = plan(["audiox-turbo"], tmp_path, ask=False)
    assert tmp_path / "audiox/audiox-turbo/vae.ckpt" in [job.target for job in jobs]


def test_a_plan_has_the_sizes_and_downloads_nothing(hub, tmp_path):
    jobs = plan(["audiox"], tmp_path, endpoint=hub.url)
    assert [(job.file.name, job.size) for job in jobs] == [
        ("model.ckpt", len(MODEL)),
        ("config.json", len(CONFIG)),
    ]
    assert not list(tmp_path.iterdir())
    assert [job.size for job in plan(["audiox"], tmp_path, ask=False)] == [None, None]


def command(hub, *arguments, **environment):
    """`fetch` as a program of its own."""
    variables = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "audiox_core", "fetch", "audiox", *map(str, arguments)],
        cwd=ROOT, env=os.environ | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_process_leaves_no_file_and_the_next_one_continues(hub, hub_module, tmp_path):
    data = MODEL * 32
    served = hub_module.Served(data, delay=0.002)
    hub.files[f"{REPO}/model.ckpt"] = served
    folder = tmp_path / "audiox" / "audiox"

    def parts():
        return [p for p in folder.glob(".model.ckpt.*.part") if p.stat().st_size >= 10 << 20]

    run = command(hub, "--dir", tmp_path, HF_HOME=str(tmp_path / "home"))
    wait_for(parts)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not (folder / "model.ckpt").exists()
    (part,) = parts()
    have = part.stat().st_size
    served.delay = 0
    hub.requests.clear()
    run = command(hub, "--dir", tmp_path, HF_HOME=str(tmp_path / "home"))
    _, err = run.communicate()
    assert run.returncode == 0, err
    assert (folder / "model.ckpt").read_bytes() == data
    assert hub.gets("model.ckpt") == [[have, len(data) - have]]
    assert "CC-BY-NC-4.0" in err
    assert left(folder) == ["config.json", "model.ckpt"]


def test_offline_mode_is_respected_and_a_manual_remedy_is_given(hub, tmp_path):
    run = command(hub, "--dir", tmp_path, HF_HUB_OFFLINE="1")
    _, err = run.communicate()
    assert run.returncode == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error")]
    assert "HF_HUB_OFFLINE is set" in line
    assert "https://huggingface.co/HKUSTAudio/AudioX" in line
    assert hub.requests == []
    assert not list(tmp_path.iterdir())
