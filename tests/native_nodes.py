"""What ComfyUI's own nodes do before and behind ours: the table of tests and users.

`python -m tests.native_nodes` writes the section of `workflows/README.md`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "workflows" / "README.md"
TITLE = "## Which native nodes work"

CHANGES, WORKS = "changes the result", "works"
BOTH = ("audiox", "audiox-base")  # a DiT with v-prediction, an MMDiT with rectified flow
DIT, MMDIT = BOTH[:1], BOTH[1:]
ALL_STEPS = {"start_percent": 0.0, "end_percent": 1.0}


@dataclass(frozen=True)
class Row:
    """A node, what is given to it beside the object that it changes, and what is expected."""

    node: str
    expected: str = CHANGES  # or WORKS, or a part of the sentence that refuses it
    given: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] = field(default_factory=dict)
    variants: tuple[str, ...] = BOTH

    @property
    def refused(self) -> bool:
        return self.expected not in (CHANGES, WORKS)

    def inputs(self, graph: Any) -> dict[str, Any]:
        """What is given, with the objects of a graph."""
        return dict(self.given(graph) if callable(self.given) else self.given)


def merged(**settings: Any) -> Callable[[Any], Mapping[str, Any]]:
    return lambda graph: {"model1": graph.model, "model2": graph.other, **settings}


def operation(name: str, **settings: Any) -> Callable[[Any], Mapping[str, Any]]:
    return lambda graph: {"operation": graph.node(f"LatentOperation{name}", **settings)}


def pair(first: str, second: str, **settings: Any) -> Callable[[Any], Mapping[str, Any]]:
    return lambda graph: {first: graph.sampled, second: graph.other_sampled, **settings}


def both_branches(**settings: Any) -> Callable[[Any], Mapping[str, Any]]:
    return lambda graph: {"positive": graph.positive, "negative": graph.negative, **settings}


V_RANGE = {"sigma_max": 50.0, "sigma_min": 0.3}
V_MODE = {"sampling": "v_prediction", **V_RANGE}
NOISE = "use AudioX Scheduler"
GUIDANCE = "use SkipLayerGuidanceDiT or PerturbedAttentionGuidance"
SPEED = "to save time, use EasyCache or fewer steps"
REMOVE = "remove that node"
RESCALE = "use cfg_rescale of AudioX Sampler or AudioX Guider"
CFG = "use cfg of AudioX Sampler"
LENGTH = "AudioX handles any length itself"
BLOCKS = "enter some of these numbers there"
MULTIPLY = {"q": 2.0, "k": 1.0, "v": 1.0, "out": 1.0}

MODELS = [
    Row("SkipLayerGuidanceDiT", CHANGES, {"double_layers": "1", **ALL_STEPS}),
    Row("SkipLayerGuidanceDiT", BLOCKS, {"double_layers": "7, 99", **ALL_STEPS}),
    Row("SkipLayerGuidanceDiT", BLOCKS, {"double_layers": "", **ALL_STEPS}),
    Row("SkipLayerGuidanceDiTSimple", CHANGES, {"double_layers": "0"}),
    Row("PerturbedAttentionGuidance"),
    Row("LTXVSpatioTemporalGuidance", CHANGES, {"blocks": "1"}),
    Row("LTXVSpatioTemporalGuidance", BLOCKS, {"blocks": "29"}),
    Row("APG"),
    Row("CFGZeroStar"),
    Row("CFGNorm", CHANGES, {"strength": 0.5}),
    Row("CFGOverride", CHANGES, {"cfg": 1.0, **ALL_STEPS}),
    Row("Mahiro"),
    Row("TCFG"),
    Row("FreSca"),
    Row("Epsilon Scaling", CHANGES, {"scaling_factor": 1.1}),
    Row("TemporalScoreRescaling"),
    Row("RenormCFG", CHANGES, {"renorm_cfg": 0.5}),
    Row("PerpNeg", CHANGES, lambda graph: {"empty_conditioning": graph.second}),
    Row("LatentApplyOperationCFG", "LatentOperationSharpen cannot work", operation("Sharpen")),
    Row("EasyCache", WORKS),
    Row("LazyCache", WORKS),
    Row("DifferentialDiffusion", WORKS),
    Row("ModelComputeDtype", CHANGES, {"dtype": "bf16"}),
    Row("ModelAttentionBackend", WORKS, {"attention": "pytorch"}),
    Row("ModelMergeSimple", CHANGES, merged(ratio=0.5)),
    Row("ModelMergeBlocks", CHANGES, merged(input=0.5, middle=0.5, out=0.5)),
    Row("ModelMergeAdd", CHANGES, merged()),
    Row("ModelMergeSubtract", CHANGES, merged(multiplier=0.3)),
    Row("SelectModelDevice", WORKS),
    Row("MultiGPU_WorkUnits", WORKS),
    Row("ModelSamplingContinuousV", CHANGES, V_MODE, DIT),
    Row("ModelSamplingContinuousV", NOISE, V_MODE, MMDIT),
    Row("ModelSamplingContinuousEDM", NOISE, V_MODE),
    Row("ModelSamplingDiscrete", NOISE, {"sampling": "v_prediction", "zsnr": False}),
    Row("ModelSamplingAuraFlow", NOISE, {"shift": 3.0}, DIT),
    Row("ModelSamplingSD3", NOISE, {"shift": 3.0}),
    Row("ModelSamplingFlux", NOISE, {"max_shift": 1.15, "base_shift": 0.5, "width": 512,
                                     "height": 512}, DIT),
    Row("ModelSamplingLTXV", NOISE, {}, DIT),
    Row("MiniMaxH3SigmaShift", "remove it", {}, DIT),
    Row("RescaleCFG", RESCALE, {"multiplier": 0.7}),
    Row("VideoLinearCFGGuidance", CFG, {"min_cfg": 1.5}),
    Row("VideoTriangleCFGGuidance", CFG, {"min_cfg": 1.5}),
    Row("FreeU", GUIDANCE, {"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2}),
    Row("FreeU_V2", GUIDANCE, {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}),
    Row("SelfAttentionGuidance", GUIDANCE),
    Row("HyperTile", SPEED),
    Row("TomePatchModel", SPEED),
    Row("PatchModelAddDownscale", SPEED, ALL_STEPS),
    Row("NAGuidance", "use negative_text of AudioX Masked Conditioning and a cfg above 1"),
    Row("ScaleROPE", REMOVE, {"scale_x": 2.0}),
    Row("ChromaRadianceOptions", REMOVE, {"nerf_tile_size": 64, "start_sigma": 1.0}, MMDIT),
    Row("LTXVModalityGuidance", REMOVE),
    Row("FluxKVCache", REMOVE),
    Row("WanAnimate2Cache", REMOVE),
    Row("ContextWindowsManual", LENGTH, {"context_length": 96, "context_overlap": 24, "dim": 2}),
    Row("WanContextWindowsManual", LENGTH, {"context_length": 96}),
    Row("LTXVContextWindows", LENGTH, {"context_length": 96}),
]  # fmt: skip

REFERENCE = "use AudioX Encode Image, AudioX Encode Video or AudioX Encode Audio"
RANGE = "use AudioX Time Range"
INPAINT = "use AudioX Inpaint Latent"
PICTURES = "describe the picture with AudioX Encode Image"


def controlled(graph: Any) -> Mapping[str, Any]:
    return {"control_net": graph.control_net, "image": graph.image, "strength": 1.0}


CONDITIONINGS = [
    Row("ConditioningZeroOut"),
    Row("ConditioningAverage", CHANGES, lambda graph: {
        "conditioning_to": graph.positive, "conditioning_from": graph.second,
        "conditioning_to_strength": 0.5}),
    Row("ConditioningCombine", CHANGES, lambda graph: {
        "conditioning_1": graph.positive, "conditioning_2": graph.second}),
    Row("PairConditioningCombine", CHANGES, lambda graph: {
        "positive_A": graph.positive, "negative_A": graph.negative,
        "positive_B": graph.second, "negative_B": graph.negative}),
    Row("ConditioningMultiply", CHANGES, {"multiplier": 0.5}),
    Row("ConditioningSetAreaStrength", WORKS, {"strength": 2.0}),
    Row("ConditioningSetProperties", WORKS, lambda graph: {
        "cond_NEW": graph.positive, "strength": 1.0, "set_cond_area": "default"}),
    Row("ConditioningSetPropertiesAndCombine", CHANGES, lambda graph: {
        "cond": graph.positive, "cond_NEW": graph.second, "strength": 1.0,
        "set_cond_area": "default"}),
    Row("ConditioningSetDefaultCombine", WORKS, lambda graph: {
        "cond": graph.positive, "cond_DEFAULT": graph.second}),
    Row("ConditioningSetTimestepRange", WORKS, {"start": 0.0, "end": 1.0}),
    Row("ConditioningSetTimestepRange", "No prompt applies", {"start": 0.0, "end": 0.5}),
    Row("ConditioningConcat", "Use ConditioningCombine", lambda graph: {
        "conditioning_to": graph.positive, "conditioning_from": graph.second}),
    Row("ConditioningSetArea", INPAINT, {"width": 64, "height": 64, "x": 0, "y": 0,
                                         "strength": 1.0}),
    Row("ConditioningSetAreaPercentage", INPAINT, {"width": 0.5, "height": 0.5, "x": 0.0,
                                                   "y": 0.0, "strength": 1.0}),
    Row("ConditioningSetAreaPercentageVideo", INPAINT, {
        "width": 0.5, "height": 0.5, "temporal": 0.5, "x": 0.0, "y": 0.0, "z": 0.0,
        "strength": 1.0}),
    Row("ConditioningSetMask", RANGE, lambda graph: {
        "mask": graph.mask, "strength": 1.0, "set_cond_area": "default"}),
    Row("ConditioningStableAudio", "The length is that of AudioX Empty Latent",
        both_branches(seconds_start=0.0, seconds_total=5.0)),
    Row("FluxGuidance", "Use cfg of the sampler", {"guidance": 3.5}),
    Row("FluxDisableGuidance", "Use cfg of the sampler"),
    Row("ReferenceLatent", REFERENCE, lambda graph: {"latent": graph.latent}),
    Row("FluxKontextMultiReferenceLatentMethod", REFERENCE),
    Row("ReferenceTimbreAudio", REFERENCE, lambda graph: {"latent": graph.latent}),
    Row("ControlNetApply", REFERENCE, controlled),
    Row("ControlNetApplyAdvanced", REFERENCE, lambda graph: {
        "positive": graph.positive, "negative": graph.negative, **controlled(graph), **ALL_STEPS}),
    Row("unCLIPConditioning", REFERENCE, {
        "clip_vision_output": object(), "strength": 1.0, "noise_augmentation": 0.0}),
    Row("StableCascade_StageB_Conditioning", REFERENCE, lambda graph: {"stage_c": graph.latent}),
    Row("PiDConditioning", REFERENCE, lambda graph: {
        "positive": graph.positive, "latent": graph.latent}),
    Row("HunyuanRefinerLatent", INPAINT, lambda graph: {
        "positive": graph.positive, "negative": graph.negative, "latent": graph.latent,
        "noise_augmentation": 0.1}),
    Row("InpaintModelConditioning", PICTURES, lambda graph: {
        "positive": graph.positive, "negative": graph.negative, "vae": graph.vae,
        "pixels": graph.image, "mask": graph.mask}),
    Row("InstructPixToPixConditioning", PICTURES, lambda graph: {
        "positive": graph.positive, "negative": graph.negative, "vae": graph.vae,
        "pixels": graph.image}),
    Row("GLIGENTextBoxApply", RANGE, lambda graph: {
        "conditioning_to": graph.positive, "clip": graph.clip,
        "gligen_textbox_model": graph.vae.patcher, "text": "dog", "width": 64, "height": 64,
        "x": 0, "y": 0}),
    Row("LTXVConditioning", "read by AudioX Encode Video", both_branches(frame_rate=25.0)),
]  # fmt: skip

MIX = "LatentCut or AudioX Inpaint Latent; to mix sounds, AudioX Mix"
LATENTS = [
    Row("LatentFromBatch", WORKS, {"batch_index": 0, "length": 1}),
    Row("RepeatLatentBatch", CHANGES, {"amount": 2}),
    Row("LatentBatch", CHANGES, pair("samples1", "samples2")),
    Row("LatentBatchSeedBehavior", WORKS, {"seed_behavior": "fixed"}),
    Row("LatentAdd", CHANGES, pair("samples1", "samples2")),
    Row("LatentSubtract", CHANGES, pair("samples1", "samples2")),
    Row("LatentMultiply", CHANGES, {"multiplier": 0.5}),
    Row("LatentInterpolate", CHANGES, pair("samples1", "samples2", ratio=0.5)),
    Row("LatentBlend", CHANGES, pair("samples1", "samples2", blend_factor=0.5)),
    Row("LatentConcat", CHANGES, pair("samples1", "samples2", dim="x")),
    Row("LatentCut", CHANGES, {"dim": "x", "index": 50, "amount": 100}),
    Row("LatentCutToBatch", CHANGES, {"dim": "x", "slice_size": 59}),
    Row("TrimVideoLatent", CHANGES, {"trim_amount": 10}),
    Row("ReplaceVideoLatentFrames", CHANGES, pair("destination", "source", index=0)),
    Row("LatentApplyOperation", MIX, operation("Sharpen")),
    Row("LatentUpscale", MIX, {"upscale_method": "bilinear", "width": 512, "height": 512,
                               "crop": "disabled"}),
    Row("LatentUpscaleBy", MIX, {"upscale_method": "bilinear", "scale_by": 2.0}),
    Row("LatentRotate", MIX, {"rotation": "90 degrees"}),
    Row("LatentFlip", MIX, {"flip_method": "y-axis: horizontally"}),
    Row("LatentCrop", MIX, {"width": 512, "height": 512, "x": 0, "y": 0}),
    Row("LatentComposite", MIX, pair("samples_to", "samples_from", x=0, y=0, feather=0)),
    Row("LatentCompositeMasked", MIX, pair("destination", "source", x=0, y=0,
                                           resize_source=False)),
    Row("RebatchLatents", MIX, lambda graph: {"latents": [graph.sampled], "batch_size": [1]}),
    Row("NormalizeVideoLatentStart", MIX, lambda graph: {"latent": graph.sampled}),
    Row("SetLatentNoiseMask", INPAINT, lambda graph: {"mask": graph.mask}),
]  # fmt: skip

SIGMAS = [
    Row("BasicScheduler", WORKS, {"scheduler": "karras", "steps": 2, "denoise": 1.0}),
    Row("BetaSamplingScheduler", WORKS, {"steps": 2, "alpha": 0.6, "beta": 0.6}),
    Row("KarrasScheduler", WORKS, {"steps": 2, "rho": 7.0, **V_RANGE}, DIT),
    Row("ExponentialScheduler", WORKS, {"steps": 2, **V_RANGE}, DIT),
    Row("PolyexponentialScheduler", WORKS, {"steps": 2, "rho": 1.0, **V_RANGE}, DIT),
    Row("SplitSigmasDenoise", WORKS, lambda graph: {"sigmas": graph.sigmas, "denoise": 0.5}),
    Row("SplitSigmas", WORKS, lambda graph: {"sigmas": graph.sigmas, "step": 1}),
    Row("FlipSigmas", WORKS, lambda graph: {"sigmas": graph.sigmas}),
    Row("SetFirstSigma", WORKS, lambda graph: {"sigmas": graph.sigmas, "sigma": 0.9}),
    Row("ExtendIntermediateSigmas", WORKS, lambda graph: {
        "sigmas": graph.sigmas, "steps": 2, "start_at_sigma": -1.0, "end_at_sigma": 0.0,
        "spacing": "linear"}),
]  # fmt: skip

GUIDERS = [
    Row("CFGGuider", WORKS, both_branches(cfg=3.0)),
    Row("BasicGuider", WORKS, lambda graph: {"conditioning": graph.positive}),
    Row("DualCFGGuider", WORKS, lambda graph: {
        "cond1": graph.positive, "cond2": graph.second, "negative": graph.negative,
        "cfg_conds": 3.0, "cfg_cond2_negative": 3.0, "style": "regular"}),
    Row("PerpNegGuider", WORKS, lambda graph: {
        **both_branches(cfg=3.0, neg_scale=1.0)(graph), "empty_conditioning": graph.second}),
    Row("DualModelGuider", WORKS, lambda graph: {
        **both_branches(cfg=3.0)(graph), "model_negative": graph.other}),
]  # fmt: skip

SOUNDS = [
    Row("VAEDecodeAudio", WORKS, lambda graph: {"vae": graph.vae, "samples": graph.sampled}),
    Row("VAEDecodeAudioTiled", WORKS, lambda graph: {"vae": graph.vae, "samples": graph.sampled}),
    Row("VAEEncodeAudio", WORKS, lambda graph: {"vae": graph.vae, "audio": graph.audio}),
    Row("TrimAudioDuration", WORKS, {"start_index": 1.0, "duration": 1.5}),
    Row("AudioAdjustVolume", WORKS, {"volume": -6}),
    Row("AudioEqualizer3Band", WORKS),
    Row("SplitAudioChannels", WORKS),
    Row("AudioConcat", WORKS, lambda graph: {
        "audio1": graph.audio, "audio2": graph.audio, "direction": "after"}),
    Row("AudioMerge", WORKS, lambda graph: {
        "audio1": graph.audio, "audio2": graph.audio, "merge_method": "add"}),
    Row("CreateVideo", WORKS, lambda graph: {"images": graph.image, "fps": 1.0}),
    Row("VAEEncode", PICTURES, lambda graph: {"vae": graph.vae, "pixels": graph.image}),
]  # fmt: skip

KINDS = {
    "MODEL": MODELS,
    "CONDITIONING": CONDITIONINGS,
    "LATENT": LATENTS,
    "SIGMAS": SIGMAS,
    "GUIDER": GUIDERS,
    "VAE, AUDIO": SOUNDS,
}


def section() -> str:
    """The section of the README."""
    lines = [
        TITLE,
        "",
        "Every node of ComfyUI below was run before or after AudioX nodes, in ComfyUI 0.3.64 and"
        " 0.33.0.",
        "A node that cannot work stops the run with a sentence that names what to use instead.",
        "",
        "| | works | is refused |",
        "|---|---|---|",
    ]
    for kind, rows in KINDS.items():
        works = dict.fromkeys(row.node for row in rows if not row.refused)
        refused: dict[str, list[str]] = {}
        for row in rows:
            if row.refused and row.node not in works:
                refused.setdefault(row.expected, []).append(row.node)
        instead = [f"{', '.join(names)}: {text}" for text, names in refused.items()]
        lines.append(f"| {kind} | {', '.join(works)} | {'<br>'.join(instead) or '-'} |")
    return "\n".join([*lines, "", *NOTES, ""])


NOTES = [
    "LoRAs, hooks, saving and TorchCompileModel work, too. Patches that no node above sets are"
    " refused by",
    "their name.",
    "",
    "- UNetSelfAttentionMultiply, UNetCrossAttentionMultiply and UNetTemporalAttentionMultiply do"
    " nothing:",
    "  they find no layer of a U-Net, and AudioX cannot tell that they are there.",
    "- KSampler stops at the image mask of SetLatentNoiseMask with an error of its own; AudioX"
    " Sampler says",
    "  what to use.",
    "- VAE Decode (for pictures) makes no sound: use AudioX Decode or VAE Decode Audio.",
]


def main() -> None:
    """Write the section."""
    text = README.read_text(encoding="utf-8")
    README.write_text(text.partition(TITLE)[0].rstrip() + "\n\n" + section(), encoding="utf-8")


if __name__ == "__main__":
    main()
