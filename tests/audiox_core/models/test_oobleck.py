from copy import deepcopy

import pytest
import torch

from audiox_core.config import OobleckConfig
from audiox_core.lab.bench.memory import peak_bytes
from audiox_core.models import oobleck
from audiox_core.models.oobleck import (
    ChunkedOobleck,
    Oobleck,
    TrainedSnake,
    fold_weight_norm,
    snake_beta,
)


@pytest.fixture(scope="module")
def vae():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Oobleck(OobleckConfig(channels=4, multipliers=(1, 2), strides=(2, 4))).eval()


@pytest.mark.parametrize("samples", [8, 15, 16, 803])
def test_encoded_and_decoded_lengths_are_multiples_of_a_frame(vae, samples):
    audio = torch.zeros(1, 2, samples)
    latent = vae.encode(audio).mean
    assert latent.shape == (1, 64, samples // 8)
    assert vae.decode(latent).shape == (1, 2, samples // 8 * 8)


def test_a_sample_is_the_mean_where_there_is_no_noise(vae, seeded):
    posterior = vae.encode(torch.randn(1, 2, 64, generator=seeded))
    assert torch.equal(posterior.sample(torch.zeros_like(posterior.mean)), posterior.mean)
    assert (posterior.std > 0).all()


@pytest.fixture(scope="module")
def narrow_v1():
    """v1's strides, so also its reach over time, with few channels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Oobleck(OobleckConfig(channels=2)).eval().requires_grad_(False)


@pytest.mark.parametrize("frames", [1, 3, 49, 108])
@pytest.mark.parametrize("chunk", [None, 48])
def test_decoded_pieces_join_to_the_whole(narrow_v1, seeded, frames, chunk):
    latent = torch.randn(2, 64, frames, generator=seeded)
    pieces = ChunkedOobleck(narrow_v1, chunk=chunk).decode(latent)
    whole = narrow_v1.decode(latent)
    assert (pieces - whole).abs().max() < 1e-5 * whole.std()


@pytest.mark.parametrize("frames", [1, 3, 49, 108])
@pytest.mark.parametrize("chunk", [None, 48])
def test_encoded_pieces_join_to_the_whole(narrow_v1, seeded, frames, chunk):
    audio = 0.3 * torch.randn(2, 2, frames * 2048 + 77, generator=seeded)
    pieces = ChunkedOobleck(narrow_v1, chunk=chunk).encode(audio)
    for ours, whole in zip(pieces, narrow_v1.encode(audio), strict=True):
        assert (ours - whole).abs().max() < 1e-5 * whole.std()


@pytest.mark.parametrize("numbers", [300, 5_000])
def test_pieces_are_cut_and_joined_between_layers(narrow_v1, seeded, monkeypatch, numbers):
    monkeypatch.setattr(oobleck, "CPU_NUMBERS", numbers)
    latent = torch.randn(1, 64, 30, generator=seeded)
    audio = 0.3 * torch.randn(1, 2, 30 * 2048, generator=seeded)
    pieces, whole = ChunkedOobleck(narrow_v1).decode(latent), narrow_v1.decode(latent)
    assert (pieces - whole).abs().max() < 1e-5 * whole.std()
    pieces, whole = ChunkedOobleck(narrow_v1).encode(audio).mean, narrow_v1.encode(audio).mean
    assert (pieces - whole).abs().max() < 1e-5 * whole.std()


def test_without_gradients_a_cpu_computes_in_pieces(narrow_v1, seeded):
    latent = torch.randn(1, 64, 20, generator=seeded)
    with torch.no_grad():
        audio = narrow_v1.decode(latent)
        mean = narrow_v1.encode(audio).mean
    assert torch.equal(audio, ChunkedOobleck(narrow_v1).decode(latent))
    assert torch.equal(mean, ChunkedOobleck(narrow_v1).encode(audio).mean)


def test_pieces_report_their_share_and_can_be_stopped(narrow_v1):
    shares, checks = [], []
    vae = ChunkedOobleck(narrow_v1, None, lambda: checks.append(1), shares.append, chunk=20)
    vae.decode(torch.zeros(2, 64, 80))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) == 8
    assert len(checks) >= len(shares)
    shares.clear()
    vae.encode(torch.zeros(2, 2, 40 * 2048))
    assert shares == [0.25, 0.5, 0.75, 1]


def test_an_empty_batch_gives_an_empty_result(narrow_v1):
    vae = ChunkedOobleck(narrow_v1)
    assert vae.decode(torch.zeros(0, 64, 3)).shape == (0, 2, 3 * 2048)
    posterior = vae.encode(torch.zeros(0, 2, 3 * 2048 + 5))
    assert posterior.mean.shape == posterior.std.shape == (0, 64, 3)


@pytest.fixture(scope="module")
def weightless_v1():
    """v1's whole size on the meta device: shapes and lifetimes without numbers."""
    with torch.device("meta"):
        return Oobleck(OobleckConfig()).eval().requires_grad_(False)


def test_a_decoded_window_takes_a_third_of_the_memory_in_pieces(weightless_v1):
    latent = torch.empty(1, 64, 236, device="meta")
    whole = peak_bytes(lambda: weightless_v1.decode(latent))
    assert whole < 3.1 * 128 * 236 * 2048 * 4  # three tensors of the last stage: none lives on
    assert peak_bytes(lambda: ChunkedOobleck(weightless_v1).decode(latent)) < whole / 3


def test_an_encoded_window_takes_a_third_of_the_memory_in_pieces(weightless_v1):
    audio = torch.empty(1, 2, 236 * 2048, device="meta")
    whole = peak_bytes(lambda: weightless_v1.encode(audio))
    chunked = peak_bytes(lambda: ChunkedOobleck(weightless_v1).encode(audio))
    assert chunked < whole / 3


def test_on_a_cpu_a_decoded_window_takes_a_fifth_of_the_memory(monkeypatch):
    """At a sixteenth of v1's width: there the result is half of what is left."""
    monkeypatch.setattr(oobleck, "CPU_NUMBERS", oobleck.CPU_NUMBERS // 16)
    with torch.random.fork_rng():
        vae = Oobleck(OobleckConfig(channels=8)).eval().requires_grad_(False)
    latent = torch.zeros(1, 64, 236)
    whole = peak_bytes(lambda: vae.decoder(latent))
    assert peak_bytes(lambda: ChunkedOobleck(vae).decode(latent)) < whole / 5


def test_a_snake_leaves_its_input_alone_and_has_gradients(seeded):
    x = torch.randn(1, 3, 5, generator=seeded, dtype=torch.float64)
    alpha, beta = torch.randn(2, 3, generator=seeded, dtype=torch.float64)
    inputs = [t.requires_grad_() for t in (x, alpha.clone(), beta.clone())]
    before = x.detach().clone()
    assert torch.autograd.gradcheck(snake_beta, inputs)
    assert torch.equal(x, before)


@pytest.mark.parametrize("conv", [torch.nn.Conv1d, torch.nn.ConvTranspose1d])
def test_folded_weights_equal_torchs_weight_norm(conv, seeded):
    layer = torch.nn.utils.parametrizations.weight_norm(
        torch.nn.utils.skip_init(conv, 5, 7, 3), dim=0
    )
    parts = layer.parametrizations.weight
    for part in (parts.original0, parts.original1):
        part.data = torch.randn(part.shape, generator=seeded)
    names = {"weight_g": parts.original0, "weight_v": parts.original1}
    state = {f"conv.{name}": part.detach() for name, part in names.items()}
    folded = fold_weight_norm(state)
    assert list(folded) == ["conv.weight"]
    torch.testing.assert_close(folded["conv.weight"], layer.weight)


def test_a_trained_snake_answers_and_slopes_as_the_plain_one(seeded):
    x, alpha, beta = (
        torch.randn(*shape, generator=seeded, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, 5), (3,), (3,))
    )
    assert torch.equal(TrainedSnake.apply(x, alpha, beta), snake_beta(x, alpha, beta))
    assert torch.autograd.gradcheck(TrainedSnake.apply, (x, alpha, beta))
    for learn in ((x, alpha.detach(), beta), (x, alpha.detach(), beta.detach())):
        assert torch.autograd.gradcheck(TrainedSnake.apply, learn)


def test_half_precision_takes_and_gives_float32(vae, seeded):
    half = deepcopy(vae).to(torch.bfloat16)
    latent = torch.randn(1, 64, 9, generator=seeded)
    made, whole = half.decode(latent), vae.decode(latent)
    assert made.dtype == torch.float32
    assert (made - whole).square().mean().sqrt() < 0.03 * whole.std()
    posterior = half.encode(whole)
    assert posterior.mean.dtype == posterior.std.dtype == torch.float32
    pieces = ChunkedOobleck(half, chunk=6).encode(whole)
    assert pieces.mean.dtype == torch.float32
