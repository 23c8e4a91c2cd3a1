"""Nodes of ComfyUI before and behind ours: each changes the result, works, or is refused.

`workflows/README.md` has the same table for users; a test holds them equal.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

CHANGES, WORKS = "changes the result", "works"
SECONDS = 5.0
Given = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """One node: what it is given, and what is expected."""

    node: str
    expected: str  # CHANGES, WORKS, or a part of the sentence
    given: Given = field(default_factory=dict)
    variant: str = "audiox"


NEAR = "audiox-base"
MODELS = [
    Case("SkipLayerGuidanceDiT", CHANGES, {"double_layers": "1", "start_percent": 0.0, "end_percent": 1.0}),
    Case("SkipLayerGuidanceDiT", CHANGES, {"double_layers": "1", "start_percent": 0.0, "end_percent": 1.0}, NEAR),
    Case("SkipLayerGuidanceDiT", "0 to 1", {"double_layers": "7, 8", "start_percent": 0.0, "end_percent": 1.0}),
    Case("SkipLayerGuidanceDiT", "0 to 1", {"double_layers": "", "start_percent": 0.0, "end_percent": 1.0}),
    Case("SkipLayerGuidanceDiTSimple", CHANGES, {"double_layers": "0"}),
    Case("PerturbedAttentionGuidance", CHANGES),
    Case("PerturbedAttentionGuidance", CHANGES, {}, NEAR),
    Case("LTXVSpatioTemporalGuidance", CHANGES, {"blocks": "1"}),
    Case("LTXVSpatioTemporalGuidance", "0 to 1", {"blocks": "29"}),
    Case("APG", CHANGES),
    Case("CFGZeroStar", CHANGES),
    Case("CFGNorm", CHANGES, {"strength": 0.5}),
    Case("CFGOverride", CHANGES, {"cfg": 1.0, "start_percent": 0.0, "end_percent": 1.0}),
    Case("Mahiro", CHANGES),
    Case("TCFG", CHANGES),
    Case("FreSca", CHANGES),
    Case("Epsilon Scaling", CHANGES, {"scaling_factor": 1.1}),
    Case("TemporalScoreRescaling", CHANGES),
    Case("VideoLinearCFGGuidance", CHANGES, {"min_cfg": 1.5}),
    Case("VideoTriangleCFGGuidance", CHANGES, {"min_cfg": 1.5}),
    Case("RenormCFG", CHANGES, {"renorm_cfg": 0.5}, NEAR),
    Case("PerpNeg", CHANGES, lambda t: {"empty_conditioning": t.negative}),
    Case("LatentApplyOperationCFG", CHANGES, lambda t: {"operation": t.node("LatentOperationTonemapReinhard", multiplier=0.1)}),
    Case("LatentApplyOperationCFG", "LatentApplyOperationCFG", lambda t: {"operation": t.node("LatentOperationSharpen")}),
    Case("EasyCache", WORKS),
    Case("LazyCache", WORKS),
    Case("DifferentialDiffusion", WORKS),
    Case("ModelComputeDtype", CHANGES, {"dtype": "bf16"}),
    Case("ModelAttentionBackend", WORKS),
    Case("ModelMergeSimple", CHANGES, lambda t: {"model1": t.model, "model2": t.other, "ratio": 0.5}),
    Case("ModelMergeBlocks", CHANGES, lambda t: {"model1": t.model, "model2": t.other, "input": 0.5, "middle": 0.5, "out": 0.5}),
    Case("ModelMergeAdd", CHANGES, lambda t: {"model1": t.model, "model2": t.other}),
    Case("ModelMergeSubtract", CHANGES, lambda t: {"model1": t.model, "model2": t.other, "multiplier": 0.3}),
    Case("ModelSamplingContinuousV", CHANGES, {"sampling": "v_prediction", "sigma_max": 50.0, "sigma_min": 0.3}),
    Case("ModelSamplingContinuousEDM", "noise parametrization", {"sampling": "v_prediction", "sigma_max": 50.0, "sigma_min": 0.3}),
    Case("ModelSamplingDiscrete", "noise parametrization", {"sampling": "v_prediction", "zsnr": False}),
    Case("ModelSamplingAuraFlow", "noise parametrization", {"shift": 3.0}),
    Case("ModelSamplingSD3", "noise parametrization", {"shift": 3.0}),
    Case("ModelSamplingSD3", CHANGES, {"shift": 3.0}, NEAR),
    Case("ModelSamplingFlux", "noise parametrization", {"max_shift": 1.15, "base_shift": 0.5, "width": 1024, "height": 1024}),
    Case("ModelSamplingLTXV", "noise parametrization", {}),
    Case("ModelSamplingStableCascade", "noise parametrization", {"shift": 2.0}),
    Case("ModelNoiseScale", "noise", {"noise_scale": 2.0}, NEAR),
    Case("RescaleCFG", "use cfg_rescale of AudioX Sampler", {"multiplier": 0.7}),
    Case("RescaleCFG", "use cfg_rescale of AudioX Sampler", {"multiplier": 0.7}, NEAR),
    Case("FreeU", "FreeU sets", {"b1": 1.1, "b2": 1.2, "s1": 0.9, "s2": 0.2}),
    Case("FreeU_V2", "FreeU_V2 sets", {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}),
    Case("HyperTile", "HyperTile sets", {}),
    Case("TomePatchModel", "TomePatchModel sets", {}),
    Case("NAGuidance", "NAGuidance sets", {}),
    Case("SelfAttentionGuidance", "SelfAttentionGuidance sets", {}),
    Case("PatchModelAddDownscale", "PatchModelAddDownscale sets", {"start_percent": 0.0, "end_percent": 1.0}),
    Case("ScaleROPE", "ScaleROPE sets", {"scale_x": 2.0}),
    Case("ChromaRadianceOptions", "ChromaRadianceOptions sets", {}),
    Case("LTXVModalityGuidance", "LTXVModalityGuidance sets", {}),
    Case("FluxKVCache", "sets", {}),
    Case("MiniMaxH3SigmaShift", "remove", {}, NEAR),
    Case("HiDreamO1PatchSeamSmoothing", "x", {}),
    Case("WanAnimate2Cache", "x", {}),
    Case("UNetSelfAttentionMultiply", "none", {"q": 2.0, "k": 1.0, "v": 1.0, "out": 1.0}),
    Case("UNetCrossAttentionMultiply", "none", {"q": 2.0, "k": 1.0, "v": 1.0, "out": 1.0}),
    Case("UNetTemporalAttentionMultiply", "none", {"self_structural": 2.0, "self_temporal": 1.0, "cross_structural": 1.0, "cross_temporal": 1.0}),
    Case("ContextWindowsManual", "handles any length", {"context_length": 96, "context_overlap": 24, "dim": 2}),
    Case("WanContextWindowsManual", "handles any length", {"context_length": 96}),
    Case("LTXVContextWindows", "handles any length", {"context_length": 96}),
    Case("SelectModelDevice", WORKS, {}),
    Case("MultiGPU_WorkUnits", WORKS, {}),
    Case("wanBlockSwap", WORKS, {}),
    Case("TripoSplatSamplingPreview", "x", lambda t: {"vae": t.vae}),
    Case("LTXVDualCFGGuider", "x", {}),
]
CONDITIONINGS = [
    Case("ConditioningZeroOut", CHANGES),
    Case("ConditioningAverage", CHANGES, lambda t: {"conditioning_to": t.positive, "conditioning_from": t.second, "conditioning_to_strength": 0.5}),
    Case("ConditioningCombine", CHANGES, lambda t: {"conditioning_1": t.positive, "conditioning_2": t.second}),
    Case("ConditioningConcat", "ConditioningCombine", lambda t: {"conditioning_to": t.positive, "conditioning_from": t.second}),
    Case("ConditioningMultiply", CHANGES, {"multiplier": 0.5}),
    Case("ConditioningSetArea", "cut the latent", {"width": 64, "height": 64, "x": 0, "y": 0, "strength": 1.0}),
    Case("ConditioningSetAreaPercentage", "cut the latent", {"width": 0.5, "height": 0.5, "x": 0.0, "y": 0.0, "strength": 1.0}),
    Case("ConditioningSetAreaPercentageVideo", "cut the latent", {"width": 0.5, "height": 0.5, "temporal": 0.5, "x": 0.0, "y": 0.0, "z": 0.0, "strength": 1.0}),
    Case("ConditioningSetAreaStrength", WORKS, {"strength": 2.0}),
    Case("ConditioningSetMask", "AudioX Time Range", lambda t: {"mask": t.mask, "strength": 1.0, "set_cond_area": "default"}),
    Case("ConditioningSetTimestepRange", "No prompt applies", {"start": 0.0, "end": 0.5}),
    Case("ConditioningSetProperties", WORKS, lambda t: {"cond_NEW": t.positive, "strength": 1.0, "set_cond_area": "default"}),
    Case("ConditioningSetPropertiesAndCombine", CHANGES, lambda t: {"cond": t.positive, "cond_NEW": t.second, "strength": 1.0, "set_cond_area": "default"}),
    Case("ConditioningSetDefaultCombine", WORKS, lambda t: {"cond": t.positive, "cond_DEFAULT": t.second}),
    Case("ConditioningStableAudio", "ConditioningStableAudio", lambda t: {"positive": t.positive, "negative": t.negative, "seconds_start": 0.0, "seconds_total": 5.0}),
    Case("FluxGuidance", "Use cfg", {"guidance": 3.5}),
    Case("FluxDisableGuidance", WORKS),
    Case("FluxKontextMultiReferenceLatentMethod", "x"),
    Case("ReferenceLatent", "AudioX Encode", lambda t: {"latent": t.latent}),
    Case("ReferenceTimbreAudio", "AudioX Encode", lambda t: {"latent": t.latent}),
    Case("LTXVConditioning", "AudioX Encode Video", lambda t: {"positive": t.positive, "negative": t.negative, "frame_rate": 25.0}),
    Case("ControlNetApply", "ControlNetApply", lambda t: {"control_net": t.control_net, "image": t.image, "strength": 1.0}),
    Case("ControlNetApplyAdvanced", "ControlNetApply", lambda t: {"positive": t.positive, "negative": t.negative, "control_net": t.control_net, "image": t.image, "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}),
    Case("unCLIPConditioning", "AudioX Encode Image", lambda t: {"clip_vision_output": object(), "strength": 1.0, "noise_augmentation": 0.0}),
    Case("GLIGENTextBoxApply", "AudioX Time Range", lambda t: {"conditioning_to": t.positive, "clip": t.gligen_clip, "gligen_textbox_model": object(), "text": "dog", "width": 64, "height": 64, "x": 0, "y": 0}),
    Case("InpaintModelConditioning", "x", lambda t: {"positive": t.positive, "negative": t.negative, "vae": t.vae, "pixels": t.image, "mask": t.mask}),
    Case("InstructPixToPixConditioning", "x", lambda t: {"positive": t.positive, "negative": t.negative, "vae": t.vae, "pixels": t.image}),
    Case("PiDConditioning", "x", lambda t: {"positive": t.positive, "latent": t.latent}),
    Case("HunyuanRefinerLatent", "x", lambda t: {"positive": t.positive, "negative": t.negative, "latent": t.latent, "noise_augmentation": 0.1}),
    Case("StableCascade_StageB_Conditioning", "x", lambda t: {"stage_c": t.latent}),
    Case("LTXVCropGuides", "x", lambda t: {"positive": t.positive, "negative": t.negative, "latent": t.latent}),
    Case("PairConditioningCombine", CHANGES, lambda t: {"positive_A": t.positive, "negative_A": t.negative, "positive_B": t.second, "negative_B": t.negative}),
]
LATENTS = [
    Case("LatentFromBatch", WORKS, {"batch_index": 0, "length": 1}),
    Case("RepeatLatentBatch", WORKS, {"amount": 2}),
    Case("RebatchLatents", WORKS, lambda t: {"latents": [t.sampled], "batch_size": [1]}),
    Case("LatentBatch", WORKS, lambda t: {"samples1": t.sampled, "samples2": t.sampled}),
    Case("LatentBatchSeedBehavior", WORKS, {"seed_behavior": "fixed"}),
    Case("LatentAdd", CHANGES, lambda t: {"samples1": t.sampled, "samples2": t.sampled}),
    Case("LatentSubtract", CHANGES, lambda t: {"samples1": t.sampled, "samples2": t.other_sampled}),
    Case("LatentMultiply", CHANGES, {"multiplier": 0.5}),
    Case("LatentInterpolate", CHANGES, lambda t: {"samples1": t.sampled, "samples2": t.other_sampled, "ratio": 0.5}),
    Case("LatentBlend", CHANGES, lambda t: {"samples1": t.sampled, "samples2": t.other_sampled, "blend_factor": 0.5}),
    Case("LatentConcat", CHANGES, lambda t: {"samples1": t.sampled, "samples2": t.sampled, "dim": "x"}),
    Case("LatentCut", CHANGES, {"dim": "x", "index": 50, "amount": 100}),
    Case("LatentCutToBatch", CHANGES, {"dim": "t", "slice_size": 59}),
    Case("LatentApplyOperation", CHANGES, lambda t: {"operation": t.node("LatentOperationTonemapReinhard", multiplier=0.1)}),
    Case("LatentApplyOperation", "x", lambda t: {"operation": t.node("LatentOperationSharpen")}),
    Case("LatentUpscale", "x", {"upscale_method": "bilinear", "width": 512, "height": 512, "crop": "disabled"}),
    Case("LatentUpscaleBy", "x", {"upscale_method": "bilinear", "scale_by": 2.0}),
    Case("LatentRotate", "x", {"rotation": "90 degrees"}),
    Case("LatentFlip", "x", {"flip_method": "y-axis: horizontally"}),
    Case("LatentFlip", "x", {"flip_method": "x-axis: vertically"}),
    Case("LatentCrop", "x", {"width": 512, "height": 512, "x": 0, "y": 0}),
    Case("LatentComposite", "x", lambda t: {"samples_to": t.sampled, "samples_from": t.other_sampled, "x": 0, "y": 0, "feather": 0}),
    Case("LatentCompositeMasked", "x", lambda t: {"destination": t.sampled, "source": t.other_sampled, "x": 0, "y": 0, "resize_source": False}),
    Case("SetLatentNoiseMask", "AudioX Inpaint Latent", lambda t: {"mask": t.mask}),
    Case("TrimVideoLatent", "x", {"trim_amount": 10}),
    Case("ReplaceVideoLatentFrames", "x", lambda t: {"destination": t.sampled, "source": t.other_sampled, "index": 0}),
    Case("NormalizeVideoLatentStart", "x", lambda t: {"latent": t.sampled}),
    Case("SaveLatent", "works", {"filename_prefix": "latent"}),
]


class Graph(SimpleNamespace):
    """What a graph has of ours, and how it runs."""

    def run(self, **parts):
        given = {"model": self.model, "positive": self.positive, "negative": self.negative, "latent_image": self.latent, **parts}
        return self.node("KSampler", seed=1, steps=2, cfg=3.0, sampler_name="euler", scheduler="simple", denoise=1.0, **given)["samples"]


@pytest.fixture(scope="module")
def graph(comfy, node, family, toys):
    made = {}

    def make(variant):
        if variant in made:
            return made[variant]
        parts = family(variant)
        def cond(text):
            t = node("AudioXEncodeText", conditioners=parts.conditioners, text=text)
            return node("AudioXMaskedConditioning", conditioners=parts.conditioners, text=t)
        positive, negative = cond("rain")
        second, _ = cond("music")
        other = node("AudioXLoadModel", file=parts.path.name)
        draw = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            for w in other.model.diffusion_model.parameters():
                if w.ndim > 1:
                    w.add_(0.3 * w.std() * torch.randn(w.shape, generator=draw))
        latent = node("AudioXEmptyLatent", seconds=SECONDS)
        t = Graph(node=node, model=parts.model, vae=parts.vae, positive=positive, negative=negative, second=second, other=other, latent=latent,
                  mask=torch.ones(1, 64, 64), image=torch.rand(1, 64, 64, 3), variant=variant)
        class ControlNet:
            def copy(self): return self
            def set_cond_hint(self, *a, **k): return self
            def set_previous_controlnet(self, *a): return self
            def get_extra_hooks(self): return []
            def get_models(self): return []
            def inference_memory_requirements(self, d): return 0
            def pre_run(self,*a): pass
            def cleanup(self): pass
            multigpu_clones = {}
        t.control_net = ControlNet()
        t.gligen_clip = SimpleNamespace(tokenize=lambda *a: None, encode_from_tokens=lambda *a, **k: (None, torch.zeros(1, 768)), encode_from_tokens_scheduled=None)
        t.plain = t.run()
        t.sampled = {**latent, "samples": t.plain}
        t.other_sampled = {**latent, "samples": t.run(positive=second)}
        made[variant] = t
        return t
    return make


SOCKET = {"m": "model", "c": "conditioning", "l": "samples"}
import time
@pytest.mark.parametrize("kind,case", [(k, c) for k, cs in (("m", MODELS), ("c", CONDITIONINGS), ("l", LATENTS)) for c in cs], ids=lambda v: v if isinstance(v, str) else v.node)
def test_probe(comfy, graph, kind, case):
    if case.node not in comfy.nodes.NODE_CLASS_MAPPINGS:
        print("PROBE", case.node, "MISSING"); return
    t = graph(case.variant)
    given = case.given(t) if callable(case.given) else dict(case.given)
    types = comfy.nodes.NODE_CLASS_MAPPINGS[case.node].INPUT_TYPES()
    default = {"m": t.model, "c": t.positive, "l": getattr(t, "sampled", None)}[kind]
    if SOCKET[kind] in {**types.get("required", {}), **types.get("optional", {})}:
        given = {SOCKET[kind]: default, **given}
    b = time.time()
    stage = "node"
    try:
        made = t.node(case.node, **given)
        stage = "run"
        if kind == "m":
            out = t.run(model=made if not isinstance(made, tuple) else made[0])
        elif kind == "c":
            out = t.run(positive=made[0] if isinstance(made, tuple) else made)
        else:
            made = made[0] if isinstance(made, (tuple, list)) else made
            if not isinstance(made, dict): print("PROBE", made)
            stage = "sampler"
            out = made["samples"]
            t.node("KSampler", model=t.model, positive=t.positive, negative=t.negative, latent_image=made, seed=1, steps=2, cfg=1.0, sampler_name="euler", scheduler="simple", denoise=0.5)
            stage = "decode"
            t.node("AudioXDecode", vae=t.vae, latent=made)
        same = out.shape == t.plain.shape and torch.equal(out, t.plain)
        res = ("SAME" if same else "CHANGED") + f" {tuple(out.shape)} finite={bool(out.isfinite().all())}"
    except Exception as e:
        res = f"ERROR at {stage}: {type(e).__name__}: {e}"
    print(f"PROBE {kind} {case.node} [{case.variant}] want={case.expected!r}: {res} ({time.time()-b:.2f}s)")
