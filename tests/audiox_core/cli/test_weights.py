"""`fetch`, `inspect` and `convert` as commands: exit codes, one line of error, JSON."""

import json

import pytest

from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.hub.models import MODELS, OPTIONAL


def test_convert_reports_variant_size_and_vae_copies(run, tmp_path):
    code, out, _ = run("convert", EMBEDDED, "-o", "a.safetensors", "--dtype", "float16", "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary["output"] == "a.safetensors"
    assert (tmp_path / "a.safetensors").stat().st_size > summary["bytes"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "nowhere.ckpt"),
        ("convert", "nowhere.ckpt", "-o", "a.safetensors"),
        ("convert", EMBEDDED, "-o", "a.ckpt"),
        ("fetch", "audio-x"),
    ],
)
def test_each_error_is_one_line_and_leaves_no_file(run, tmp_path, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert [line.startswith("error: ") for line in err] == [False] * (len(err) - 1) + [True]
    assert not list(tmp_path.iterdir())


def test_convert_keeps_an_existing_file_without_force(run, tmp_path):
    (tmp_path / "a.safetensors").write_text("mine")
    code, _, err = run("convert", EMBEDDED, "-o", "a.safetensors")
    assert code == 2
    assert err == ["error: a.safetensors already exists: add --force to overwrite it, or choose "
                   "another --output."]  # fmt: skip
    assert run("convert", EMBEDDED, "-o", "a.safetensors", "--force")[0] == 0
    assert (tmp_path / "a.safetensors").stat().st_size > 1_000_000


@pytest.fixture
def hub(hub_module, monkeypatch):
    hub = hub_module.Hub()
    for name in ("model.safetensors", "tokenizer.json"):
        hub.files[f"google-t5/t5-base/{name}"] = hub_module.Served(b"x" * 2000)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        hub.url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield hub
    hub.close()


def test_a_dry_run_prints_sizes_and_downloads_nothing(run, hub, tmp_path):
    code, out, _ = run("fetch", "t5-base", "--dry-run")
    assert code == 0
    assert "models/text_encoders/t5-base/model.safetensors (2.00 kB, to download)" in out
    assert not list(tmp_path.iterdir())


def test_a_dry_run_works_without_the_hub(run, hub):
    hub.close()
    code, out, _ = run("fetch", "audiox", "t5-base", "--dry-run")
    assert code == 0
    assert "HKUSTAudio/AudioX model.ckpt -> models/audiox/audiox/model.ckpt (size unknown" in out
    assert out.count("CC-BY-NC-4.0") == 1


def test_fetch_prints_the_verified_files(run, hub, tmp_path):
    code, out, err = run("fetch", "t5-base", "--dir", "w")
    assert code == 0, err
    assert "verified: w/text_encoders/t5-base/tokenizer.json" in out
    assert (tmp_path / "w/text_encoders/t5-base/tokenizer.json").read_bytes() == b"x" * 2000


SYNC = "synchformer_state_dict.pth"
TURBO = {"pretransform/vae.ckpt": "vae.ckpt", f"synchformer/{SYNC}": SYNC}
# model -> repository, folder below models/, path in the repository -> name in the folder
RELEASES = {
    "audiox": ("HKUSTAudio/AudioX", "audiox/audiox", {"model.ckpt": "model.ckpt"}),
    "audiox-maf": (
        "HKUSTAudio/AudioX-MAF", "audiox/audiox-maf", {"model.ckpt": "model.ckpt", SYNC: SYNC},
    ),
    "audiox-maf-mmdit": (
        "HKUSTAudio/AudioX-MAF-MMDiT", "audiox/audiox-maf-mmdit",
        {"model.ckpt": "model.ckpt", "VAE.ckpt": "VAE.ckpt", SYNC: SYNC},
    ),
    "audiox-base": (
        "HKUSTAudio/AudioX-Turbo", "audiox/audiox-base",
        {"pretrained_ckpt/pretrained_ckpt.ckpt": "pretrained_ckpt.ckpt", **TURBO},
    ),
    "audiox-turbo": (
        "HKUSTAudio/AudioX-Turbo", "audiox/audiox-turbo",
        {"audiox_turbo/audiox_turbo.ckpt": "audiox_turbo.ckpt", **TURBO},
    ),
    "synchformer": ("HKUSTAudio/AudioX-MAF", "audiox", {SYNC: SYNC}),
    "t5-base": (
        "google-t5/t5-base", "text_encoders/t5-base",
        {"model.safetensors": "model.safetensors", "tokenizer.json": "tokenizer.json"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_a_dry_run_knows_every_file_of_a_release(run, hub, hub_module, model):
    repo, folder, files = RELEASES[model]
    config = {"config.json": "config.json"} if model.startswith("audiox") else {}
    for size, path in enumerate(files | config, start=1):
        hub.files[f"{repo}/{path}"] = hub_module.Served(b"x" * (1000 * size))
    code, out, _ = run("fetch", model, "--dry-run")
    expected = [
        f"{repo} {path} -> models/{folder}/{name} ({size}.00 kB, to download)"
        for size, (path, name) in enumerate((files | config).items(), start=1)
    ]
    assert code == 0
    assert out.splitlines()[: len(expected)] == expected
    assert ("CC-BY-NC-4.0" in out) == (model != "t5-base")


@pytest.mark.parametrize("model", [name for name, m in MODELS.items() if m.needs])
def test_a_downloaded_release_is_found_complete(run, hub, hub_module, toys, tmp_path, model):
    """A release at toy size through our hub: whole by `inspect`, but for the text encoder."""
    release = toys.MODELS[model]
    path = toys.release(model, tmp_path / "made")
    for file in release.files:
        if file.name != OPTIONAL:
            data = path.with_name(file.name).read_bytes()
            hub.files[f"{release.repo}/{file}"] = hub_module.Served(data)
    code, out, err = run("fetch", model, "--dir", "w")
    assert code == 0, err
    assert "Still needed: python -m audiox_core fetch t5-base --dir w" in out
    _, out, _ = run("inspect", f"w/{release.folder}/{release.files[0].name}", "--json")
    report = json.loads(out)
    missing = [name for name, at in report["auxiliary_files"].items() if at.startswith("MISSING")]
    assert (report["variant"], report["complete"]) == (model, True)
    assert missing == ["T5-base text encoder"]


def test_a_release_may_be_fetched_by_its_short_name(run, hub):
    hub.close()
    code, out, _ = run("fetch", "turbo", "t5", "--dry-run")
    assert code == 0
    assert "models/audiox/audiox-turbo/audiox_turbo.ckpt" in out
    assert "models/text_encoders/t5-base/model.safetensors" in out


def test_a_misspelt_name_is_answered_with_the_nearest(run):
    code, _, err = run("fetch", "turbbo")
    assert code == 2
    assert "did you mean turbo?" in err[-1]


def test_inspect_and_convert_take_the_name_of_a_downloaded_model(run, toys, tmp_path):
    toys.release("audiox-turbo", tmp_path / "models")
    code, out, _ = run("inspect", "turbo", "--json")
    assert (code, json.loads(out)["variant"]) == (0, "audiox-turbo")
    code, _, err = run("inspect", "base")
    assert code == 2
    assert "audiox_base.ckpt (10.8 GB) is not in models/audiox" in err[-1]
    assert err[-1].endswith("or run `python -m audiox_core fetch base`.")
