"""Several evaluations of the same images as one."""


class SeveralEvaluations:
    """Gives each image to every evaluation; masks are run-length-encoded once for all.

    Args:
        evaluations: of the same categories, at least one.
    """

    def __init__(self, evaluations):
        self.evaluations = tuple(evaluations)
        self.categories = self.evaluations[0].categories
        self.kinds = tuple(dict.fromkeys(kind for e in self.evaluations for kind in e.kinds))
        self._encodes = sum("masks" in e.kinds for e in self.evaluations) > 1

    def add(self, image_id, truth, detections, height, width):
        """Adds one image; see CocoEvaluation.add."""
        if self._encodes:
            truth, detections = truth.encoded(), detections.encoded(int(height), int(width))
        for evaluation in self.evaluations:
            evaluation.add(image_id, truth, detections, height, width)

    def evaluate(self):
        """The numbers of all, by their names."""
        numbers = {}
        for evaluation in self.evaluations:
            numbers |= evaluation.evaluate()
        return numbers

    def table(self):
        """The tables of all, one below the other."""
        return "\n\n".join(evaluation.table() for evaluation in self.evaluations)
