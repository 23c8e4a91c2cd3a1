"""Render a request to files: what `generate` does once, and `batch` many times with one model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checkpoint.checkpoint_file import CheckpointFile, open_checkpoint
from ..checkpoint.lora import merge_lora
from ..checkpoint.weight_file import open_weights
from ..conditioners.missing_module import MissingModule
from ..device import DTYPES, choose_device
from ..media.audio import sample_peak
from ..media.formats import VIDEO_SUFFIXES
from ..media.mux import check_mux
from ..progress import OnProgress, Stages, ignore
from .feature_cache import FeatureCache
from .model_options import ModelOptions
from .outputs import output_paths
from .pipeline import Pipeline
from .request import Request, guidance_of, has_audio_prompt, sampling_of
from .soundtrack import Soundtrack
from .sources import Sources, open_sources, read_audio_prompt, read_picture
from .stage_times import stage_seconds, write_seconds

GENERATING, WRITING = "generating", "writing the file"


@dataclass(frozen=True)
class Model:
    """Weights files that are opened and checked, and how they will be loaded."""

    options: ModelOptions
    file: CheckpointFile

    @classmethod
    def open(cls, options: ModelOptions) -> "Model":
        """Open the files of a model; no weights are read.

        Raises:
            WeightsError: a file is missing, damaged, or not what it should be.
        """
        for path, _strength in options.lora:
            open_weights(path)
        file = open_checkpoint(
            options.checkpoint,
            text_encoder=options.text_encoder,
            vae=options.vae,
            synchformer=options.synchformer,
            config=options.config,
            variant=options.variant,
        )
        file.check()
        return cls(options, file)

    def load(
        self,
        on_progress: Callable[[float], None] = lambda _: None,
        cache: FeatureCache | None = None,
    ) -> Pipeline:
        """Read the weights.

        Args:
            on_progress: called with the share that is done, 0..1.
            cache: keeps features of pictures for further requests.
        """
        options = self.options
        checkpoint = self.file.load(
            dtype=DTYPES.get(options.dtype),
            device=choose_device(options.device),
            on_progress=on_progress,
        )
        for path, strength in options.lora:
            merge_lora(checkpoint.backbone, path, strength)
        return Pipeline(checkpoint, cache, acceleration=options.accelerate)

    def sources(self, request: Request, output: Path) -> Sources:
        """Open the inputs of a request, and check all that the model and the output need of them.

        Raises:
            AudioXError: an input cannot be read, or does not fit the model or the output.
        """
        config = self.file.config
        sampling_of(request, config)
        picture = request.video is not None or request.image is not None
        if picture and isinstance(self.file.synchformer, MissingModule):
            self.file.synchformer()  # its error says where to put the file
        sources = open_sources(request, config.latent)
        if request.image is not None:
            read_picture(request)
        if has_audio_prompt(request):
            read_audio_prompt(request, config.latent)
        if isinstance(request.video, str | Path) and output.suffix.lower() in VIDEO_SUFFIXES:
            check_mux(Path(request.video), output, start=request.start, seconds=request.seconds)
        return sources


def render_seconds(
    file: CheckpointFile, request: Request, sources: Sources, device: str
) -> dict[str, float]:
    """The stages of `render`, and the estimated time of each.

    Args:
        file: of the model.
        request, sources: what is rendered.
        device: its type, such as `cpu` or `cuda`.
    """
    sampling = sampling_of(request, file.config)
    times = stage_seconds(file.config, request, sources.seconds, sampling, device)
    writing = request.takes * write_seconds(sources.seconds)
    return {GENERATING: sum(times.values()), WRITING: writing}


def render(
    pipeline: Pipeline,
    request: Request,
    output: Path,
    sources: Sources,
    stages: Stages | None = None,
) -> dict[str, Any]:
    """Generate the takes of a request and write their files.

    Args:
        pipeline: of the model.
        request, sources: from `Model.sources`.
        output: the file, see `output_paths`.
        stages: reports the progress; it has the stages of `render_seconds`.

    Returns:
        What was made, and how.

    Raises:
        AudioXError: as `Pipeline.takes` and `Soundtrack.save`.
    """
    on_progress: OnProgress = ignore if stages is None else stages.nested(GENERATING)
    sounds = pipeline.takes(request, on_progress=on_progress, sources=sources)
    outputs = output_paths(output, request.takes)

    def report(done: float) -> None:
        if stages is not None:
            stages.report(WRITING, done)

    report(0.0)
    for k, (sound, path) in enumerate(zip(sounds, outputs, strict=True)):
        sound.save(path, lambda done, k=k: report((k + done) / len(sounds)))
    return _summary(outputs, sounds, pipeline, request)


def _summary(
    outputs: list[Path], sounds: list[Soundtrack], pipeline: Pipeline, request: Request
) -> dict[str, Any]:
    checkpoint, sampling = pipeline.checkpoint, pipeline.sampling(request)
    guidance = guidance_of(request, sampling)
    return {
        "outputs": [str(path) for path in outputs],
        "seconds": round(sounds[0].seconds, 4),
        "sample_rate": sounds[0].sample_rate,
        "peaks": [round(sample_peak(sound.waveform), 4) for sound in sounds],
        "seed": request.seed,
        "steps": sampling.steps,
        "cfg": sampling.cfg,
        "guidance": None if guidance is None else vars(guidance),
        "cfg_rescale": sampling.cfg_rescale,
        "sampler": sampling.sampler,
        "checkpoint": checkpoint.path.name,
        "variant": checkpoint.variant,
        "note": checkpoint.config.note,
        "device": str(checkpoint.device),
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
    }
