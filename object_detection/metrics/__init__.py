"""Floor 4: COCO evaluation."""
