"""Warns before a training from random weights that it is too short to learn much."""

# Images that the samples for random weights see: the shapes 1,000 steps of 4, the nuclei 2,200 of 2
# (samples/configs). Half of that gave the nuclei their first 0.49 AP.
SAMPLES_SEE = 4_000
FEWEST_IMAGES = SAMPLES_SEE // 2
CURES = (
    "start from pretrained weights (train_config.fine_tune_checkpoint, see docs/checkpoints.md)",
    "train for more steps (train_config.num_steps or --num_train_steps)",
)


def short_run_warning(
    num_steps: int, images_a_step: int, num_images: int, cures: tuple[str, str] = CURES
) -> str | None:
    """Return a warning if a training from random weights is too short to learn much, else None.

    Args:
        num_steps: of the training; 0: without a limit.
        images_a_step: images of one optimizer step.
        num_images: in the training set.
        cures: what to do about it: two sentences, about weights and about steps.
    """
    seen = num_steps * images_a_step
    if not num_steps or seen >= FEWEST_IMAGES:
        return None
    epochs = seen / max(num_images, 1)
    return (
        f"from random weights, {num_steps:,} steps of {images_a_step} show the network {seen:,} "
        f"images ({num_images:,} images x {epochs:.3g} epochs); the sample configs that start so "
        f"needed about {SAMPLES_SEE:,}: expect it to detect next to nothing. "
        f"Either {cures[0]}, or {cures[1]}"
    )
