"""Nodes of ComfyUI before and behind ours: each changes the result, works, or is refused."""

import importlib
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

# here, not as a fixture: its rows are the cases
TABLE = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "native_nodes.py")))
SECONDS = 5.0


class Graph(SimpleNamespace):
    """What a graph has of ours, and how it samples."""

    def run(self, **parts):
        given = {"model": self.model, "positive": self.positive, "negative": self.negative}
        given |= {"latent_image": self.latent, "seed": 1, "steps": 2, "cfg": 3.0, "denoise": 1.0}
        given |= {"sampler_name": "euler", "scheduler": "simple", **parts}
        return self.node("KSampler", **given)["samples"]

    def run_custom(self, sigmas=None, guider=None):
        """By SamplerCustomAdvanced."""
        cfg_guider = {"positive": self.positive, "negative": self.negative, "cfg": 3.0}
        guider = guider or self.node("CFGGuider", model=self.model, **cfg_guider)
        noise, sampler = (
            self.node("RandomNoise", noise_seed=1),
            self.node("KSamplerSelect", sampler_name="euler"),
        )
        given = {"noise": noise, "sampler": sampler, "guider": guider, "latent_image": self.latent}
        sigmas = self.sigmas if sigmas is None else sigmas
        return self.node("SamplerCustomAdvanced", sigmas=sigmas, **given)[0]["samples"]


@pytest.fixture(scope="module")
def graphs(comfy, node, family):
    """The graph of a tiny model of a variant."""
    made = {}

    def conditioning(parts, text):
        shared = {"conditioners": parts.conditioners}
        text = node("AudioXEncodeText", text=text, **shared)
        return node("AudioXMaskedConditioning", text=text, **shared)

    def build(variant):
        parts = family(variant)
        positive, negative = conditioning(parts, "rain")
        latent = node("AudioXEmptyLatent", seconds=SECONDS)
        graph = Graph(
            node=node, model=parts.model, other=changed(parts.model), vae=parts.vae,
            positive=positive, negative=negative, second=conditioning(parts, "music")[0],
            latent=latent, sigmas=node("AudioXScheduler", model=parts.model, steps=2),
            mask=torch.ones(1, 64, 64), image=torch.rand(1, 64, 64, 3),
            control_net=control_net(), clip=SimpleNamespace(
                tokenize=lambda text: text,
                encode_from_tokens=lambda *_, **__: (None, torch.zeros(1, 768)),
            ),
        )  # fmt: skip
        graph.plain = graph.run()
        graph.sampled = {**latent, "samples": graph.plain}
        graph.other_sampled = {**latent, "samples": graph.run(positive=graph.second)}
        graph.audio = node("AudioXDecode", vae=parts.vae, latent=graph.sampled)
        return graph

    return lambda variant: made.get(variant) or made.setdefault(variant, build(variant))


def changed(model):
    """The same model with other weights."""
    model, draw = model.clone(), torch.Generator().manual_seed(0)
    weights = model.model.diffusion_model.named_parameters()
    model.add_patches({
        f"diffusion_model.{name}": ("diff", (0.02 * torch.randn(w.shape, generator=draw),))
        for name, w in weights
    })  # fmt: skip
    return model


def control_net():
    class ControlNet(importlib.import_module("comfy.controlnet").ControlBase):
        def copy(self):
            return self

    return ControlNet()


@pytest.fixture
def case(comfy, graphs, request):
    """The graph of a row, its node with what it is given, and the node's result."""

    def run(row, variant, **socket):
        kinds = comfy.nodes.NODE_CLASS_MAPPINGS
        if row.node not in kinds:
            pytest.skip(f"this ComfyUI has no {row.node}")
        graph = graphs(variant)
        sockets = kinds[row.node].INPUT_TYPES()
        sockets = {**sockets.get("required", {}), **sockets.get("optional", {})}
        own = {name: getattr(graph, value) for name, value in socket.items() if name in sockets}
        made = graph.node(row.node, **{**own, **row.inputs(graph)})
        return graph, made[0] if isinstance(made, tuple) else made

    return run


def expect(row, run):
    """Run the graph: a sentence of ours, or a result."""
    if not row.refused:
        return run()
    with pytest.raises(Exception, match=row.expected) as raised:
        run()
    assert raised.type.__name__ == "SettingsError", raised.type
    return None


def cases(kind):
    rows = [(row, variant) for row in TABLE.KINDS[kind] for variant in row.variants]
    return pytest.mark.parametrize(
        ("row", "variant"), rows, ids=[f"{row.node}-{variant}" for row, variant in rows]
    )


def check(row, result, plain):
    """What was expected of a result; None was refused."""
    if result is None:
        return
    assert result.isfinite().all()
    if row.expected == TABLE.CHANGES:
        assert not (result.shape == plain.shape and torch.equal(result, plain))


@cases("MODEL")
def test_a_model_behind_a_native_node(case, row, variant):
    def run():
        graph, model = case(row, variant, model="model")
        return graph.run(model=model), graph.plain

    check(row, *(expect(row, run) or (None, None)))


@cases("CONDITIONING")
def test_a_conditioning_behind_a_native_node(case, row, variant):
    def run():
        graph, positive = case(row, variant, conditioning="positive")
        return graph.run(positive=positive), graph.plain

    check(row, *(expect(row, run) or (None, None)))


@cases("LATENT")
def test_a_latent_behind_a_native_node(case, row, variant):
    def run():
        graph, latent = case(row, variant, samples="sampled")
        again = {"positive": graph.positive, "negative": graph.negative, "steps": 1, "cfg": 1.0}
        if latent["samples"].shape[-1] >= 236 or variant in TABLE.DIT:
            graph.node(
                "AudioXSampler", model=graph.model, latent_image=latent, denoise=0.5, **again
            )
        return latent["samples"], graph.plain

    check(row, *(expect(row, run) or (None, None)))


@cases("SIGMAS")
def test_sigmas_of_a_native_node(case, row, variant):
    def run():
        graph, sigmas = case(row, variant, model="model")
        rising = sigmas[0] < sigmas[-1]  # of FlipSigmas, for unsampling
        return sigmas if rising else graph.run_custom(sigmas=sigmas), graph.plain

    check(row, *expect(row, run))


@cases("GUIDER")
def test_a_native_guider(case, row, variant):
    def run():
        graph, guider = case(row, variant, model="model")
        return graph.run_custom(guider=guider), graph.plain

    check(row, *expect(row, run))


@cases("VAE, AUDIO")
def test_a_vae_and_a_sound_in_a_native_node(case, row, variant):
    def run():
        return case(row, variant, audio="audio")[1]

    made = expect(row, run)
    if isinstance(made, dict):
        assert made.get("waveform", made.get("samples")).isfinite().all()


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("ConditioningSetTimestepRange", {"start": 0.0, "end": 0.5}, "No prompt applies"),
        ("FluxGuidance", {"guidance": 3.5}, "Use cfg of the sampler"),
        ("ConditioningSetAreaPercentage",
         {"width": 0.5, "height": 0.5, "x": 0.0, "y": 0.0, "strength": 1.0}, "cut the latent"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("negative", [False, True])
def test_what_a_node_sets_on_a_text_holds_for_what_is_assembled_from_it(
    node, family, graphs, name, settings, sentence, negative
):
    shared, graph = {"conditioners": family("audiox").conditioners}, graphs("audiox")
    rain = node("AudioXEncodeText", text="rain", **shared)
    changed_text = node(name, conditioning=rain, **settings)
    texts = {"text": rain, "negative_text": changed_text} if negative else {"text": changed_text}
    positive, negatives = node("AudioXMaskedConditioning", **texts, **shared)
    with pytest.raises(Exception, match=sentence):
        graph.run(positive=positive, negative=negatives)


def test_at_least_sixty_nodes_are_in_the_table():
    assert len({row.node for rows in TABLE.KINDS.values() for row in rows}) >= 60


def test_the_readme_has_the_table():
    text = TABLE.README.read_text(encoding="utf-8")
    assert TABLE.section() in text, "run python -m tests.native_nodes"
