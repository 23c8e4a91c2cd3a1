import torch

from audiox_core.diffusion.objectives import alpha_sigma, sigma_to_t, t_to_sigma, v_denoiser


def test_times_and_sigmas_are_inverse():
    t = torch.linspace(0.01, 0.99, 50)
    torch.testing.assert_close(sigma_to_t(t_to_sigma(t)), t)


def test_the_true_v_is_denoised_to_the_latent(seeded):
    latent, noise = torch.randn(2, 3, 64, 9, generator=seeded)

    def true_v(x, t):
        alpha, sigma = (w[:, None, None] for w in alpha_sigma(t))
        torch.testing.assert_close(x, alpha * latent + sigma * noise, atol=1e-4, rtol=1e-4)
        return alpha * noise - sigma * latent

    for sigma in (0.03, 0.3, 1.0, 20.0, 500.0):
        out = v_denoiser(true_v)(latent + sigma * noise, sigma)
        torch.testing.assert_close(out, latent, atol=2e-4, rtol=1e-3)
