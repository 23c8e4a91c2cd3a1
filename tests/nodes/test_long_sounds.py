"""Nodes hold a long sound at most twice, and Stop works while it is decoded."""

import pytest
import torch

from audiox_core.lab.bench.memory import peak_bytes

SECONDS = 40.0


@pytest.fixture
def small_pieces(pack, monkeypatch):
    """Pieces that are small beside the sound, so that its copies can be counted."""
    monkeypatch.setattr(pack.audiox_core.models.oobleck, "CPU_NUMBERS", 1 << 14)


@pytest.mark.parametrize("level", ["keep", "peak"])
def test_a_sound_is_decoded_with_two_copies_of_it(node, loaded, small_pieces, level):
    latent = node("AudioXEmptyLatent", seconds=SECONDS)
    latent["samples"] = torch.randn(latent["samples"].shape)
    made = []

    def run():
        made.append(node("AudioXDecode", vae=loaded.vae, latent=latent, level=level))

    assert peak_bytes(run) < 2.3 * 2 * SECONDS * 44_100 * 4
    assert made[0]["waveform"].shape == (1, 2, round(SECONDS * 44_100))


def test_a_stopped_run_ends_between_two_pieces(node, loaded, pack, comfy):
    manager = pack.nodes.bridge.vae.mm
    manager.interrupt_current_processing(True)
    with pytest.raises(manager.InterruptProcessingException):
        node("AudioXDecode", vae=loaded.vae, latent=node("AudioXEmptyLatent", seconds=SECONDS))
    manager.interrupt_current_processing(False)


def test_decoding_moves_the_progress_bar_of_the_node(node, loaded, comfy):
    import comfy.utils

    shares = []
    comfy.utils.set_progress_bar_global_hook(
        lambda value, total, *_, **__: shares.append(value / total)
    )
    try:
        node("AudioXDecode", vae=loaded.vae, latent=node("AudioXEmptyLatent", seconds=SECONDS))
    finally:
        comfy.utils.set_progress_bar_global_hook(None)
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
