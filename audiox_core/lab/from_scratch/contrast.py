"""A contrastive loss between what encoders and sounds say of a clip (CLIP, arXiv 2103.00020).

Texts, and pictures, are each compared with the latents of all clips of a batch that have one: the
right ones have to be the nearest. Axes: `b` clips, `c` channels, `t` latent frames, `d` width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

SHARED, HIDDEN = 48, 128  # widths
SHARPNESS = 8.0  # scale of the cosine similarities


class Contrast(nn.Module):
    """Maps of texts, pictures and sounds to one space, and the loss of their neighbours."""

    def __init__(self, text_width: int, video_width: int, channels: int) -> None:
        super().__init__()
        self.text = nn.Linear(text_width, SHARED)
        self.video = nn.Linear(video_width, SHARED)
        self.sound = nn.Sequential(
            nn.Linear(3 * channels, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, SHARED)
        )

    def forward(
        self, text: Tensor, video: Tensor, latent: Tensor, with_text: Tensor, with_video: Tensor
    ) -> Tensor:
        """The loss of a batch.

        Args:
            text, video: mean tokens, `b d`.
            latent: `b c t`.
            with_text, with_video: which of them are there, `b` bool.
        """
        change = latent.diff(dim=2).std(dim=2)
        said = torch.cat([latent.mean(dim=2), latent.std(dim=2), change], dim=1)
        sound = normalize(self.sound(said), dim=1)
        pairs = ((self.text(text), with_text), (self.video(video), with_video))
        losses = [self._loss(tokens, sound, there) for tokens, there in pairs]
        return torch.stack(losses).sum()

    def _loss(self, tokens: Tensor, sound: Tensor, there: Tensor) -> Tensor:
        """Of the clips that are `there`, compared with each other."""
        similar = SHARPNESS * normalize(tokens, dim=1) @ sound.T
        similar = similar[there][:, there]
        if len(similar) < 2:  # nothing to compare with; the gradient is zero
            return 0 * tokens.sum() + 0 * sound.sum()
        right = torch.arange(len(similar), device=similar.device)
        return (cross_entropy(similar, right) + cross_entropy(similar.T, right)) / 2
