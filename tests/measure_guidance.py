"""`python -m tests.measure_guidance`: do the guidance scales move text against video?

The embedded model gets a text of one class and a video of another one. A classifier that knows only
rendered sounds says how probable each of the two is in the generated sound. The more text guidance,
the more probable must the class of the text be, and the less that of the video.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from numpy.random import default_rng
from torch import Tensor

from audiox_core import FeatureCache, Pipeline, Request, load_checkpoint
from audiox_core.lab.evaluation.cases import learn_classes
from audiox_core.lab.evaluation.classifier import Classifier, describe
from audiox_core.lab.evaluation.clips import even_times, held_out_scene, write_scene
from audiox_core.lab.labels import LABELS
from audiox_core.lab.world.captions import caption

SCALES = ((0.0, 8.0), (1.0, 7.0), (2.5, 5.5), (4.0, 4.0), (5.5, 2.5), (7.0, 1.0), (8.0, 0.0))
CLIPS = 24


def probabilities(classifier: Classifier, sound: Tensor, rate: int) -> dict[str, float]:
    """The probability of each class in a sound `2 n`."""
    described = (describe(sound, rate) - classifier.mean) / classifier.std
    with torch.no_grad():
        found = classifier.network(described[None])[0].softmax(dim=0)
    return dict(zip(classifier.labels, found.tolist(), strict=True))


def main() -> None:
    """Print both probabilities for each pair of scales, averaged over the clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--steps", type=int, help="of sampling; the default is the model's own")
    options = parser.parse_args()
    pipeline = Pipeline(load_checkpoint(device="cpu"), FeatureCache())
    rate = pipeline.latent_format.sample_rate
    classifier, accuracy = learn_classes(rate)
    print(f"the classifier is right for {accuracy:.0%} of other renders; {options.clips} clips")
    with TemporaryDirectory() as folder:
        for text, video in SCALES:
            said, seen = [], []
            for number in range(options.clips):
                scene = held_out_scene(2_000 + number)
                label = LABELS[(number + 1 + number // len(LABELS)) % len(LABELS)]
                path = write_scene(Path(folder) / f"{number}.mp4", scene, even_times(25.0))
                sound = pipeline.generate(
                    Request(
                        prompt=caption(label, 0, 0, default_rng([number, 11])),
                        video=path,
                        seed=number,
                        steps=options.steps,
                        text_guidance=text,
                        video_guidance=video,
                    )
                )
                found = probabilities(classifier, sound.waveform, rate)
                said.append(found[label])
                seen.append(found[scene.label])
            means = (sum(values) / len(values) for values in (said, seen))
            print("text {:.1f}, video {:.1f}: text class {:.3f}, video class {:.3f}".format(
                text, video, *means), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
