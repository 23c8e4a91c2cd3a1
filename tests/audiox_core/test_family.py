"""Each model of the family from the files of its release: inspected, converted, generated with.

And the errors of files that are missing, damaged, foreign, or opened with a wrong `--variant`.
"""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.inspect import inspect
from audiox_core.checkpoint.layout import AUDIO_VAE, VAE
from audiox_core.cli import main
from audiox_core.media.audio import read_audio
from audiox_core.variants import AMBIGUOUS_VARIANTS, VARIANTS

QUICK = ["--steps", "1", "--seed", "0", "--seconds", "0.5"]
ALL = pytest.mark.parametrize("variant", VARIANTS)
# the two VAEs of a model that encodes sound prompts with one of its own
COPIES = dict.fromkeys(VARIANTS, "two, equal bit for bit") | {"audiox-maf": "one"}


@pytest.fixture(scope="session")
def releases(toys, tmp_path_factory):
    """The folder of a release at toy size, made once a variant: never written into."""
    made = {}

    def folder(variant):
        if variant not in made:
            made[variant] = tmp_path_factory.mktemp(variant)
            toys.release(variant, made[variant] / "models")
        return made[variant]

    return folder


@pytest.fixture
def released(releases, toys, tmp_path, monkeypatch):
    """Lay out a release in an empty folder, and go there; the path of the model's own file."""
    monkeypatch.chdir(tmp_path)

    def lay_out(variant):
        shutil.copytree(releases(variant) / "models", "models")
        release = toys.MODELS[variant]
        return tmp_path / "models" / release.folder / release.files[0].name

    return lay_out


@pytest.fixture
def run(capsys):
    """Run a command: exit code, stdout, and the lines of stderr that are no log."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, [li for li in err.splitlines() if li.startswith("error: ")]

    return call


@pytest.fixture
def refused(run, tmp_path):
    """Generate from a prompt, or as said, in vain; the one line that says why."""

    def call(checkpoint, *arguments):
        given = arguments or ("--prompt", "rain")
        code, out, lines = run(
            "generate", *QUICK, "--checkpoint", checkpoint, *given, "-o", "a.wav"
        )
        assert (code, out, len(lines)) == (2, "", 1)
        assert not (tmp_path / "a.wav").exists()
        return lines[0]

    return call


@pytest.fixture
def prompts(tmp_path):
    """A clip and a sound as prompts: the options that give them."""
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for index in range(6):
            picture = np.full((32, 32, 3), 40 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=44_100, layout="mono")
        sound = (8000 * np.sin(np.arange(44_100) / 9)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(sound, "s16", "mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return {
        "text": ("--prompt", "rain"),
        "video": ("--video", tmp_path / "clip.mkv"),
        "audio": ("--audio", tmp_path / "sound.wav"),
    }


@ALL
def test_inspect_reports_the_variant_and_the_auxiliary_files_of_a_release(released, variant):
    path = released(variant)
    report = inspect(path)
    assert (report.variant, report.complete, report.vae_copies) == (variant, True, COPIES[variant])
    assert (report.missing, report.unexpected, report.misshapen) == ((), (), ())
    assert ("the file's name" in report.decided_by) == (variant in AMBIGUOUS_VARIANTS)
    assert (report.norm_betas is None) == (variant in AMBIGUOUS_VARIANTS)  # their norms store none
    assert report.norm_betas is None or report.norm_betas.endswith("are zero")
    names = {part.name for part in report.parts}
    assert ("MAF block" in names) == (variant != "audiox")
    found = report.auxiliary_files
    assert not [where for where in found.values() if where.startswith("MISSING")]
    assert found["T5-base text encoder"].endswith("models/text_encoders/t5-base/model.safetensors")
    sync = variant != "audiox" and str(path.with_name("synchformer_state_dict.pth"))
    assert found.get("Synchformer", False) == sync
    assert found["VAE"].startswith("in this file")
    assert found["VAE"].endswith("equal bit for bit") == (variant in AMBIGUOUS_VARIANTS)


@ALL
def test_a_converted_release_generates_from_every_kind_of_prompt(released, run, prompts, variant):
    path = released(variant)
    other = path.with_name("mine.safetensors")
    code, out, _ = run("convert", path, "--dtype", "float16", "--json", "-o", other)
    assert (code, json.loads(out)["variant"]) == (0, variant)
    path.unlink()
    report = inspect(other)
    assert (report.variant, report.complete, report.vae_copies) == (variant, True, "one")
    assert report.decided_by == "the file's header"
    for name, given in prompts.items():
        sound = f"{name}.wav"
        code, out, lines = run(
            "generate", *QUICK, "--checkpoint", other, *given, "-o", sound, "--json"
        )
        assert (code, lines) == (0, [])
        assert json.loads(out)["variant"] == variant
        audio = read_audio(sound)
        assert audio.shape == (2, 22_050)
        assert audio.isfinite().all()
        assert audio.abs().max() > 0


def nameless(path, name="model.ckpt"):
    """The same file where nothing tells which of three models it is; its auxiliary files stay."""
    path = path.rename(path.parents[1] / name)
    for other in path.parent.glob("*/*.pth"):
        other.rename(path.parent / other.name)
    return path


def test_the_objective_probe_decides_where_nothing_names_the_variant(released):
    path = nameless(released("audiox-maf-mmdit"))
    open_ = inspect(path)
    assert open_.variant == "audiox-maf-mmdit or audiox-base or audiox-turbo"
    assert open_.complete
    assert "--variant audiox-base or --variant audiox-maf-mmdit or" in open_.note
    asked = inspect(path, deep=True)
    assert asked.variant == "audiox-maf-mmdit"
    assert "pure noise" in asked.decided_by
    share, _, variants = asked.objective_probe.removeprefix("noise share ").partition(
        ", which matches "
    )
    assert abs(float(share)) < 0.1  # random weights answer with something else than the noise
    assert variants == "audiox-maf-mmdit"


def test_inspect_reports_a_name_that_the_objective_probe_contradicts(released):
    report = inspect(released("audiox-turbo"), deep=True)
    assert report.variant == "audiox-turbo"
    assert report.objective_probe.endswith("which does NOT match audiox-turbo")


def test_the_variant_option_decides_where_nothing_else_does(released, run):
    path = nameless(released("audiox-base"))
    code, out, _ = run("inspect", path, "--variant", "audiox-turbo")
    assert code == 0
    assert "audiox-turbo, from the tensors' shapes, the chosen variant" in out


def save(path, change):
    """Write a model's file again with other tensors; returns its path."""
    state = torch.load(path, weights_only=True)["state_dict"]
    torch.save({"state_dict": change(state)}, path)
    return path


@pytest.mark.parametrize(
    ("container", "wrapper"),
    [(None, ""), ("model", ""), ("student", ""), ("student_state_dict", "module."),
     ("state_dict", "model."), ("state_dict", "student."), ("state_dict", "student.model.")],
)  # fmt: skip
def test_turbo_is_found_in_every_known_container_and_wrapper(released, container, wrapper):
    path = released("audiox-turbo")
    state = torch.load(path, weights_only=True)["state_dict"]
    state = {wrapper + name: tensor for name, tensor in state.items()}
    torch.save({container: state} if container else state, path)
    report = inspect(path)
    assert (report.variant, report.complete) == ("audiox-turbo", True)


def without(*prefixes):
    return lambda state: {k: v for k, v in state.items() if not k.startswith(prefixes)}


def test_turbo_takes_the_vae_beside_it(released, run):
    path = save(released("audiox-turbo"), without(VAE))
    report = inspect(path)
    assert report.complete
    assert report.vae_copies == "one, in the audio conditioner"
    assert report.auxiliary_files["VAE"] == str(path.with_name("vae.ckpt"))
    given = ("--checkpoint", path, "--prompt", "rain", "-o", "a.wav")
    assert run("generate", *QUICK, *given)[0] == 0
    code, out, _ = run("convert", path, "-o", "one.safetensors", "--json")
    assert (code, json.loads(out)["vae_copies"]) == (0, "two equal, one kept")


def test_a_missing_vae_error_names_file_folder_and_command(released, refused, run):
    path = save(released("audiox-turbo"), without(VAE, AUDIO_VAE))
    path.with_name("vae.ckpt").unlink()
    line = refused(path)
    for part in (
        "audiox_turbo.ckpt contains no VAE",
        "put vae.ckpt (or VAE.ckpt) of https://huggingface.co/HKUSTAudio/AudioX-Turbo",
        f"into {path.parent}",
        f"`python -m audiox_core fetch audiox-turbo --dir {path.parents[2]}`",
        "--vae",
    ):
        assert part in line
    assert (
        inspect(path)
        .auxiliary_files["VAE"]
        .startswith(f"MISSING: python -m audiox_core fetch audiox-turbo --dir {path.parents[2]}")
    )
    code, _, lines = run("convert", path, "-o", "one.safetensors")
    assert (code, len(lines)) == (2, 1)
    assert "vae.ckpt" in lines[0]


def test_a_missing_synchformer_error_names_file_folder_and_command(released, refused, run, prompts):
    path = released("audiox-turbo")
    path.with_name("synchformer_state_dict.pth").unlink()
    get = f"python -m audiox_core fetch synchformer --dir {path.parents[2]}"
    line = refused(path, *prompts["video"])
    for part in ("synchformer_state_dict.pth", "models/audiox", f"`{get}`", "--synchformer"):
        assert part in line
    assert inspect(path).auxiliary_files["Synchformer"].startswith(f"MISSING: {get}")
    for kind in ("text", "audio"):
        given = ("--checkpoint", path, *prompts[kind], "-o", f"{kind}.wav")
        assert run("generate", *QUICK, *given)[0] == 0


@pytest.mark.parametrize("name", ["a.gguf", "a.safetensors", "a.ckpt", "a"])
def test_gguf_files_are_recognised_by_their_first_bytes(refused, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"GGUF\3\0\0\0" + bytes(100))
    line = refused(name)
    assert line.startswith(f"error: {name} is a GGUF file")
    assert "fetch NAME` (NAME is one of audiox, " in line
    assert "models/audiox" in line


@pytest.mark.parametrize(
    "name",
    [
        "model.model.transformer.layers.0.attn.qkv.lora_A.weight",
        "diffusion_model.transformer.layers.0.attn.qkv.lora_up.weight",
        "transformer.layers.0.attn.qkv.hada_w1_a",
        "transformer.layers.0.attn.qkv.lokr_w1",
    ],
)
def test_a_lora_is_refused_as_a_checkpoint(refused, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    save_file({name: torch.ones(4, 64)}, tmp_path / "mine.safetensors")
    line = refused("mine.safetensors")
    for part in ("mine.safetensors", "a LoRA", "--lora FILE", "fetch audiox`"):
        assert part in line


@pytest.mark.parametrize("name", ["audiox_turbo.ckpt", "audiox_turbo.ckpt.incomplete"])
def test_an_incomplete_download_is_refused_with_the_command_that_continues_it(
    released, refused, name
):
    path = released("audiox-turbo")
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    path.with_name(name).write_bytes(half)
    line = refused(path.with_name(name))
    assert line.startswith(f"error: {name} is damaged or incomplete")
    assert f"download it again into {path.parent}." in line
    assert f"`python -m audiox_core fetch audiox-turbo --dir {path.parents[2]}` resumes" in line


def test_a_truncated_safetensors_file_is_refused(released, refused, run):
    path = released("audiox-maf")
    run("convert", path, "-o", "half.safetensors")
    with Path("half.safetensors").open("r+b") as file:
        file.truncate(1_000_000)
    line = refused("half.safetensors")
    assert line.startswith("error: half.safetensors is damaged or incomplete")
    assert "fetch NAME` (NAME is one of audiox, " in line


def test_a_base_file_declared_as_turbo_is_refused_by_its_name(released, refused):
    path = released("audiox-base")
    line = refused(path, "--variant", "audiox-turbo", "--prompt", "rain")
    folder = path.parents[2]
    for part in (
        f"{path.name}: --variant is audiox-turbo, but the file's name says audiox-base",
        f"into {folder / 'audiox' / 'audiox-turbo'} with",
        f"`python -m audiox_core fetch audiox-turbo --dir {folder}`",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("objective", "declared", "truth"),
    [("v", "audiox-turbo", "audiox-maf-mmdit"),
     ("rectified_flow", "audiox-maf-mmdit", "audiox-base or audiox-turbo")],
)  # fmt: skip
def test_a_variant_that_config_json_contradicts_is_refused(
    released, refused, objective, declared, truth
):
    path = nameless(released("audiox-maf-mmdit"))
    settings = {"model": {"diffusion": {"diffusion_objective": objective}}}
    path.with_name("config.json").write_text(json.dumps(settings), encoding="utf-8")
    line = refused(path, "--variant", declared, "--prompt", "rain")
    assert f"--variant is {declared}, but config.json says {truth}" in line


def test_an_ambiguous_variant_error_names_the_option(released, refused, run):
    path = nameless(released("audiox-base"))
    settings = {"model": {"diffusion": {"diffusion_objective": "rectified_flow"}}}
    path.with_name("config.json").write_text(json.dumps(settings), encoding="utf-8")
    line = refused(path)
    assert f"{path.name} may be audiox-base or audiox-turbo" in line
    assert "Pass --variant audiox-base or --variant audiox-turbo" in line
    given = ("--checkpoint", path, "--variant", "audiox-turbo", "--prompt", "rain")
    code, out, _ = run("generate", *QUICK, *given, "-o", "a.wav", "--json")
    assert (code, json.loads(out)["variant"]) == (0, "audiox-turbo")
